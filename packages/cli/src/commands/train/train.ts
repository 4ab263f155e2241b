/** `kasane train`: a job on a cluster of this machine, from start to weights. */
import { resolve } from 'node:path';
import { rankEpochs } from '@kasane/coordinator/internal/run/best-epoch';
import { checkSteps } from '@kasane/coordinator/internal/submit/check-training';
import { loadData } from '@kasane/coordinator/internal/submit/load-data';
import { startingWeights } from '@kasane/coordinator/internal/submit/starting-weights';
import type { Preparation } from '@kasane/data/dataset';
import { anywhere } from '@kasane/data/internal/files/access';
import { CoordinatorClient, requireSuccess } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import type { Job as JobMessage } from '@kasane/protocol/gen/kasane/v1/jobs';
import { elapsedSeconds } from '@kasane/protocol/internal/job/elapsed';
import type { JobSpec } from '@kasane/protocol/job';
import { metricOf } from '@kasane/tensor/objective';
import type { Backend, GpuStorage } from '@kasane/worker/internal/slots/gpu';
import { deliver, digestOf, replacedNote } from '../../files/output-file.ts';
import { requireApart, requireReplaceable } from '../../files/replaced-file.ts';
import { makeLog } from '../../output/log.ts';
import { out } from '../../output/say.ts';
import type { LogLevel } from '../../program/options.ts';
import { count, took } from '../../render/count.ts';
import { formatMetric, metricName } from '../../render/job.ts';
import { expensiveLayers, joinTraces } from '../../render/profile.ts';
import { progressView } from '../../render/progress.ts';
import { unitOf } from '../../render/standardized.ts';
import { testMetricsLine } from '../../render/test-metrics.ts';
import { follow } from '../jobs/follow.ts';
import { EmbeddedCluster, guarded, progressLost } from './cluster.ts';
import type { JobToTrain } from './job-to-train.ts';
import { PastDisk } from './past-disk.ts';
import type { ForkedWorker } from './worker-processes.ts';

export interface TrainOptions {
  readonly workers: number;
  readonly slots: number;
  readonly threads: number;
  readonly backend: Backend;
  readonly gpuStorage: GpuStorage;
  readonly profile?: string;
  readonly redis?: string;
  readonly tensorboard?: string;
  readonly open?: boolean;
  readonly json?: boolean;
  readonly logLevel: LogLevel;
}

/** @param forked workers with these options that wait for a coordinator */
export async function train(
  toTrain: JobToTrain,
  options: TrainOptions,
  forked: readonly ForkedWorker[],
): Promise<void> {
  const { job, out, version } = toTrain;
  const { spec } = job;
  // Damaged data is said before a cluster is started for it. What Kasane brings along needs no second look.
  let preparation: Preparation = {};
  if (spec.data.path !== undefined) {
    const data = await loadData(job, anywhere);
    checkSteps(job, data);
    preparation = data.preparation;
  }
  if (options.profile !== undefined) {
    requireReplaceable(options.profile, 'profile', '--profile');
    requireApart(options.profile, '--profile', out, 'weights');
  }
  if (options.tensorboard !== undefined) requireApart(options.tensorboard, '--tensorboard', out, 'weights');
  const view = progressView();
  const say = (line: string) => view.write(`${line}\n`);
  for (const line of await notesBefore(toTrain, options)) say(line);
  const cluster = new EmbeddedCluster({
    workers: options.workers,
    slots: options.slots,
    threads: options.threads,
    backend: options.backend,
    gpuStorage: options.gpuStorage,
    profile: options.profile !== undefined,
    redisUrl: options.redis ?? process.env.REDIS_URL,
    forked,
    log: makeLog(options.logLevel, 'text', (lines) => view.write(lines)),
    say,
  });
  const pastDisk = new PastDisk({ cluster, out, version, say });
  let epochs = 0;
  let withoutProfile: unknown;
  const trained = await guarded(
    async () => {
      const { address } = await cluster.start();
      const client = new CoordinatorClient({ coordinator: address });
      const page = options.open ? await openDashboard(address, say) : undefined;
      try {
        const id = await client.submit(JSON.stringify(spec));
        const ended = await Promise.race([
          follow(client, id, {
            tensorboard: options.tensorboard,
            isEnough(now) {
              epochs = now.epoch;
              return pastDisk.isEnough(now);
            },
            view,
          }),
          cluster.failed,
        ]);
        let model = out;
        if (!pastDisk.ended) {
          requireSuccess(ended);
          try {
            model = deliver(ended.model, { out, version, say });
          } catch (error) {
            cluster.keepFiles();
            throw error;
          }
        }
        epochs = 0;
        withoutProfile = writeProfile(cluster.traces, options.profile, say);
        // A job shows a selection of many epochs; the report is of all.
        return pastDisk.ended ?? { ...ended, model, history: await client.epochs(ended.id) };
      } finally {
        client.close();
        await page?.close();
      }
    },
    () => cluster.close(),
  ).catch((error: unknown) => {
    if (epochs > 0 && !saysWhatBecomes(error)) say(`Note: ${progressLost('training')}`);
    throw error;
  });
  report(trained, spec, preparation, trained.model, options.json === true);
  if (withoutProfile) throw withoutProfile;
}

