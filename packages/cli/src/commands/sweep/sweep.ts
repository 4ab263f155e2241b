/** `kasane sweep` on a cluster of this machine, from start to the weights of the best trial. */
import { CoordinatorClient, requireSweepSuccess } from '@kasane/protocol/client';
import type { Trial } from '@kasane/protocol/gen/kasane/v1/sweeps';
import type { Sweep } from '@kasane/protocol/internal/job/job-search';
import type { Backend, GpuStorage } from '@kasane/worker/internal/slots/gpu';
import { deliver, type WeightsPlace } from '../../files/output-file.ts';
import { textOfSweep } from '../../files/read-sweep.ts';
import { makeLog } from '../../output/log.ts';
import { err } from '../../output/say.ts';
import type { LogLevel } from '../../program/options.ts';
import { EmbeddedCluster, guarded } from '../train/cluster.ts';
import { watchDisk } from '../train/past-disk.ts';
import type { ForkedWorker } from '../train/worker-processes.ts';
import { followSweep } from './follow-sweep.ts';
import { report } from './report.ts';
import { noteOfReplaced, placeOfStart, placeOfTrial, winnersOf } from './winners.ts';

export interface SweepOptions {
  readonly workers: number;
  readonly slots: number;
  readonly threads: number;
  readonly backend: Backend;
  readonly gpuStorage: GpuStorage;
  readonly redis?: string;
  readonly json?: boolean;
  readonly logLevel: LogLevel;
}

/** @param forked workers with these options that wait for a coordinator */
export async function sweepHere(
  sweep: Sweep,
  place: WeightsPlace,
  options: SweepOptions,
  forked: readonly ForkedWorker[],
): Promise<void> {
  const say = (line: string) => void err.lines(line);
  const { out, version } = place;
  const note = noteOfReplaced(sweep, place);
  if (note) say(note);
  const cluster = new EmbeddedCluster({
    workers: options.workers,
    slots: options.slots,
    threads: options.threads,
    backend: options.backend,
    gpuStorage: options.gpuStorage,
    redisUrl: options.redis ?? process.env.REDIS_URL,
    forked,
    log: makeLog(options.logLevel, 'text'),
    say,
  });
  await guarded(
    async () => {
      const { address } = await cluster.start();
      const client = new CoordinatorClient({ coordinator: address });
      let jobs: readonly string[] = [];
      const onTrials = (trials: readonly Trial[]) => {
        jobs = trials.flatMap(({ job }) => job || []);
      };
      const unwatch = watchDisk(cluster, () => jobs, say);
      try {
        const id = await client.sweeps.submit(textOfSweep(sweep), 0, undefined, (note) =>
          say(`Note: ${note}`),
        );
        const ended = await Promise.race([followSweep(client, id, say, { onTrials }), cluster.failed]);
        requireSweepSuccess(ended.sweep);
        const winners = await winnersOf(client, ended);
        try {
          const models = winners.map(({ trial, job, parent }) => {
            const model = deliver(job.model, { ...placeOfTrial({ out, version }, ended, trial), say });
            const init = parent && deliver(parent.model, { ...placeOfStart(model), say });
            return { trial, job, model, init };
          });
          report(sweep, ended, models, options.json === true);
        } catch (error) {
          cluster.keepFiles();
          throw error;
        }
      } finally {
        unwatch();
        client.close();
      }
    },
    () => cluster.close(),
    'sweep',
  );
}
