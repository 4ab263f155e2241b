/** The thread behind `starting-weights.ts`: takes what to make as its data, and posts what came of it, once. */
import { parentPort, workerData } from 'node:worker_threads';
import { KasaneError } from '@kasane/protocol/errors';
import { makeWeights, type StartingWeights, type WeightsRequest } from './make-weights.ts';

export type WeightsAnswer = StartingWeights | { readonly refused: string };

try {
  const made = makeWeights(workerData as WeightsRequest);
  parentPort!.postMessage(made satisfies WeightsAnswer, [made.parameters.buffer]);
} catch (error) {
  if (!(error instanceof KasaneError)) throw error;
  parentPort!.postMessage({ refused: error.message } satisfies WeightsAnswer);
}
