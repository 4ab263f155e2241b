/** The thread behind `submitted-job.ts`: receives the texts of job and sweep files, and posts the result for each, in order. */
import { parentPort } from 'node:worker_threads';
import { type ErrorCode, KasaneError } from '@kasane/protocol/errors';
import { parseJobFile, parseSweepFile } from '@kasane/protocol/job-file';

export interface JobFileRequest {
  readonly kind: 'job' | 'sweep';
  readonly text: string;
}
export type JobFileAnswer =
  /** JSON: the spec of a job, or a whole sweep. */
  { readonly checked: string } | { readonly refused: string; readonly code: ErrorCode };

function answerTo({ kind, text }: JobFileRequest): JobFileAnswer {
  try {
    const checked = kind === 'job' ? parseJobFile(text, 'job file').spec : parseSweepFile(text, 'sweep file');
    return { checked: JSON.stringify(checked) };
  } catch (error) {
    if (!(error instanceof KasaneError)) throw error;
    return { refused: error.message, code: error.code };
  }
}

parentPort!.on('message', (request: JobFileRequest) => parentPort!.postMessage(answerTo(request)));
