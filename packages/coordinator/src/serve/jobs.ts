/** The service that users call about their jobs. */
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import type {
  DownloadModelRequest,
  DownloadModelResponse,
  JobsServer,
} from '@kasane/protocol/gen/kasane/v1/jobs';
import { DOWNLOADS, DOWNLOADS_AT_ONCE, DOWNLOADS_PER_CALLER } from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import type { JobManager } from '../jobs/manager.ts';
import { type Asker, CallerTurns } from '../submit/caller-turns.ts';
import { CALLER } from './admission.ts';
import { OPEN_CALLER } from './gate.ts';
import { toServiceError } from './service-error.ts';
import { watchEvents } from './watch-events.ts';
import { watchJob } from './watch-job.ts';
import { watchMetrics } from './watch-metrics.ts';

/** Bytes of one piece of a downloaded model. */
const PIECE_BYTES = 256 << 10;

export function jobsService(manager: JobManager, log: Logger): JobsServer {
  const unary = <Request, Response>(
    handle: (request: Request, call: ServerUnaryCall<Request, Response>) => Response | Promise<Response>,
  ): handleUnaryCall<Request, Response> => {
    return (call, callback) => {
      new Promise<Response>((resolve) => resolve(handle(call.request, call))).then(
        (response) => callback(null, response),
        (error: unknown) => callback(toServiceError(error, log)),
      );
    };
  };
  const watched = <Request, Response>(
    watch: (call: ServerWritableStream<Request, Response>, manager: JobManager) => void,
  ): handleServerStreamingCall<Request, Response> => {
    return (call) => {
      try {
        watch(call, manager);
      } catch (error) {
        call.emit('error', toServiceError(error, log));
      }
    };
  };
  return {
    submit: unary(async ({ jobFile, priority }, call) => ({
      job: await manager.submit(jobFile, priority, askerOf(call)),
    })),
    check: unary(({ jobFile }, call) => manager.check(jobFile, askerOf(call))),
    get: unary(({ job }) => ({ job: manager.get(job) })),
    list: unary(({ pageSize, pageToken }) => manager.list(pageSize, pageToken)),
    listEpochs: unary(({ job, pageSize, pageToken }) => manager.epochs(job, pageSize, pageToken)),
    resume: unary(async ({ job, epochs }) => ({ job: await manager.resume(job, epochs) })),
    listCheckpoints: unary(async ({ job }) => ({ checkpoints: await manager.checkpoints(job) })),
    readSamples: unary(({ job, first, count }) => manager.samples(job, first, count)),
    cancel: unary(async ({ job }) => ({ job: await manager.cancel(job) })),
    pause: unary(async ({ job }) => ({ job: await manager.pause(job) })),
    retry: unary(async ({ job }, call) => ({ job: await manager.retry(job, askerOf(call)) })),
    setPriority: unary(async ({ job, priority }) => ({ job: await manager.setPriority(job, priority) })),
    watch: watched(watchJob),
    watchMetrics: watched(watchMetrics),
    watchEvents: watched(watchEvents),
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

/** Who makes a call: a token at an address. Where nobody needs a token connections are told apart, since all are of one address. */
function askerOf(
  call: Pick<ServerUnaryCall<unknown, unknown>, 'metadata' | 'getPeer' | 'cancelled' | 'once'>,
): Asker {
  const caller = String(call.metadata.get(CALLER)[0] ?? '');
  const peer = call.getPeer();
  const gone = new AbortController();
  if (call.cancelled) gone.abort();
  call.once('cancelled', () => gone.abort());
  const place = caller === OPEN_CALLER ? peer : peer.replace(/:\d+$/, '');
  return { caller: `${caller} ${place}`, signal: gone.signal };
}
