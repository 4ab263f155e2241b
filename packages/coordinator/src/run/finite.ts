/** Numbers that are not finite never reach the weights: the shard is asked of another worker, or its step is left out. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KasaneError } from '@kasane/protocol/errors';
import { notFinite } from '@kasane/tensor/io/adopt';
import type { Model } from '@kasane/tensor/nn/model';
import type { Logger } from 'pino';
import type { Position } from '../params/checkpoint.ts';
import type { ParameterServer } from '../params/parameter-server.ts';
import { type Answer, weightOf } from './answers.ts';
import type { TaskBoard } from './board.ts';

/**
 * The answers of a training step and, reduced in the parameter server, the gradient they add up to: all of it finite, unless the
 * step is left out. Rejects when the job cannot go on.
 */
export async function finiteAnswers(
  board: Pick<TaskBoard, 'settled' | 'refuse'>,
  parameters: Pick<ParameterServer, 'reduce' | 'withdraw'>,
  step: number,
): Promise<readonly Answer[]> {
  for (;;) {
    const answers = await board.settled('train', step);
    if (answers.some(({ leftOut }) => leftOut)) return answers;
    const found = parameters.reduce(answers.length, weightOf(answers));
    const bad = new Map(
      found.map(({ shard, layer }) => [shard, `the gradient of layer ${layer} is not finite`]),
    );
    for (const [shard, { lossSum }] of answers.entries()) {
      if (Number.isFinite(lossSum)) continue;
      const gradient = bad.get(shard);
      bad.set(shard, `the loss is ${lossSum}${gradient ? `, ${gradient}` : ''}`);
    }
    if (bad.size === 0) return answers;
    for (const [shard, why] of bad) {
      parameters.withdraw(shard);
      board.refuse(step, shard, why);
    }
  }
}

/** Whether one more step may be left out, for this reason, where `most` may be. */
export function mayLeaveOut(before: Position, most: number, why: string, log: Pick<Logger, 'warn'>): boolean {
  const count = (before.leftOut ?? 0) + 1;
  if (count > most) return false;
  log.warn(`skipping the update of ${why} (skipped: ${count} of at most ${most})`);
  return true;
}

/** How many steps have been left out, as a position has it. */
export function leftOut(before: Position, oneMore: boolean): Pick<Position, 'leftOut'> {
  const count = (before.leftOut ?? 0) + (oneMore ? 1 : 0);
  return count > 0 ? { leftOut: count } : {};
}

/** Floats that are looked at in one turn of the event loop. */
const AT_ONCE = 1 << 22;

/** What helps a training that diverges. @param every local steps of a round */
export const rightOfDiverged = (every: number): string =>
  `reduce training.learningRate${every > 1 ? ' or exchange.outer.learningRate' : ''}, or set training.clipNorm`;

/** What helps where numbers are not finite. Before the first update, the learning rate has had no part in them. */
export const rightOfNotFinite = (step: number, every: number): string =>
  step > 0 || every > 1
    ? rightOfDiverged(every)
    : 'the weights had not been updated yet: look for extreme values in the data, in `init` and in what the model computes, such as a logarithm of 0';

/** Rejects with JOB_FAILED when an update made weights overflow: gradients and losses before it were finite all the same. */
export async function requireFinite(
  model: Model,
  parameters: Float32Array,
  step: number,
  every = 1,
): Promise<void> {
  for (let from = 0; from < parameters.length; from += AT_ONCE) {
    const end = Math.min(parameters.length, from + AT_ONCE);
    // What is not finite minus itself is NaN, and stays it.
    let zero = 0;
    for (let i = from; i < end; i++) zero += parameters[i]! - parameters[i]!;
    if (zero !== 0)
      throw new KasaneError(
        'JOB_FAILED',
        `after step ${step}: ${notFinite(model, parameters)}: training has diverged; ${rightOfDiverged(every)}`,
      );
    if (end < parameters.length) await nextTurn();
  }
}
