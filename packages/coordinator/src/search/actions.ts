/** What a sweep does, and what came of it: the record from which everything else about a sweep follows. */
import { type Assignment, objectivesOf, type SearchSpec } from '@kasane/protocol/internal/job/search-schema';

/** Trials are counted from 0, in the order in which they were started. */
export interface Action {
  readonly kind: 'start' | 'promote';
  readonly trial: number;
  /** Path of the job file to value; only parameters whose condition holds. */
  readonly assignment: Assignment;
  /** The trial whose final weights it starts from, if it does. */
  readonly parent?: number | undefined;
  /** The trial is trained until this epoch has been evaluated, counted from 1. */
  readonly epochs: number;
}

/** An action, with the metric on the test data at its epoch, once there is one. */
export interface DecidedAction extends Action {
  readonly outcome?: number | 'failed' | undefined;
  /** Of several metrics, those after the first. */
  readonly further?: readonly number[] | undefined;
}

/** A trial so far. */
export interface Trial {
  readonly number: number;
  readonly assignment: Assignment;
  /** The epochs that it was last told to reach. */
  readonly told: number;
  /** What it reached: epochs to loss, the smaller the better. */
  readonly losses: ReadonlyMap<number, number>;
  /** The further metrics where it was last evaluated, the smaller the better; none of one metric. */
  readonly further: readonly number[];
  /** The epochs on the way to which it failed. */
  readonly failedAt: number | undefined;
}

/**
 * Trials by their number.
 * @param visible the actions, by their index, whose outcomes are taken into account; all by default
 */
export function trialsOf(
  search: Pick<SearchSpec, 'metric'>,
  actions: readonly DecidedAction[],
  visible?: ReadonlySet<number>,
): readonly Trial[] {
  const signs = objectivesOf(search).map(({ minimize }) => (minimize ? 1 : -1));
  const trials: (Trial & { readonly losses: Map<number, number> })[] = [];
  for (const [index, action] of actions.entries()) {
    const { trial: number, assignment, epochs, outcome } = action;
    const losses = trials[number]?.losses ?? new Map<number, number>();
    const isKnown = outcome !== undefined && (visible?.has(index) ?? true);
    // A loss that is not finite is a training that diverged.
    const isFailed = isKnown && !Number.isFinite(outcome);
    if (isKnown && !isFailed) losses.set(epochs, signs[0]! * Number(outcome));
    const further =
      isKnown && !isFailed && action.further
        ? action.further.map((value, at) => signs[at + 1]! * value)
        : (trials[number]?.further ?? []);
    const failedAt = isFailed ? epochs : trials[number]?.failedAt;
    trials[number] = { number, assignment, told: epochs, losses, further, failedAt };
  }
  return trials;
}

/** The loss after the most epochs that a trial reached. */
export function lastOf({ losses }: Trial): readonly [epochs: number, loss: number] | undefined {
  return [...losses].reduce<readonly [number, number] | undefined>(
    (last, each) => (last && last[0] > each[0] ? last : each),
    undefined,
  );
}

/** Those that got furthest first, of those the best, of those the first. Trials without a loss come after, those that failed at last. */
export function better(a: Trial, b: Trial): number {
  const group = (trial: Trial) => (trial.failedAt !== undefined ? 2 : trial.losses.size === 0 ? 1 : 0);
  const [[aEpochs, aLoss], [bEpochs, bLoss]] = [lastOf(a) ?? [0, 0], lastOf(b) ?? [0, 0]];
  return group(a) - group(b) || bEpochs - aEpochs || aLoss - bLoss || a.number - b.number;
}
