/** Which trial is best, or which are. */
import {
  type Assignment,
  isMultiObjective,
  objectivesOf,
  type SearchSpec,
} from '@kasane/protocol/internal/job/search-schema';
import { better, type DecidedAction, lastOf, type Trial, trialsOf } from './actions.ts';
import { frontOf } from './front.ts';

export interface RankedTrial {
  readonly trial: number;
  readonly assignment: Assignment;
  /** After which the value was measured; 0 if there is none. */
  readonly epochs: number;
  /** The metric on the test data; undefined while there is none. */
  readonly value: number | undefined;
  readonly failed: boolean;
}

/** Best first: those that got furthest, then by value, then by number. Trials without a value follow, then those that failed. */
export function ranking(
  search: Pick<SearchSpec, 'metric'>,
  actions: readonly DecidedAction[],
): readonly RankedTrial[] {
  return [...trialsOf(search, actions)].sort(better).map((trial) => ranked(search, trial));
}

/**
 * The first of `ranking`, without the order of all the others; of several metrics, the first of the front. Undefined where there is no
 * trial.
 */
export function bestOf(
  search: Pick<SearchSpec, 'metric'>,
  actions: readonly DecidedAction[],
): RankedTrial | undefined {
  const trials = trialsOf(search, actions);
  const [onFront] = isMultiObjective(search) ? frontOf(trials) : [];
  if (onFront) return ranked(search, onFront);
  const [first, ...others] = trials;
  if (!first) return undefined;
  const best = others.reduce((before, trial) => (better(trial, before) < 0 ? trial : before), first);
  return ranked(search, best);
}

/** Of several metrics: the numbers of the trials that no other is better than in all of them, best in the first one first. Of one: none. */
export function frontNumbers(
  search: Pick<SearchSpec, 'metric'>,
  actions: readonly DecidedAction[],
): readonly number[] {
  if (!isMultiObjective(search)) return [];
  return frontOf(trialsOf(search, actions)).map(({ number }) => number);
}

function ranked(search: Pick<SearchSpec, 'metric'>, trial: Trial): RankedTrial {
  const last = lastOf(trial);
  return {
    trial: trial.number,
    assignment: trial.assignment,
    epochs: last?.[0] ?? 0,
    value: last && (objectivesOf(search)[0]!.minimize ? 1 : -1) * last[1],
    failed: trial.failedAt !== undefined,
  };
}
