/** `Jobs.Watch`: a job, and again whenever it changes. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { WatchRequest, WatchResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { hasEnded } from '@kasane/protocol/job-state';
import type { JobManager } from '../jobs/manager.ts';

/** Least time between two messages, in milliseconds. */
const INTERVAL_MS = 100;

/** @throws KasaneError JOB_NOT_FOUND */
export function watchJob(call: ServerWritableStream<WatchRequest, WatchResponse>, manager: JobManager): void {
  const id = call.request.job;
  let timer: NodeJS.Timeout | undefined;
  let sentAt = Number.NEGATIVE_INFINITY;
  const send = () => {
    timer = undefined;
    sentAt = performance.now();
    const job = manager.get(id);
    call.write({ job });
    if (hasEnded(job.state)) finish();
  };
  const changed = () => {
    // A client that does not read gets nothing new until it has; the next change sends what is true then.
    if (timer || call.writableNeedDrain) return;
    timer = setTimeout(send, Math.max(0, sentAt + INTERVAL_MS - performance.now()));
  };
  const off = manager.onChange(id, changed);
  call.on('drain', changed);
  const stop = () => {
    off();
    clearTimeout(timer);
  };
  const finish = () => {
    stop();
    call.end();
  };
  call.on('cancelled', stop);
  call.on('close', stop);
  try {
    send();
  } catch (error) {
    stop();
    throw error;
  }
}
