/** `kasane find-lr` on a cluster of this machine: a short training whose learning rate rises, and what its losses say. */
import { type CoordinatorClient, requireSuccess } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job as JobMessage } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Job } from '@kasane/protocol/job';
import { out } from '../../output/say.ts';
import { curve } from '../../render/braille.ts';
import { type MeasuringOptions, onMeasuringCluster } from '../train/measuring-cluster.ts';
import type { TrainOptions } from '../train/train.ts';
import type { ForkedWorker } from '../train/worker-processes.ts';
import { lasting, type Range } from './range-job.ts';
import { type Point, type RangeTest, rangeTest } from './range-test.ts';

type Options = Range & MeasuringOptions & Pick<TrainOptions, 'json'>;

/** Fewer steps say nothing. */
const FEWEST = 10;
/** Characters of the plot, and its lines. */
const [WIDTH, HEIGHT] = [72, 12];

/** @param forked workers with these options that wait for a coordinator */
export async function findLr(job: Job, options: Options, forked: readonly ForkedWorker[]): Promise<void> {
  const measured = await onMeasuringCluster(options, forked, (client, say) =>
    measure(client, job, options, say),
  );
  report(job, options, measured);
}

interface Measured {
  readonly points: readonly Point[];
  /** Why it ended before its last step; empty if it did not. */
  readonly error: string;
}

/** Trains for so many steps. @throws KasaneError JOB_FAILED where it fails before it says anything */
async function measure(
  client: CoordinatorClient,
  job: Job,
  { from, to, steps }: Range,
  say: (line: string) => void,
): Promise<Measured> {
  const { stepsPerEpoch } = await client.check(JSON.stringify(job.spec));
  const id = await client.submit(lasting(job, steps, stepsPerEpoch));
  say(`Learning rates from ${from} to ${to} in ${steps} steps of ${job.spec.training.batch} samples`);
  let last: JobMessage | undefined;
  for await (const now of client.watch(id)) {
    last = now;
    if (now.step >= steps) break;
  }
  const points = (await client.metricPoints(id)).slice(0, steps);
  const failed = last?.state === JobState.JOB_STATE_FAILED;
  if (last && points.length < (failed ? FEWEST : steps)) requireSuccess(last);
  if (!failed && points.length < steps)
    throw new KasaneError('PROTOCOL', `of ${steps} steps, ${points.length} were recorded`);
  return {
    points: points.map(({ step, learningRate, loss }) => ({ step, learningRate, loss })),
    error: failed ? last!.error : '',
  };
}

function report({ spec }: Job, range: Options, { points, error }: Measured): void {
  const test = rangeTest(points);
  const { suggestion, steepest, minimum } = test;
  const diverged = test.diverged || error !== '';
  if (range.json) {
    const { seed, batch } = spec.training;
    const minimumTenth = minimum === undefined ? null : minimum / 10;
    out.lines(
      JSON.stringify({
        ...{ name: spec.name, suggestion: suggestion ?? null, steepest: steepest ?? null },
        ...{ minimum: minimum ?? null, minimumTenth, diverged, error: error || null },
        ...{ steps: points.length, seed, batch, points: test.points },
      }),
    );
    return;
  }
  out.lines('', ...plot(test), '');
  if (suggestion === undefined || steepest === undefined || minimum === undefined) {
    out.lines(
      'The loss does not fall at any of these learning rates. Try a wider range (--from, --to) or more steps (--steps); if it still does not, check the data and the model.',
    );
    return;
  }
  out.lines(
    `Tenth of the minimum  ${rate(minimum / 10)} (the loss is lowest at ${rate(minimum)})`,
    `Steepest descent      ${rate(steepest)}`,
    ...(diverged
      ? []
      : [`The loss has not diverged up to ${rate(range.to)}; with a larger --to, you see where it does.`]),
    '',
    'Write into the job file (with the one-cycle schedule, it is the peak):',
    '  training:',
    `    learningRate: ${suggestion}`,
  );
}

const rate = (value: number): string => String(Number(value.toPrecision(2)));

/** The smoothed loss over the learning rate, whose scale is logarithmic; what is far above the first loss is cut off. */
function plot({ points, steepest, minimum }: RangeTest): readonly string[] {
  const losses = points.map(({ smoothed }) => smoothed);
  const lowest = Math.min(...losses);
  const highest = losses[0]! + Math.max(0, losses[0]! - lowest) / 2;
  const { lines, least, greatest } = curve(
    losses.map((loss) => Math.min(loss, highest)),
    WIDTH,
    HEIGHT,
  );
  const [top, bottom] = [greatest.toPrecision(4), least.toPrecision(4)];
  const margin = Math.max(top.length, bottom.length, 'loss'.length);
  const label = (line: number) =>
    line === 0 ? top : line === HEIGHT - 1 ? bottom : line === 1 ? 'loss' : '';
  const axis = [...' '.repeat(WIDTH)];
  for (const [at, mark] of [
    [minimum, 'm'],
    [steepest, 's'],
  ] as const) {
    const index = points.findIndex(({ learningRate }) => learningRate === at);
    if (index >= 0) axis[Math.floor((index * WIDTH) / points.length)] = mark;
  }
  const [first, last] = [rate(points[0]!.learningRate), rate(points.at(-1)!.learningRate)];
  const name = 'learning rate (s: steepest, m: minimum)';
  const room = WIDTH - first.length - last.length - name.length;
  return [
    ...lines.map((line, index) => `${label(index).padStart(margin)} ${line}`),
    ...(steepest === undefined ? [] : [`${' '.repeat(margin)} ${axis.join('').trimEnd()}`]),
    `${' '.repeat(margin)} ${first}${' '.repeat(Math.floor(room / 2))}${name}${' '.repeat(Math.ceil(room / 2))}${last}`,
  ];
}
