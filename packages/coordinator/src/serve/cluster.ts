/** The service for status of a coordinator and its workers. */
import { KasaneError } from '@kasane/protocol/errors';
import type { ClusterServer } from '@kasane/protocol/gen/kasane/v1/cluster';
import { messageOfReason } from '@kasane/protocol/reasons';
import type { Logger } from 'pino';
import type { JobManager } from '../jobs/manager.ts';
import type { ConnectedWorker, WorkerRegistry } from '../workers.ts';
import { toServiceError } from './service-error.ts';

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
      routes: [...worker.routes.values()].map(messageOfReason),
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
