/** A cluster of this machine for as long as something is measured on it. */
import { CoordinatorClient } from '@kasane/protocol/client';
import { makeLog } from '../../output/log.ts';
import { err } from '../../output/say.ts';
import { EmbeddedCluster, guarded } from './cluster.ts';
import type { TrainOptions } from './train.ts';
import type { ForkedWorker } from './worker-processes.ts';

export type MeasuringOptions = Pick<
  TrainOptions,
  'workers' | 'slots' | 'backend' | 'gpuStorage' | 'redis' | 'logLevel'
> &
  Partial<Pick<TrainOptions, 'threads'>>;

/** Points that the coordinator keeps: of every step, also of those that are done before it is told to stop. */
const KEPT_POINTS = 100_000;

/**
 * @param forked workers with these options that wait for a coordinator
 * @param measure what to do with it. Rejects with what made the cluster fail, if that comes first
 */
export async function onMeasuringCluster<T>(
  { redis, logLevel, ...options }: MeasuringOptions,
  forked: readonly ForkedWorker[],
  measure: (client: CoordinatorClient, say: (line: string) => void) => Promise<T>,
): Promise<T> {
  const say = (line: string) => void err.lines(line);
  const { workers, slots, threads, backend, gpuStorage } = options;
  const cluster = new EmbeddedCluster({
    ...{ workers, slots, ...(threads !== undefined && { threads }), backend, gpuStorage },
    redisUrl: redis ?? process.env.REDIS_URL,
    forked,
    limits: { metricPoints: KEPT_POINTS, metricIntervalMs: 0 },
    log: makeLog(logLevel, 'text'),
    say,
  });
  return guarded(
    async () => {
      const { address } = await cluster.start();
      const client = new CoordinatorClient({ coordinator: address });
      try {
        return await Promise.race([measure(client, say), cluster.failed]);
      } finally {
        client.close();
      }
    },
    () => cluster.close(),
    'test',
  );
}
