/** The service that users call about their jobs. */
import type { handleServerStreamingCall } from '@grpc/grpc-js';
import type {
  DownloadModelRequest,
  DownloadModelResponse,
  JobsServer,
} from '@kasane/protocol/gen/kasane/v1/jobs';
import { DOWNLOADS, DOWNLOADS_AT_ONCE, DOWNLOADS_PER_CALLER } from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import type { JobManager } from '../jobs/manager.ts';
import { CallerTurns } from '../submit/caller-turns.ts';
import type { Sweeps } from '../sweeps/sweeps.ts';
import { askerOf, handlers } from './handlers.ts';
import { toServiceError } from './service-error.ts';
import { watchEvents } from './watch-events.ts';
import { watchJob } from './watch-job.ts';
import { watchMetrics } from './watch-metrics.ts';

/** Bytes of one piece of a downloaded model. */
const PIECE_BYTES = 256 << 10;

/** @param sweeps whose trials some of the jobs are */
export function jobsService(
  manager: JobManager,
  sweeps: Pick<Sweeps, 'requireResumable' | 'requireDeletable'>,
  log: Logger,
): JobsServer {
  const { unary, watched } = handlers(log);
  return {
    submit: unary(async ({ jobFile, priority }, call) => ({
      job: await manager.submit(jobFile, priority, askerOf(call)),
    })),
    check: unary(({ jobFile }, call) => manager.check(jobFile, askerOf(call))),
    get: unary(({ job }) => ({ job: manager.get(job) })),
    list: unary((request) => manager.list(request)),
    listEpochs: unary(({ job, pageSize, pageToken }) => manager.epochs(job, pageSize, pageToken)),
    resume: unary(async ({ job, epochs }) => {
      sweeps.requireResumable(job);
      return { job: await manager.resume(job, epochs) };
    }),
    listCheckpoints: unary(async ({ job }) => ({ checkpoints: await manager.checkpoints(job) })),
    getConfusion: unary(({ job }) => manager.confusion(job)),
    readSamples: unary(({ job, first, count }) => manager.samples(job, first, count)),
    cancel: unary(async ({ job }) => ({ job: await manager.cancel(job) })),
    delete: unary(async ({ job }) => {
      sweeps.requireDeletable(job);
      return { bytes: await manager.delete(job) };
    }),
    pause: unary(async ({ job }) => ({ job: await manager.pause(job) })),
    retry: unary(async ({ job }, call) => ({ job: await manager.retry(job, askerOf(call)) })),
    setPriority: unary(async ({ job, priority }) => ({ job: await manager.setPriority(job, priority) })),
    watch: watched((call, refuse) => watchJob(call, manager, refuse)),
    watchMetrics: watched((call, refuse) => watchMetrics(call, manager, refuse)),
    watchEvents: watched((call, refuse) => watchEvents(call, manager, refuse)),
    downloadModel: downloads(manager, log),
  };
}

/** `Jobs.DownloadModel`: in pieces, as fast as the client reads them. The bytes of each are in memory until its reader has them. */
function downloads(
  manager: JobManager,
  log: Logger,
): handleServerStreamingCall<DownloadModelRequest, DownloadModelResponse> {
  const turns = new CallerTurns({
    what: 'downloads',
    atOnce: DOWNLOADS_AT_ONCE,
    perCaller: DOWNLOADS_PER_CALLER,
    all: DOWNLOADS,
  });
  return async (call) => {
    try {
      await turns.run(askerOf(call), async () => {
        const bytes = await manager.model(call.request.job, call.request.checkpoint);
        for (let start = 0; start < bytes.length && !call.cancelled; start += PIECE_BYTES) {
          const more = call.write({ data: bytes.subarray(start, start + PIECE_BYTES) });
          if (!more) await new Promise((resolve) => call.once('drain', resolve).once('close', resolve));
        }
      });
      call.end();
    } catch (error) {
      // Nobody hears it where the client has gone.
      if (!call.cancelled) call.emit('error', toServiceError(error, log));
    }
  };
}
