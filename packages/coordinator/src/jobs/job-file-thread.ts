/** The thread behind `submitted-job.ts`: takes the text of a job file as its data, and posts what came of it, once. */
import { parentPort, workerData } from 'node:worker_threads';
import { type ErrorCode, KasaneError } from '@kasane/protocol/errors';
import { parseJobFile } from '@kasane/protocol/job-file';

export type JobFileAnswer =
  | { readonly spec: string }
  | { readonly refused: string; readonly code: ErrorCode };

try {
  const { spec } = parseJobFile(workerData as string, 'job file');
  parentPort!.postMessage({ spec: JSON.stringify(spec) } satisfies JobFileAnswer);
} catch (error) {
  if (!(error instanceof KasaneError)) throw error;
  parentPort!.postMessage({ refused: error.message, code: error.code } satisfies JobFileAnswer);
}
