/** The thread behind `starting-weights.ts`: makes the weights described in `workerData`, posts the result, and exits. */
import { parentPort, workerData } from 'node:worker_threads';
import { KasaneError } from '@kasane/protocol/errors';
import { makeWeights, type StartingWeights, type WeightsRequest } from './make-weights.ts';

export type WeightsAnswer = StartingWeights | { readonly refused: string; readonly isMissing: boolean };

try {
  const made = makeWeights(workerData as WeightsRequest);
  parentPort!.postMessage(made satisfies WeightsAnswer, [made.parameters.buffer]);
} catch (error) {
  if (!(error instanceof KasaneError)) throw error;
  let cause: unknown = error;
  while (cause instanceof Error && (cause as { code?: unknown }).code !== 'ENOENT') cause = cause.cause;
  const isMissing = cause instanceof Error;
  parentPort!.postMessage({ refused: error.message, isMissing } satisfies WeightsAnswer);
}
