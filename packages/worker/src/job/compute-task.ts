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
import { Abandoned, type Arrival, type Piece, type RunOutcome } from '../slots/slot.ts';
import type { LocalStep } from './local-steps.ts';

/** The result of a task: sums over its losses. */
export type TaskSums = Pick<TaskResult, 'lossSum' | 'metricSum' | 'counted' | 'computeMs'> & {
  weight: number;
};
const SUMS = ['lossSum', 'metricSum', 'counted', 'weight'] as const;

export interface TaskComputation {
  readonly slot: ComputeSlot;
  readonly session: ComputeSession;
  readonly task: Pick<TaskData, 'kind' | 'samples' | 'step' | 'shard' | 'shards'>;
  readonly samples: Samples;
  /** Seed of everything random. */
  readonly key: Uint32Array;
  /** Number of parts computed one after the other. */
  readonly parts: number;
  /** Called with the indices of parameters whose gradients are final. */
  readonly onReady: (parameters: readonly number[]) => void;
}

const none = (): TaskSums => ({ lossSum: 0, metricSum: 0, counted: 0, weight: 0, computeMs: 0 });

function add(sums: TaskSums, more: TaskSums): void {
  for (const name of SUMS) sums[name] += more[name];
  sums.computeMs += more.computeMs;
}

/** Computes a task's part of the test. @param tally accumulates its samples */
export async function computeTest(
  { slot, session, task, samples, key }: Omit<TaskComputation, 'parts' | 'onReady'>,
  tally: Tally,
): Promise<TaskSums> {
  const { x, target, ids } = samples;
  const piece: Piece = { request: { mode: 'evaluate', samples: task.samples }, start: 0 };
  const { pieces, computeMs, scores } = await slot.run(session, [piece], { x, target, ids, key }, () => {});
  tally.add(scores ?? [], target, scores ? task.samples : 0);
  return { ...pieces[0]!, computeMs };
}

/**
 * Computes the gradient of a task: of its shard, or of a group of shards, one after the other, added along their tree.
 * @param arrival of the version to compute with, if that is still arriving
 */
export async function computeGradient(
  { slot, session, task, samples, key, parts, onReady }: TaskComputation,
  arrival: Arrival | undefined,
): Promise<TaskSums> {
  const { x, target, ids } = samples;
  const inputs = { x, target, ids, key };
  const { shards } = task;
  if (!shards) {
    const pieces = piecesOf(task.kind, { start: 0, end: task.samples }, parts);
    return sumsOf(await slot.run(session, pieces, inputs, onReady, { arrival, task }));
  }
  const groups = rangesOfShards(shards).map((range, index) =>
    piecesOf(task.kind, range, parts, shardSum(index, shards.length)),
  );
  const outcome = await slot.run(session, groups.flat(), inputs, onReady, { arrival });
  let end = 0;
  const found = groups.map(({ length }) => {
    end += length;
    // Rounded as if each shard were a task of its own.
    return rounded(sumsOf({ pieces: outcome.pieces.slice(end - length, end), computeMs: 0 }));
  });
  return { ...addAlongTree(found, both), computeMs: outcome.computeMs };
}

/** What a shard's samples are computed in. @param shard what becomes of the gradient in a group of shards */
function piecesOf(mode: Piece['request']['mode'], range: Range, parts: number, shard?: ShardSum): Piece[] {
  const ranges = cut(range, parts);
  return ranges.map(({ start, end }, index) => {
    const isLast = index === ranges.length - 1;
    return {
      ...{ request: { mode, samples: end - start }, start },
      use: ranges.length === 1 ? 'all' : isLast ? 'last' : index === 0 ? 'first' : 'more',
      ...(shard && { shard }),
    };
  });
}

function sumsOf({ pieces, computeMs }: Pick<RunOutcome, 'pieces' | 'computeMs'>): TaskSums {
  const sums = { ...none(), computeMs };
  for (const piece of pieces) for (const name of SUMS) sums[name] += piece[name];
  return sums;
}

/** Sums as float32, which is how the coordinator receives them: the sum of several parts may become infinite. */
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

/** State of a round, and callbacks between its steps. */
export interface RoundOptions {
  /** The initial state of the round: parameters and optimizer state. */
  readonly version: Float32Array;
  /** Layout of both, and of the gradient. */
  readonly exchanged: readonly ParameterSpec[];
  /** The replica's steps, in order. */
  readonly steps: readonly LocalStep[];
  /** Whether the round is not needed any more. */
  readonly isVoid: () => boolean;
  /** Called with the number of completed steps. */
  readonly onStep: (done: number) => void;
}

/**
 * Computes a round of one replica: takes its steps one after the other, and leaves the changes in `slot.exchanged`.
 * @throws Abandoned if it is not needed any more
 */
export async function computeRound(
  computation: TaskComputation,
  { version, exchanged, steps, isVoid, onStep }: RoundOptions,
): Promise<TaskSums> {
  const { slot, session, task, samples, key, onReady } = computation;
  const inputs = { x: samples.x, target: samples.target, ids: samples.ids, key };
  const sums = none();
  // The replica's parameters overwrite those of the version.
  session.holds = undefined;
  slot.exchanged(session).set(version);
  await slot.update(session, { kind: 'begin' });
  for (const [index, { step, range, learningRate }] of steps.entries()) {
    if (isVoid()) throw new Abandoned();
    const pieces = piecesOf(task.kind, range, computation.parts);
    const found = sumsOf(await slot.run(session, pieces, inputs, () => {}));
    add(sums, found);
    const factor = Math.fround(1 / (found.weight > 0 ? found.weight : 1));
    await slot.update(session, { kind: 'step', step, learningRate, factor });
    onStep(index + 1);
  }
  await slot.update(session, { kind: 'end', weight: Math.fround(sums.weight), task });
  onReady(exchanged.map((_, index) => index));
  return sums;
}
