/** The thread behind `memory.ts`: plans the programs of jobs, which would block the coordinator for too long. */
import { parentPort } from 'node:worker_threads';
import { messageOf } from '@kasane/protocol/errors';
import { buildModel, type ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import { sessionBytes } from '../model-backend.ts';

export interface MemoryRequest {
  readonly model: ModelDescription;
  readonly requests: readonly ProgramRequest[];
}
export type MemoryAnswer = { readonly bytes: number } | { readonly refused: string };

parentPort!.on('message', ({ model, requests }: MemoryRequest) => {
  const answer = (said: MemoryAnswer) => parentPort!.postMessage(said);
  try {
    answer({ bytes: sessionBytes(buildModel(model), requests) });
  } catch (error) {
    answer({ refused: messageOf(error) });
  }
});
