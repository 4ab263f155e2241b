/** After which epochs a search compares trials, and at which of these comparisons a trial comes in. */
import type { SearchSpec } from './search-schema.ts';

/** The epochs after which trials are compared; the last are those of a whole training. */
export function rungsOf({ halving }: Pick<SearchSpec, 'halving'>, epochs: number): readonly number[] {
  const rungs = [];
  if (halving) for (let at = halving.minEpochs; at < epochs; at *= halving.eta) rungs.push(at);
  return [...rungs, epochs];
}

/**
 * The brackets of the first trials: the rung on which each is compared first (Hyperband: Li et al. 2018). A bracket has so many of the
 * trials that each bracket computes for about as long. Their trials take turns, so however many there are, no bracket is far behind.
 */
export function bracketsOf(
  { halving }: Pick<SearchSpec, 'halving'>,
  rungs: readonly number[],
  trials: number,
): readonly number[] {
  const { eta = 1, brackets = 1 } = halving ?? {};
  // Of those that come in on a rung one in eta goes on from each rung that is left, and each rung takes as long as the one before.
  const left = (bracket: number) => rungs.length - 1 - bracket;
  const shares = Array.from({ length: brackets }, (_, bracket) =>
    Math.ceil((rungs.length * eta ** left(bracket)) / (left(bracket) + 1)),
  );
  const all = shares.reduce((sum, share) => sum + share, 0);
  const begun = new Array<number>(brackets).fill(0);
  return Array.from({ length: trials }, (_, trial) => {
    // Whole numbers: how far each is behind its share.
    const behind = shares.map((share, bracket) => share * (trial + 1) - begun[bracket]! * all);
    const next = behind.indexOf(Math.max(...behind));
    begun[next]!++;
    return next;
  });
}