/** Whether an error that ends a training tells of its progress, or somebody wanted no more of it. */
const saysWhatBecomes = (error: unknown): boolean =>
  error instanceof KasaneError && (error.code === 'JOB_CANCELLED' || error.code === 'CANNOT_WRITE');

/** @returns why there is no profile where one was asked for: no reason to say nothing of the weights */
function writeProfile(
  traces: readonly string[],
  path: string | undefined,
  say: (line: string) => void,
): unknown {
  if (path === undefined) return undefined;
  try {
    say(`\n${expensiveLayers(joinTraces(traces, path))}\nProfile  ${resolve(path)}`);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** What is worth knowing before a training begins. */
async function notesBefore({ job, out, replaces }: JobToTrain, options: TrainOptions): Promise<string[]> {
  const { init, training } = job.spec;
  const start = init === undefined ? undefined : (await startingWeights(job, '', anywhere)).what;
  const idle = idleSlots(options, training.shards);
  return [
    ...(start ? [`Start: ${start}`] : []),
    ...(replaces ? [replacedNote(out)] : []),
    ...(idle ? [idle] : []),
  ];
}

/** Each slot computes a shard at a time: more slots than shards are of no use. Empty when none is. */
export function idleSlots(
  { workers, slots }: Pick<TrainOptions, 'workers' | 'slots'>,
  shards: number,
): string {
  const idle = workers * slots - shards;
  if (idle <= 0) return '';
  const all = count(workers * slots, 'slot');
  return `Note: ${idle} of ${all} will be idle, since a step of this job has ${count(shards, 'shard')}; use fewer, or increase training.shards (which changes the weights)`;
}

async function openDashboard(coordinator: string, say: (line: string) => void) {
  const { dashboardBeside, openBrowser } = await import('../dashboard/dashboard.ts');
  const page = await dashboardBeside({ port: 0, coordinator }, say);
  if (page) openBrowser(page.url);
  return page;
}

function report(
  job: JobMessage,
  spec: JobSpec,
  preparation: Preparation,
  model: string,
  json: boolean,
): void {
  const { stopEarly } = spec.training;
  const metric = metricOf(spec.objective);
  const last = stopEarly ? rankEpochs(job.history, { stopEarly, metric })[0]! : job.history.at(-1)!;
  const seconds = elapsedSeconds(job);
  // Over the whole training, the test at each epoch's end included; a short last batch counts as a whole one.
  const training = job.history.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const samplesPerSecond = Number(((job.step * spec.training.batch) / training).toPrecision(4));
  const digest = digestOf(model, job.digest);
  if (json) {
    const { id, step: steps, workers } = job;
    const { epoch: epochs, testLoss, testMetric, testMetrics } = last;
    const testAccuracy = metric === 'accuracy' ? testMetric : null;
    const record = {
      job: id,
      metric,
      testMetric,
      testAccuracy,
      testLoss,
      testMetrics,
      epochs,
      steps,
      seconds,
      samplesPerSecond,
      workers,
      digest,
      model,
    };
    out.lines(JSON.stringify(record));
    return;
  }
  const others = testMetricsLine(last.testMetrics, (error) => unitOf(preparation, error));
  out.lines(
    '',
    `Test ${metricName(job)} ${formatMetric(job, last.testMetric)}${unitOf(preparation, last.testMetric)} on the test set after ${count(last.epoch, 'epoch')} in ${took(seconds)}`,
    ...(others === undefined ? [] : [others]),
    `Weights  ${model}`,
    `SHA-256  ${digest}`,
  );
}
