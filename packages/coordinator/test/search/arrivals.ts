/** Runs a sweep whose trials take any time, on made-up losses. */
import type { Assignment, SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import type { DecidedAction } from '../../src/search/actions.ts';
import { nextAction } from '../../src/search/next-action.ts';

export interface Sweep {
  readonly actions: readonly DecidedAction[];
  /** The largest number of trials that ran at the same time. */
  readonly mostAtOnce: number;
}

export type Outcome = (
  trial: Pick<DecidedAction, 'parent'> & { readonly number: number; readonly assignment: Assignment },
  epochs: number,
) => number | readonly [number, ...number[]] | 'failed';

/**
 * @param next which of the actions that run ends first, of `count`; `running` are their indexes
 */
export function runSweep(
  search: SearchSpec,
  epochs: number,
  outcomeOf: Outcome,
  next: (count: number, running: readonly number[], actions: readonly DecidedAction[]) => number = () => 0,
): Sweep {
  const actions: DecidedAction[] = [];
  const running: number[] = [];
  let mostAtOnce = 0;
  for (;;) {
    const action = nextAction(search, epochs, actions);
    if (action === 'done') return { actions, mostAtOnce };
    if (action !== 'wait') {
      running.push(actions.length);
      actions.push(action);
      mostAtOnce = Math.max(mostAtOnce, running.length);
      continue;
    }
    const [index] = running.splice(next(running.length, running, actions), 1);
    if (index === undefined) throw new Error('the sweep waits for nothing');
    const { trial: number, assignment, parent, epochs: reached } = actions[index]!;
    const came = outcomeOf({ number, assignment, parent }, reached);
    const [outcome, ...further] = typeof came === 'object' ? came : [came];
    actions[index] = { ...actions[index]!, outcome, ...(further.length > 0 && { further }) };
  }
}
