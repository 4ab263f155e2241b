/** `kasane find-batch` on a cluster of this machine: batches of growing size, as far as they fit and as long as they are faster. */
import type { CoordinatorClient } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import type { CheckResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Job } from '@kasane/protocol/job';
import { hasEnded } from '@kasane/protocol/job-state';
import { out } from '../../output/say.ts';
import { table } from '../../render/table.ts';
import { type MeasuringOptions, onMeasuringCluster } from '../train/measuring-cluster.ts';
import type { TrainOptions } from '../train/train.ts';
import type { ForkedWorker } from '../train/worker-processes.ts';
import { leastBatch, type Sizes, withBatch } from './batch-job.ts';
import { FEWEST_STEPS, fastest, hasStopped, type Measured, speedOf, suggested } from './sizes.ts';

type Options = Sizes & MeasuringOptions & Pick<TrainOptions, 'json'>;

/** Steps of a size at most: of small ones there are many in a second. */
const MOST_STEPS = 2_000;

/** What was found. */
interface Found {
  readonly sizes: readonly Measured[];
  /** The largest batch that fits; undefined if no limit was met. */
  readonly largest: number | undefined;
  /** Why no larger one was measured. */
  readonly limit: string;
}

/** @param forked workers with these options that wait for a coordinator */
export async function findBatch(job: Job, options: Options, forked: readonly ForkedWorker[]): Promise<void> {
  const found = await onMeasuringCluster(options, forked, (client, say) =>
    measureAll(client, job, options, say),
  );
  report(job, options, found);
}

async function measureAll(
  client: CoordinatorClient,
  job: Job,
  { from = leastBatch(job), to = Number.POSITIVE_INFINITY, seconds }: Options,
  say: (line: string) => void,
): Promise<Found> {
  const sizes: Measured[] = [];
  const end = (limit: string, largest?: number): Found => ({ sizes, largest, limit });
  for (let batch = from; batch <= to; batch *= 2) {
    const plan = await planOf(client, job, batch);
    if ('refused' in plan) {
      // Of the first one it is all that there is to say.
      if (sizes.length === 0) throw plan.refused;
      const limit = `a batch of ${batch}: ${plan.refused.message}`;
      return end(limit, await largestOf(client, job, sizes.at(-1)!.batch, batch));
    }
    if (plan.stepsPerEpoch < FEWEST_STEPS) {
      if (sizes.length === 0)
        throw new KasaneError(
          'USAGE',
          `${plan.trainingSamples} training samples are too few to measure batches of ${batch}: expected at least ${FEWEST_STEPS} steps per epoch`,
        );
      return end(`an epoch would have fewer than ${FEWEST_STEPS} steps`);
    }
    const measured = await measure(client, job, batch, seconds, plan);
    if (typeof measured === 'string') {
      if (sizes.length === 0) throw new KasaneError('JOB_FAILED', measured);
      return end(`a batch of ${batch}: ${measured}`, sizes.at(-1)!.batch);
    }
    sizes.push(measured);
    say(`Batch ${batch}: ${speed(measured.samplesPerSecond)} samples/s`);
    if (to === Number.POSITIVE_INFINITY && hasStopped(sizes))
      return end('larger batches are no longer faster');
  }
  return end('--to');
}

/** What a batch would be, or why it cannot be. */
async function planOf(
  client: CoordinatorClient,
  job: Job,
  batch: number,
): Promise<CheckResponse | { readonly refused: KasaneError }> {
  try {
    return await client.check(withBatch(job, batch));
  } catch (error) {
    if (error instanceof KasaneError && (error.code === 'LIMIT' || error.code === 'JOB_INVALID'))
      return { refused: error };
    throw error;
  }
}

/** The largest batch between one that fits and one that does not: whole samples for each part. */
async function largestOf(
  client: CoordinatorClient,
  job: Job,
  fits: number,
  refused: number,
): Promise<number> {
  const each = leastBatch(job);
  let [low, high] = [Math.floor(fits / each), Math.ceil(refused / each)];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ('refused' in (await planOf(client, job, middle * each))) high = middle;
    else low = middle;
  }
  return Math.max(fits, low * each);
}

/** Trains with a batch for a while. Returns its speed, or why that failed. */
async function measure(
  client: CoordinatorClient,
  job: Job,
  batch: number,
  seconds: number,
  { stepsPerEpoch }: CheckResponse,
): Promise<Measured | string> {
  const { shards } = job.spec.training;
  const epochs = Math.ceil(MOST_STEPS / stepsPerEpoch);
  const id = await client.submit(withBatch(job, batch, epochs));
  const sizes = { batch, shards, stepsPerEpoch };
  let began: number | undefined;
  let error = '';
  for await (const now of client.watch(id)) {
    ({ error } = now);
    if (hasEnded(now.state)) break;
    if (now.step > 0) began ??= performance.now();
    if (began === undefined || performance.now() - began < 1000 * seconds) continue;
    // Large batches take their time: an epoch has two steps at least that count.
    if (now.step > stepsPerEpoch || speedOf(await client.metricPoints(id), sizes)) break;
  }
  if (error !== '') return error;
  const measured = speedOf(await client.metricPoints(id), sizes);
  await client.cancel(id).catch((refused: unknown) => {
    if (!(refused instanceof KasaneError && refused.code === 'JOB_STATE')) throw refused;
  });
  return measured ?? 'no step could be measured';
}

function report({ spec }: Job, options: Options, { sizes, largest, limit }: Found): void {
  const [best, chosen] = [fastest(sizes), suggested(sizes)];
  const { shards } = spec.training;
  if (options.json) {
    const record = {
      ...{ name: spec.name, suggestion: chosen?.batch ?? null, fastest: best?.batch ?? null },
      ...{ largest: largest ?? null, limit, shards, sizes },
    };
    out.lines(JSON.stringify(record));
    return;
  }
  const rows = sizes.map(({ batch, shardSamples, samplesPerSecond, stepMs, computeMs }) => [
    String(batch),
    String(shardSamples),
    speed(samplesPerSecond),
    stepMs.toFixed(1),
    computeMs.toFixed(1),
    batch === chosen?.batch ? '<' : '',
  ]);
  const head = ['BATCH', 'PER SHARD', 'SAMPLES/S', 'STEP MS', 'COMPUTE MS', ''];
  out.lines('', ...table(head, rows).split('\n'), '');
  if (largest !== undefined) out.lines(`Largest batch that fits  ${largest}`);
  out.lines(`Not measured further     ${limit}`);
  if (!chosen || !best) return;
  const share = Math.round((100 * chosen.samplesPerSecond) / best.samplesPerSecond);
  out.lines(
    `Batch ${chosen.batch} reaches ${share} % of the highest speed, with ${options.workers * options.slots} slots on this machine.`,
    '',
    'To use it, write into the job file (this changes the result; see `kasane find-lr` for a learning rate that fits):',
    '  training:',
    `    batch: ${chosen.batch}`,
  );
}

const speed = (samplesPerSecond: number): string =>
  Number(samplesPerSecond.toPrecision(3)).toLocaleString('en');
