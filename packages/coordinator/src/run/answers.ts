/** What the answers to a step or a test come to: their sum, their rows in the ledger, the result of an epoch. */

import type { EpochResult, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { TaskResult } from '@kasane/protocol/gen/kasane/v1/training';
import type { EventArgs } from '@kasane/protocol/internal/events/events';
import type { Job } from '@kasane/protocol/job';
import { addAlongTree } from '@kasane/tensor/internal/ops/shard-tree';
import { Tally, type TallyNumbers, testMetrics } from '@kasane/tensor/internal/tally';
import { type MetricKind, metricKindOf, metricOf } from '@kasane/tensor/objective';
import { sizeOf } from '@kasane/tensor/shape';
import type { Position } from '../params/checkpoint.ts';
import type { LayerChange } from '../params/layer-stats.ts';
import type { LedgerRow } from '../store/ledger-rows.ts';
import type { RunPlan } from './plan.ts';

/** The first answer to a task. */
export interface Answer {
  readonly worker: string;
  readonly attempt: number;
  readonly samples: number;
  readonly lossSum: number;
  readonly metricSum: number;
  /** How many losses lossSum has. */
  readonly counted: number;
  /** What lossSum and the gradient are of: as many, or the sum of the losses' weights. */
  readonly weight: number;
  readonly samplesDigest: number;
  /** Milliseconds that the computation took, by the worker's clock. */
  readonly computeMs: number;
  /** Of a test: its tally, which other metrics follow from. */
  readonly tally?: TallyNumbers;
  /** Its numbers were not finite, again and again, and the job may go on without them: it counts for nothing. */
  readonly leftOut?: boolean;
  /** Milliseconds from the publishing of the step's parameters to the claim of this attempt; negative when it was early. */
  readonly claimedAfterMs: number;
  /** The same to its arrival. */
  readonly answeredAfterMs: number;
  /** How long samples and a free slot took, by the worker's clock. */
  readonly samplesMs: number;
  readonly slotMs: number;
  /** How much longer the answer travelled than the fastest one of its worker. */
  readonly travelMs: number;
}

/** A worker's answer to an attempt, with what the coordinator's clock says of it. */
export function toAnswer(
  worker: string,
  attempt: number,
  result: Omit<TaskResult, 'task'>,
  times: Pick<Answer, 'claimedAfterMs' | 'answeredAfterMs' | 'travelMs'>,
): Answer {
  const { samples, lossSum, metricSum, counted, weight = counted, samplesDigest } = result;
  const { computeMs, samplesMs, slotMs } = result;
  const told = { samples, lossSum, metricSum, counted, weight, samplesDigest, computeMs, samplesMs, slotMs };
  const tally = { counts: result.testCounts, sums: result.testSums };
  return {
    worker,
    attempt,
    ...told,
    ...(tally.counts.length + tally.sums.length > 0 && { tally }),
    ...times,
  };
}

/** Adds up answers along the tree of shards. `counted` is at least 1 and `weight` not 0: they divide. */
export function sum(answers: readonly Answer[]) {
  const total = (of: (answer: Answer) => number) => totalOf(answers.map(of));
  return {
    lossSum: total(({ lossSum }) => lossSum),
    metricSum: total(({ metricSum }) => metricSum),
    counted: Math.max(
      1,
      total(({ counted }) => counted),
    ),
    weight: weightOf(answers),
    samples: total(({ samples }) => samples),
    computeMs: total(({ computeMs }) => computeMs),
  };
}

/** What a step adds to its epoch: nothing if it is left out, since the rest of it depends on how its shards are grouped into tasks. */
export const toAdd = (
  answers: readonly Answer[],
  { lossSum, metricSum, counted, weight }: ReturnType<typeof sum>,
): Required<Pick<Position, 'lossSum' | 'metricSum' | 'counted' | 'weight'>> =>
  answers.some(({ leftOut }) => leftOut)
    ? { lossSum: 0, metricSum: 0, counted: 0, weight: 0 }
    : { lossSum, metricSum, counted, weight };

/** What the sums of these answers are divided by. */
export const weightOf = (answers: readonly Answer[]): number =>
  divisor(totalOf(answers.map(({ weight }) => weight)));

const totalOf = (numbers: readonly number[]): number =>
  numbers.length === 0 ? 0 : addAlongTree(numbers, (left, right) => left + right);

/** What sums of such a weight are divided by: where nothing counts there is nothing to divide. */
const divisor = (weight: number): number => (weight > 0 ? weight : 1);

/** Which samples counted in a training step, and whose answers they were. */
export function ledgerRows(plan: RunPlan, step: number, answers: readonly Answer[]): LedgerRow[] {
  const epoch = plan.epochOf(step);
  return plan.tasks(step).map(({ start, end }, shard) => {
    const { worker, attempt, samplesDigest } = answers[shard]!;
    return { step, shard, epoch, first: start, count: end - start, worker, attempt, samplesDigest };
  });
}

/** The tally of a test, of whose shards these are the answers, in order. */
export function tallyOf(
  { model, objective }: Pick<Job, 'model' | 'objective'>,
  answers: readonly Answer[],
): Tally {
  const tally = new Tally(objective.type, sizeOf(model.outputShape));
  for (const answer of answers) if (answer.tally) tally.merge(answer.tally);
  return tally;
}

/** What the steps of an epoch come to. Where all of them were left out it is worse than any number, as for a test that overflows. */
function trainResult(
  { objective }: Pick<Job, 'objective'>,
  { lossSum, metricSum, counted, weight = counted }: Position,
): Pick<EpochResult, 'trainLoss' | 'trainMetric'> {
  if (counted > 0) return { trainLoss: lossSum / weight, trainMetric: metricSum / counted };
  const isFraction = metricKindOf[metricOf(objective)] === 'fraction';
  return { trainLoss: Number.POSITIVE_INFINITY, trainMetric: isFraction ? 0 : Number.POSITIVE_INFINITY };
}

/** What such a test comes to. */
function testResult(
  { model, objective }: Pick<Job, 'model' | 'objective'>,
  answers: readonly Answer[],
  tally: Tally,
): Pick<EpochResult, 'testLoss' | 'testMetric' | 'testMetrics'> {
  const { lossSum, metricSum, counted, weight, samples } = sum(answers);
  // Deep networks may overflow in a first test, before running statistics have settled: worse than any number.
  const testLoss = Number.isNaN(lossSum) ? Number.POSITIVE_INFINITY : lossSum / weight;
  return {
    testLoss,
    testMetric: Number.isNaN(metricSum) ? Number.POSITIVE_INFINITY : metricSum / counted,
    testMetrics: testMetrics(objective, sizeOf(model.outputShape), tally, { samples, loss: testLoss }),
  };
}

/** An epoch, counted from 1, of which all steps have been done and the test answered. */
export function epochResult(
  job: Pick<Job, 'model' | 'objective'>,
  train: Position,
  test: { readonly answers: readonly Answer[]; readonly tally: Tally },
  { epoch, seconds, endedAt }: Pick<EpochResult, 'epoch' | 'seconds' | 'endedAt'>,
): EpochResult {
  return {
    epoch,
    ...trainResult(job, train),
    ...testResult(job, test.answers, test.tally),
    seconds,
    endedAt,
  };
}

/** What is recorded of it. */
export function epochArgs(
  { endedAt: _, testMetrics: __, ...result }: EpochResult,
  epochs: number,
  metric: MetricKind,
): EventArgs<'epoch'> {
  return { ...result, epochs, metric };
}

/** What is shown of a training step. */
export function stepPoint(
  answers: readonly Answer[],
  changes: readonly LayerChange[],
  of: Pick<
    StepMetrics,
    'step' | 'learningRate' | 'samplesPerSecond' | 'stepMs' | 'reduceMs' | 'applyMs' | 'publishMs'
  >,
): StepMetrics {
  const { lossSum, metricSum, counted, weight } = sum(answers);
  return {
    ...of,
    time: Date.now(),
    loss: lossSum / weight,
    metric: metricSum / counted,
    gradientNorm: Math.hypot(...changes.map(({ gradientNorm }) => gradientNorm)),
    computeMs: Math.max(...answers.map(({ computeMs }) => computeMs)),
    layers: [...changes],
    workers: answers.map(({ worker }) => worker),
    shards: answers.map((answer) => ({
      attempt: answer.attempt,
      claimedMs: answer.claimedAfterMs,
      answeredMs: answer.answeredAfterMs,
      samplesMs: answer.samplesMs,
      slotMs: answer.slotMs,
      computeMs: answer.computeMs,
      gradientsMs: answer.travelMs,
    })),
  };
}
