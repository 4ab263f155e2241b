/** Keeps non-finite numbers out of the weights: the shard is computed by another worker, or its step is skipped. */
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
 * The answers of a training step; the parameter server has reduced their gradients. All numbers are finite unless the step is skipped.
 * Rejects if the job cannot continue.
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

/** Whether one more step may be skipped, of at most `most`. */
export function mayLeaveOut(before: Position, most: number, why: string, log: Pick<Logger, 'warn'>): boolean {
  const count = (before.leftOut ?? 0) + 1;
  if (count > most) return false;
  log.warn(`skipping the update of ${why} (skipped: ${count} of at most ${most})`);
  return true;
}

/** The number of skipped steps, as a position stores it. */
export function leftOut(before: Position, oneMore: boolean): Pick<Position, 'leftOut'> {
  const count = (before.leftOut ?? 0) + (oneMore ? 1 : 0);
  return count > 0 ? { leftOut: count } : {};
}

/** Floats checked per turn of the event loop. */
const AT_ONCE = 1 << 22;

/** Suggested fix for diverging training. @param every local steps per round */
export const rightOfDiverged = (every: number): string =>
  `reduce training.learningRate${every > 1 ? ' or exchange.outer.learningRate' : ''}, or set training.clipNorm`;

/** Suggested fix for non-finite numbers. Before the first update, the learning rate cannot be the cause. */
export const rightOfNotFinite = (step: number, every: number): string =>
  step > 0 || every > 1
    ? rightOfDiverged(every)
    : 'the weights had not been updated yet: look for extreme values in the data, in `init` and in what the model computes, such as a logarithm of 0';

/** Rejects with JOB_FAILED if an update made weights overflow, which can happen even with finite gradients and losses. */
export async function requireFinite(
  model: Model,
  parameters: Float32Array,
  step: number,
  every = 1,
): Promise<void> {
  for (let from = 0; from < parameters.length; from += AT_ONCE) {
    const end = Math.min(parameters.length, from + AT_ONCE);
    // x - x is 0 for finite numbers and NaN otherwise, and NaN is preserved by additions.
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
