/**
 * In which order the shards of a step are added: along a binary tree over their numbers. Node k of level l covers the shards from
 * k * 2^l to (k + 1) * 2^l - 1, as far as there are so many; its sum is that of its left half plus that of its right half, or that of
 * the left where there is no right. So an aligned group of shards may be added wherever they are: a sum of sums has the same bits.
 */

/** Shards `first` to `first + count` - 1 of a step. */
export interface ShardGroup {
  readonly first: number;
  readonly count: number;
}

/** The level of the lowest node that covers so many shards. */
export const levelOf = (count: number): number => Math.ceil(Math.log2(count));

/** Whether a group is what a node of the tree over `shards` shards covers. */
export function isNode({ first, count }: ShardGroup, shards: number): boolean {
  if (count < 1 || first + count > shards) return false;
  const span = 2 ** levelOf(count);
  return first % span === 0 && (count === span || first + count === shards);
}

/**
 * The sum of a step's shards.
 * @param parts in order of their shards, at least one
 * @param counts how many shards each part is the sum of: nodes of the tree that follow one another. Default: one each
 */
export function addAlongTree<T>(
  parts: readonly T[],
  add: (left: T, right: T) => T,
  counts: readonly number[] = [],
): T {
  const waiting: { level: number; sum: T }[] = [];
  for (const [index, part] of parts.entries()) {
    let [level, sum] = [levelOf(counts[index] ?? 1), part];
    for (let left = waiting.at(-1); left?.level === level; left = waiting.at(-1)) {
      sum = add(left.sum, sum);
      level++;
      waiting.pop();
    }
    waiting.push({ level, sum });
  }
  return waiting.map((one) => one.sum).reduceRight((right, left) => add(left, right));
}
