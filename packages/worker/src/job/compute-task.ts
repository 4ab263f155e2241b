/** Computes a task in a slot: a gradient, part of a test, or a round of local steps. */
import { cut, type Range } from '@kasane/data/plan';
import type { TaskResult } from '@kasane/protocol/gen/kasane/v1/training';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import { addAlongTree } from '@kasane/tensor/internal/ops/shard-tree';
import type { Tally } from '@kasane/tensor/internal/tally';
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import { rangesOfShards } from '../samples/sample-reader.ts';
import type { Samples } from '../samples/samples.ts';
import type { ComputeSession, ComputeSlot } from '../slots/compute-slots.ts';
import { type ShardSum, shardSum } from '../slots/gradient-sums.ts';
import { Abandoned, type Arrival, type GradientTask } from '../slots/slot.ts';
import type { LocalStep } from './local-steps.ts';

/** What a task comes to: sums over its losses. */
export type TaskSums = Pick<TaskResult, 'lossSum' | 'metricSum' | 'counted' | 'computeMs'> & {
  weight: number;
};
const SUMS = ['lossSum', 'metricSum', 'counted', 'weight', 'computeMs'] as const;

export interface TaskComputation {
  readonly slot: ComputeSlot;
  readonly session: ComputeSession;
  readonly task: Pick<TaskData, 'kind' | 'samples' | 'step' | 'shard' | 'shards'>;
  readonly samples: Samples;
  /** Of everything random. */
  readonly key: Uint32Array;
  /** Parts that are computed one after the other. */
  readonly parts: number;
  /** Parameters, by index, whose gradients have become final. */
  readonly onReady: (parameters: readonly number[]) => void;
}

const none = (): TaskSums => ({ lossSum: 0, metricSum: 0, counted: 0, weight: 0, computeMs: 0 });

function add(sums: TaskSums, more: TaskSums): void {
  for (const name of SUMS) sums[name] += more[name];
}

/** A task's part of the test. @param tally takes in its samples */
export async function computeTest(
  { slot, session, task, samples, key }: Omit<TaskComputation, 'parts' | 'onReady'>,
  tally: Tally,
): Promise<TaskSums> {
  const { x, target, ids } = samples;
  const request = { mode: 'evaluate', samples: task.samples } as const;
  const { scores, ...sums } = await slot.run(session, request, { x, target, ids, key }, () => {});
  tally.add(scores ?? [], target, scores ? task.samples : 0);
  return sums;
}

/**
 * The gradient of a task: of its shard, or of a group of shards, which are computed one after the other and added along their tree.
 * @param arrival of the version that it computes with, if that is still arriving
 */
export async function computeGradient(
  computation: TaskComputation,
  arrival: () => Arrival | undefined,
): Promise<TaskSums> {
  const { task, onReady } = computation;
  if (!task.shards)
    return computeRange(computation, { start: 0, end: task.samples }, { arrival, onReady, rounded: task });
  const found: TaskSums[] = [];
  for (const [index, range] of rangesOfShards(task.shards).entries()) {
    const shard = shardSum(index, task.shards.length);
    const ready = shard.isKept ? () => {} : onReady;
    // As a task of its own would say it.
    found.push(rounded(await computeRange(computation, range, { arrival, onReady: ready, shard })));
  }
  return addAlongTree(found, both);
}

/** Sums as floats, as the coordinator gets them: a sum of several parts may become infinite, as one within a part may. */
export const rounded = (sums: TaskSums): TaskSums => ({
  ...sums,
  lossSum: Math.fround(sums.lossSum),
  metricSum: Math.fround(sums.metricSum),
  weight: Math.fround(sums.weight),
});

function both(left: TaskSums, right: TaskSums): TaskSums {
  const sums = { ...left };
  add(sums, right);
  return sums;
}

/** What a round is asked, and says, between its steps. */
export interface RoundOptions {
  /** What the round begins with: parameters, and the state of the optimizer. */
  readonly version: Float32Array;
  /** Both of these, of which the gradient is. */
  readonly exchanged: readonly ParameterSpec[];
  /** Of the replica, in order. */
  readonly steps: readonly LocalStep[];
  /** Whether nobody needs the round any more. */
  readonly isVoid: () => boolean;
  /** So many steps are done. */
  readonly onStep: (done: number) => void;
}

/**
 * A round of one replica: takes the steps one after the other, and leaves what they have changed in `slot.exchanged`.
 * @throws Abandoned when nobody does
 */
export async function computeRound(
  computation: TaskComputation,
  { version, exchanged, steps, isVoid, onStep }: RoundOptions,
): Promise<TaskSums> {
  const { slot, session, onReady } = computation;
  const sums = none();
  // The replica's parameters take the place of those that came.
  session.holds = undefined;
  slot.exchanged(session).set(version);
  await slot.update(session, { kind: 'begin' });
  for (const [index, { step, range, learningRate }] of steps.entries()) {
    if (isVoid()) throw new Abandoned();
    const found = await computeRange(computation, range);
    add(sums, found);
    const factor = Math.fround(1 / (found.weight > 0 ? found.weight : 1));
    await slot.update(session, { kind: 'step', step, learningRate, factor });
    onStep(index + 1);
  }
  await slot.update(session, { kind: 'end', weight: Math.fround(sums.weight), task: computation.task });
  onReady(exchanged.map((_, index) => index));
  return sums;
}

interface RangeOptions {
  readonly arrival?: () => Arrival | undefined;
  readonly onReady?: TaskComputation['onReady'];
  /** The task by which the gradient is rounded, where its job has that. Default: it is not. */
  readonly rounded?: GradientTask;
  /** What becomes of the gradient in a group of shards. Default: it is the task's. */
  readonly shard?: ShardSum;
}

/** The gradient of some of a task's samples, which takes in all of its parts. */
async function computeRange(
  { slot, session, task, samples, key, parts }: TaskComputation,
  range: Range,
  { arrival = () => undefined, onReady = () => {}, rounded, shard }: RangeOptions = {},
): Promise<TaskSums> {
  const { x, target, ids } = samples;
  const ranges = cut(range, parts);
  const sums = none();
  for (const [index, { start, end }] of ranges.entries()) {
    const of = <T extends Samples['x' | 'target' | 'ids']>(all: T) =>
      all.subarray((start * all.length) / task.samples, (end * all.length) / task.samples) as T;
    const isLast = index === ranges.length - 1;
    const outcome = await slot.run(
      session,
      { mode: task.kind, samples: end - start },
      { x: of(x), target: of(target), ids: of(ids), key },
      isLast ? onReady : () => {},
      {
        use: ranges.length === 1 ? 'all' : isLast ? 'last' : index === 0 ? 'first' : 'more',
        ...{ arrival: arrival(), task: rounded, ...(shard && { shard }) },
      },
    );
    add(sums, outcome);
  }
  return sums;
}
