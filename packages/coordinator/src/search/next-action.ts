/**
 * What a sweep does next: a pure function of what was decided before and what came of it.
 *
 * With `order: decided`, action number i is decided from the outcomes of the first i - atOnce + 1 actions only, even where later
 * ones are known, so that it does not matter which trial was faster. Where these give nothing to do, one outcome more is looked at,
 * and so on. So the list of actions is a function of the outcomes alone.
 */
import type { SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { type Action, type DecidedAction, trialsOf } from './actions.ts';
import { lastPromotion, promotion, rungsOf } from './halving.ts';
import { samplerOf } from './samplers.ts';

/**
 * The next thing to do after `actions`, in the order in which they were decided.
 * @param epochs of a whole training
 * @returns 'wait' for an outcome; 'done' when all are known and nothing is left
 */
export function nextAction(
  search: SearchSpec,
  epochs: number,
  actions: readonly DecidedAction[],
): Action | 'wait' | 'done' {
  const rungs = rungsOf(search, epochs);
  const isKnown = ({ outcome }: DecidedAction) => outcome !== undefined;
  const running = actions.filter((action) => !isKnown(action)).length;
  if (running >= search.atOnce) return 'wait';
  const decide = (visible: number) => decideFrom(search, rungs, actions, visible);
  if (search.order === 'arrival') {
    // Later outcomes are as good as earlier ones: none is hidden, and those that are missing are skipped.
    return decide(actions.length) ?? (running > 0 ? 'wait' : 'done');
  }
  const unknown = actions.findIndex((action) => !isKnown(action));
  const known = unknown < 0 ? actions.length : unknown;
  const needsNone = !search.halving && actions.length < samplerOf(search).firstInformed(search);
  const least = needsNone ? 0 : Math.max(0, actions.length - search.atOnce + 1);
  for (let visible = least; visible <= actions.length; visible++) {
    if (visible > known) return 'wait';
    const action = decide(visible);
    if (action) return action;
  }
  return 'done';
}

/** What can be done when the outcomes of the first `visible` actions are known. */
function decideFrom(
  search: SearchSpec,
  rungs: readonly number[],
  actions: readonly DecidedAction[],
  visible: number,
): Action | undefined {
  const trials = trialsOf(search, actions, visible);
  const promoted = promotion(search, rungs, trials);
  if (promoted) return promoted;
  const trial = trials.length;
  if (trial < search.trials) {
    const assignment = samplerOf(search).sample(search, trial, trials);
    return { kind: 'start', trial, assignment, epochs: rungs[0]! };
  }
  const isOver = actions.every(({ outcome }, index) => index < visible && outcome !== undefined);
  return isOver ? lastPromotion(rungs, trials) : undefined;
}
