/** Aggregates the answers to a step or a test: their sum, their rows in the ledger, the result of an epoch. */

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
  /** Number of losses in lossSum. */
  readonly counted: number;
  /** Divisor of lossSum and the gradient: the number of losses, or the sum of their weights. */
  readonly weight: number;
  readonly samplesDigest: number;
  /** Computation time in milliseconds, by the worker's clock. */
  readonly computeMs: number;
  /** For tests: the tally that other metrics are computed from. */
  readonly tally?: TallyNumbers;
  /** Its numbers were repeatedly not finite, and the job may skip it: it counts for nothing. */
  readonly leftOut?: boolean;
  /** Milliseconds from publishing the step's parameters to the claim of this attempt; negative if it was claimed earlier. */
  readonly claimedAfterMs: number;
  /** The same until its arrival. */
  readonly answeredAfterMs: number;
  /** Wait for samples and a free slot, by the worker's clock. */
  readonly samplesMs: number;
  readonly slotMs: number;
  /** Extra travel time, compared with the fastest answer of its worker. */
  readonly travelMs: number;
}

/** A worker's answer to an attempt, with times by the coordinator's clock. */
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

/** Adds answers along the tree of shards. `counted` is at least 1 and `weight` not 0, so that both can divide. */
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

/** What a step adds to its epoch: nothing if it is skipped, since its remainder depends on how shards are grouped into tasks. */
export const toAdd = (
  answers: readonly Answer[],
  { lossSum, metricSum, counted, weight }: ReturnType<typeof sum>,
): Required<Pick<Position, 'lossSum' | 'metricSum' | 'counted' | 'weight'>> =>
  answers.some(({ leftOut }) => leftOut)
    ? { lossSum: 0, metricSum: 0, counted: 0, weight: 0 }
    : { lossSum, metricSum, counted, weight };

/** Divisor of these answers' sums. */
export const weightOf = (answers: readonly Answer[]): number =>
  divisor(totalOf(answers.map(({ weight }) => weight)));

const totalOf = (numbers: readonly number[]): number =>
  numbers.length === 0 ? 0 : addAlongTree(numbers, (left, right) => left + right);

/** Avoids dividing by 0 if nothing counts. */
const divisor = (weight: number): number => (weight > 0 ? weight : 1);

/** Which samples counted in a training step, and which workers computed them. */
export function ledgerRows(plan: RunPlan, step: number, answers: readonly Answer[]): LedgerRow[] {
  const epoch = plan.epochOf(step);
  return plan.tasks(step).map(({ start, end }, shard) => {
    const { worker, attempt, samplesDigest } = answers[shard]!;
    return { step, shard, epoch, first: start, count: end - start, worker, attempt, samplesDigest };
  });
}

/** The tally of a test from its shards' answers, in order. */
export function tallyOf(
  { model, objective }: Pick<Job, 'model' | 'objective'>,
  answers: readonly Answer[],
): Tally {
  const tally = new Tally(objective.type, sizeOf(model.outputShape));
  for (const answer of answers) if (answer.tally) tally.merge(answer.tally);
  return tally;
}

/** Training loss and metric of an epoch. If all of its steps were skipped, worse than any number, like a test that overflows. */
function trainResult(
  { objective }: Pick<Job, 'objective'>,
  { lossSum, metricSum, counted, weight = counted }: Position,
): Pick<EpochResult, 'trainLoss' | 'trainMetric'> {
  if (counted > 0) return { trainLoss: lossSum / weight, trainMetric: metricSum / counted };
  const isFraction = metricKindOf[metricOf(objective)] === 'fraction';
  return { trainLoss: Number.POSITIVE_INFINITY, trainMetric: isFraction ? 0 : Number.POSITIVE_INFINITY };
}

/** Test loss and metric of an epoch. */
function testResult(
  { model, objective }: Pick<Job, 'model' | 'objective'>,
  answers: readonly Answer[],
  tally: Tally,
): Pick<EpochResult, 'testLoss' | 'testMetric' | 'testMetrics'> {
  const { lossSum, metricSum, counted, weight, samples } = sum(answers);
  // Deep networks may overflow in an early test, before running statistics have settled: worse than any number.
  const testLoss = Number.isNaN(lossSum) ? Number.POSITIVE_INFINITY : lossSum / weight;
  return {
    testLoss,
    testMetric: Number.isNaN(metricSum) ? Number.POSITIVE_INFINITY : metricSum / counted,
    testMetrics: testMetrics(objective, sizeOf(model.outputShape), tally, { samples, loss: testLoss }),
  };
}

/** The result of a completed epoch, counted from 1. */
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

/** Arguments of its event. */
export function epochArgs(
  { endedAt: _, testMetrics: __, ...result }: EpochResult,
  epochs: number,
  metric: MetricKind,
): EventArgs<'epoch'> {
  return { ...result, epochs, metric };
}

/** The metrics of a training step. */
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
