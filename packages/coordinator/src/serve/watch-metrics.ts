/** `Jobs.WatchMetrics`: a job's metrics so far, then those of each step. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { WatchMetricsRequest, WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { hasEnded } from '@kasane/protocol/job-state';
import type { JobManager } from '../jobs/manager.ts';
import { noMetrics } from '../jobs/metrics-messages.ts';
import type { Metrics } from '../store/metrics.ts';
import { orRefuse, type Refuse } from './handlers.ts';

/** Number of messages that a client may leave unread. */
const MESSAGES_BEHIND = 40;

type Call = ServerWritableStream<WatchMetricsRequest, WatchMetricsResponse>;

/** @throws KasaneError JOB_NOT_FOUND */
export function watchMetrics(call: Call, manager: JobManager, refuse: Refuse): void {
  const id = call.request.job;
  let live: Metrics | undefined;
  let offPoint = () => {};
  let offChange = () => {};
  const stop = () => {
    offPoint();
    offChange();
  };
  /** Subscribes to the job's current run, until the job has ended. */
  const attend = () => {
    const metrics = manager.runs.get(id)?.metrics;
    // The waiting reason changes several times per step.
    if (metrics && metrics === live) return;
    if (hasEnded(manager.get(id).state)) {
      stop();
      call.end();
      return;
    }
    if (metrics === live) return;
    offPoint();
    live = metrics;
    offPoint = metrics ? sendMore(call, metrics) : () => {};
  };
  call.on('cancelled', stop);
  call.on('close', stop);
  try {
    for (const message of manager.metrics(id)) call.write(message);
    offChange = manager.onChange(id, orRefuse(attend, stop, refuse));
    attend();
  } catch (error) {
    stop();
    throw error;
  }
}

/** Sends what a run adds to its metrics. @returns a function that stops it */
function sendMore(call: Call, metrics: Metrics): () => void {
  let behind = 0;
  return metrics.onMore(({ points, gradients, activations }) => {
    // A client that does not read is disconnected instead of buffering for it. The initial messages may take it a moment.
    behind = call.writableNeedDrain ? behind + 1 : 0;
    if (behind > MESSAGES_BEHIND) call.destroy();
    else
      call.write({
        ...noMetrics(),
        points: [...points],
        gradients: [...gradients],
        activations: [...activations],
      });
  });
}
