/** The thread behind `submitted-job.ts`: gets the texts of job files, and posts what came of each, in order. */
import { parentPort } from 'node:worker_threads';
import { type ErrorCode, KasaneError } from '@kasane/protocol/errors';
import { parseJobFile } from '@kasane/protocol/job-file';

export type JobFileAnswer =
  | { readonly spec: string }
  | { readonly refused: string; readonly code: ErrorCode };

function answerTo(text: string): JobFileAnswer {
  try {
    return { spec: JSON.stringify(parseJobFile(text, 'job file').spec) };
  } catch (error) {
    if (!(error instanceof KasaneError)) throw error;
    return { refused: error.message, code: error.code };
  }
}

parentPort!.on('message', (text: string) => parentPort!.postMessage(answerTo(text)));
