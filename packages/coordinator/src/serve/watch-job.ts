/** `Jobs.Watch`: a job now and after every change. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { WatchRequest, WatchResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { hasEnded } from '@kasane/protocol/job-state';
import type { JobManager } from '../jobs/manager.ts';
import type { Refuse } from './handlers.ts';
import { watchChanges } from './watch-changes.ts';

/** Least time between two messages, in milliseconds. */
const INTERVAL_MS = 100;

/** @throws KasaneError JOB_NOT_FOUND */
export function watchJob(
  call: ServerWritableStream<WatchRequest, WatchResponse>,
  manager: JobManager,
  refuse: Refuse,
): void {
  const id = call.request.job;
  watchChanges(
    call,
    {
      intervalMs: INTERVAL_MS,
      onChange: (listener) => manager.onChange(id, listener),
      now: () => {
        const job = manager.get(id);
        return { messages: [{ job }], isLast: hasEnded(job.state) };
      },
    },
    refuse,
  );
}
