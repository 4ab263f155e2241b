/**
 * What a sweep does next: a pure function of what was decided before and what came of it.
 *
 * With `order: decided` it does not matter which trial was faster. Outcomes are looked at in the order in which they would come if
 * every epoch took as long: when an action is decided, those that would be there by then, even where others are. Where these give
 * nothing to do, the next one is looked at, and so on. So the list of actions is a function of the outcomes alone, and nobody waits
 * but for trials that are slower than others.
 */
import { bracketsOf, rungsOf } from '@kasane/protocol/internal/job/search-rungs';
import type { SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { type Action, type DecidedAction, trialsOf } from './actions.ts';
import { lastPromotion, promotion } from './halving.ts';
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
  // Looking at so many outcomes one after the other would take seconds, and none of them leads to anything any more.
  if (!search.halving && actions.length >= search.trials) return running > 0 ? 'wait' : 'done';
  if (search.order === 'arrival')
    return decideFrom(search, rungs, actions) ?? (running > 0 ? 'wait' : 'done');
  const order = endings(actions, search.atOnce);
  const unknown = order.findIndex((index) => !isKnown(actions[index]!));
  const needsNone = !search.halving && actions.length < samplerOf(search).firstInformed(search);
  const least = needsNone ? 0 : Math.max(0, actions.length - search.atOnce + 1);
  for (let visible = least; visible <= actions.length; visible++) {
    if (unknown >= 0 && visible > unknown) return 'wait';
    const action = decideFrom(search, rungs, actions, new Set(order.slice(0, visible)));
    if (action) return action;
  }
  return 'done';
}

/** Indexes of actions in the order in which they would end if every epoch took as long and none waited. */
function endings(actions: readonly Action[], atOnce: number): readonly number[] {
  const order: number[] = [];
  const running: { readonly index: number; readonly end: number }[] = [];
  const reached: number[] = [];
  let now = 0;
  const endFirst = () => {
    const first = running.reduce((a, b) => (b.end < a.end ? b : a));
    running.splice(running.indexOf(first), 1);
    order.push(first.index);
    now = first.end;
  };
  for (const [index, { trial, epochs }] of actions.entries()) {
    if (running.length === atOnce) endFirst();
    running.push({ index, end: now + epochs - (reached[trial] ?? 0) });
    reached[trial] = epochs;
  }
  while (running.length > 0) endFirst();
  return order;
}

/** What can be done when the outcomes of `visible` actions are known, by default of all that are. */
function decideFrom(
  search: SearchSpec,
  rungs: readonly number[],
  actions: readonly DecidedAction[],
  visible?: ReadonlySet<number>,
): Action | undefined {
  const trials = trialsOf(search, actions, visible);
  const promoted = promotion(search, rungs, trials);
  if (promoted) return promoted;
  const trial = trials.length;
  if (trial < search.trials) {
    const { sample, isReady } = samplerOf(search);
    if (isReady?.(search, trial, trials) === false) return undefined;
    const epochs = rungs[bracketsOf(search, rungs, trial + 1)[trial]!]!;
    return { kind: 'start', trial, ...sample(search, trial, trials), epochs };
  }
  const isOver = actions.every(
    ({ outcome }, index) => outcome !== undefined && (visible?.has(index) ?? true),
  );
  return isOver ? lastPromotion(rungs, trials) : undefined;
}
