/**
 * Which trials are trained further: asynchronous successive halving (Li et al., "A system for massively parallel hyperparameter tuning",
 * 2020), in as many brackets as the search has (Li et al., "Hyperband", 2018).
 */
import { bracketsOf } from '@kasane/protocol/internal/job/search-rungs';
import type { SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { type Action, better, type Trial } from './actions.ts';

const further = ({ number, assignment }: Trial, epochs: number): Action => ({
  kind: 'promote',
  trial: number,
  assignment,
  epochs,
});

/** The best on its rung that is among the top 1/eta of its bracket there and has not gone on; of several rungs, on the highest. */
export function promotion(
  { halving }: Pick<SearchSpec, 'halving'>,
  rungs: readonly number[],
  trials: readonly Trial[],
): Action | undefined {
  if (!halving) return undefined;
  const brackets = bracketsOf({ halving }, rungs, trials.length);
  for (let rung = rungs.length - 2; rung >= 0; rung--) {
    const epochs = rungs[rung]!;
    for (let bracket = 0; bracket < (halving.brackets ?? 1) && bracket <= rung; bracket++) {
      const own = trials.filter((_, index) => brackets[index] === bracket);
      const next = nextOn(epochs, halving.eta, own);
      if (next) return further(next, rungs[rung + 1]!);
    }
  }
  return undefined;
}

/** @param trials of one bracket */
function nextOn(epochs: number, eta: number, trials: readonly Trial[]): Trial | undefined {
  const lossOf = ({ losses }: Trial) => losses.get(epochs) ?? Number.POSITIVE_INFINITY;
  const compared = trials.filter((trial) => trial.losses.has(epochs) || trial.failedAt === epochs);
  return compared
    .sort((a, b) => lossOf(a) - lossOf(b) || a.number - b.number)
    .slice(0, Math.floor(compared.length / eta))
    .find((trial) => trial.told === epochs && trial.failedAt === undefined);
}

/** When nothing else is left: with few trials none may have reached the end, but a sweep ends with a trained model. */
export function lastPromotion(rungs: readonly number[], trials: readonly Trial[]): Action | undefined {
  const end = rungs.at(-1)!;
  if (trials.some(({ losses }) => losses.has(end))) return undefined;
  const best = [...trials].sort(better)[0];
  if (!best || best.failedAt !== undefined) return undefined;
  const next = rungs.find((epochs) => epochs > best.told);
  return next === undefined ? undefined : further(best, next);
}
