/** The services that users call: jobs and cluster. Errors go out with the code of the protocol package's table. */
import {
  type handleUnaryCall,
  Metadata,
  type ServerUnaryCall,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { errorCodes, KasaneError, messageOf } from '@kasane/protocol/errors';
import type { ClusterServer } from '@kasane/protocol/gen/kasane/v1/cluster';
import type { JobsServer } from '@kasane/protocol/gen/kasane/v1/jobs';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { hasEnded } from '@kasane/protocol/job-state';
import { DOWNLOADS, DOWNLOADS_AT_ONCE, DOWNLOADS_PER_CALLER, ERROR_TEXT } from '@kasane/protocol/limits';
import { messageOfReason } from '@kasane/protocol/reasons';
import type { Logger } from 'pino';
import type { JobManager } from '../jobs/manager.ts';
import type { Metrics } from '../store/metrics.ts';
import { type Asker, CallerTurns } from '../submit/caller-turns.ts';
import type { ConnectedWorker, WorkerRegistry } from '../workers.ts';
import { CALLER } from './admission.ts';
import { OPEN_CALLER } from './gate.ts';
import { noMetrics } from './metrics-messages.ts';
import { watchEvents } from './watch-events.ts';

/** Least time between two messages of `Watch`, in milliseconds. */
const WATCH_INTERVAL_MS = 100;
/** Messages of `WatchMetrics` that a client may leave unread. */
const MESSAGES_BEHIND = 40;
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
  /** The bytes of each are in memory until its reader has them. */
  const downloads = new CallerTurns({
    what: 'downloads',
    atOnce: DOWNLOADS_AT_ONCE,
    perCaller: DOWNLOADS_PER_CALLER,
    all: DOWNLOADS,
  });
  return {
    submit: unary(async ({ jobFile, priority }, call) => ({
      job: await manager.submit(jobFile, priority, askerOf(call)),
    })),
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

    watch(call) {
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
        timer = setTimeout(send, Math.max(0, sentAt + WATCH_INTERVAL_MS - performance.now()));
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
        call.emit('error', toServiceError(error, log));
      }
    },

    watchMetrics(call) {
      const id = call.request.job;
      let live: Metrics | undefined;
      let offPoint = () => {};
      let offChange = () => {};
      const stop = () => {
        offPoint();
        offChange();
      };
      /** Hears the run that the job has now, until it has ended. */
      const attend = () => {
        const metrics = manager.runs.get(id)?.metrics;
        // What it waits for changes several times a step.
        if (metrics && metrics === live) return;
        if (hasEnded(manager.get(id).state)) {
          stop();
          call.end();
          return;
        }
        if (metrics === live) return;
        offPoint();
        live = metrics;
        offPoint = () => {};
        if (!metrics) return;
        let behind = 0;
        offPoint = metrics.onMore(({ points, gradients, activations }) => {
          // A client that does not read is dropped, not buffered for. The beginning may take it a moment.
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
      };
      call.on('cancelled', stop);
      call.on('close', stop);
      try {
        for (const message of manager.metrics(id)) call.write(message);
        offChange = manager.onChange(id, attend);
        attend();
      } catch (error) {
        stop();
        call.emit('error', toServiceError(error, log));
      }
    },

    watchEvents(call) {
      try {
        watchEvents(call, manager);
      } catch (error) {
        call.emit('error', toServiceError(error, log));
      }
    },

    async downloadModel(call) {
      try {
        await downloads.run(askerOf(call), async () => {
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
    },
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

export function clusterService(
  manager: JobManager,
  workers: WorkerRegistry,
  version: string,
  log: Logger,
): ClusterServer {
  const started = performance.now();
  const view = (worker: ConnectedWorker, held: ReadonlyMap<string, number>) => {
    const { id, host, slots, connectedAt, tasksDone, tasksFailed, backend, draining } = worker;
    const { busy, waiting, heardAt, bytesReceived, bytesSent } = worker.seen();
    return {
      ...{ id, host, slots, connectedAt, tasksDone, tasksFailed, backend, draining },
      ...{ busy, waiting, bytesReceived, bytesSent, silentMs: performance.now() - heardAt },
      tasksHeld: held.get(id) ?? 0,
      resting: [...worker.resting.values()].map(messageOfReason),
    };
  };
  return {
    status(_call, callback) {
      const held = manager.runs.held();
      callback(null, {
        version,
        uptimeMs: performance.now() - started,
        workers: workers.all().map((worker) => view(worker, held)),
        departed: [...workers.departed],
        quarantined: workers.quarantined().map((worker) => ({ ...worker, why: messageOfReason(worker.why) })),
        nowMs: Date.now(),
      });
    },
    drain({ request }, callback) {
      const worker = workers.get(request.worker);
      if (!worker) {
        const right = 'list the connected workers with `kasane workers`';
        const why = new KasaneError(
          'WORKER_NOT_FOUND',
          `no worker '${request.worker}' is connected; ${right}`,
        );
        callback(toServiceError(why, log));
        return;
      }
      log.info(`asked worker ${worker.id} to drain`);
      worker.send({ $case: 'drain', value: {} });
      callback(null, { worker: { ...view(worker, manager.runs.held()), draining: true } });
    },
  };
}

/** What a failed call tells its caller. What is not a KasaneError is our fault: it is logged, and no detail goes out. */
export function toServiceError(error: unknown, log: Logger): ServiceError {
  const metadata = new Metadata();
  if (error instanceof KasaneError) {
    metadata.set('kasane-error', error.code);
    // It travels in a header, which HTTP/2 bounds, and may name what somebody has sent.
    const details = brief(error.message, ERROR_TEXT);
    return Object.assign(new Error(details), { code: errorCodes[error.code].grpc, details, metadata });
  }
  log.error({ error }, `a call failed: ${messageOf(error)}`);
  const details = 'the coordinator failed to answer; see its log';
  return Object.assign(new Error(details), { code: status.INTERNAL, details, metadata });
}
