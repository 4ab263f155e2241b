/**
 * The tree-structured Parzen estimator (Bergstra et al. 2011): an assignment that is likely among good trials and unlikely among the
 * others.
 */
import type { Assignment, SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import type { Trial } from './actions.ts';
import { bestFirst } from './front.ts';
import { densityOf } from './parzen.ts';

/** Trials that are drawn at random, to begin with. */
export const STARTUP = 10;
/** Of the trials that ended, how many are good; no more than MOST_GOOD. */
const GOOD = 0.15;
const MOST_GOOD = 25;
/** Drawn from those like the good ones, to take the best of. */
const CANDIDATES = 24;

export function sampleTpe(
  { seed, parameters }: SearchSpec,
  trial: number,
  trials: readonly Trial[],
): Assignment {
  const ended = trials.filter(({ losses }) => losses.size > 0);
  const most = Math.min(MOST_GOOD, Math.ceil(GOOD * ended.length));
  const good = new Set(bestFirst(ended, most).slice(0, most));
  // What runs is taken for bad: trials that run at the same time keep away from one another.
  const [likely, unlikely] = [good, trials.filter((each) => !good.has(each))].map((some) =>
    densityOf(
      parameters,
      [...some].map(({ assignment }) => assignment),
    ),
  );
  let best: { readonly assignment: Assignment; readonly ratio: number } | undefined;
  for (let n = 0; n < CANDIDATES; n++) {
    const assignment = likely!.sample({ seed, trial, n });
    const ratio = likely!.of(assignment) / unlikely!.of(assignment);
    if (!best || ratio > best.ratio) best = { assignment, ratio };
  }
  return best!.assignment;
}
