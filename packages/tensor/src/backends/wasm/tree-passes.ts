/** A sum along the tree of shards (ops/shard-tree.ts) as passes of a few operands each, whose results wait in between. */
import { addAlongTree } from '../../ops/shard-tree.ts';
import { add, type Expression, input } from '../../scalar/expression.ts';

/** What a pass adds: a part, by its number, or what an earlier pass has left in a place. */
export type Operand = { readonly part: number } | { readonly place: number };

export interface Pass {
  readonly operands: readonly Operand[];
  /** Of the operands, in their order. */
  readonly sum: Expression;
  /** Where the result waits; undefined: it is the whole sum. */
  readonly into: number | undefined;
  /** What it computes, as a key. */
  readonly key: string;
}

type Tree = Operand | readonly [Tree, Tree];

/** Part of a pass, not run yet. */
interface Pending {
  readonly tree: Tree;
  readonly operands: readonly Operand[];
}

/**
 * Passes of at most `most` operands, one after the other.
 * @param counts of how many shards each part is the sum
 */
export function treePasses(counts: readonly number[], most: number): Pass[] {
  const passes: Pass[] = [];
  const taken: boolean[] = [];
  const run = ({ tree, operands }: Pending, isLast: boolean): Operand => {
    for (const operand of operands) if ('place' in operand) taken[operand.place] = false;
    const free = taken.indexOf(false);
    const place = free < 0 ? taken.length : free;
    if (!isLast) taken[place] = true;
    const into = isLast ? undefined : place;
    passes.push({ operands, sum: expressionOf(tree), into, key: `${keyOf(tree)}=${into ?? ''}` });
    return { place };
  };
  const settled = (pending: Pending): Pending => {
    if (pending.operands.length === 1 && 'place' in pending.operands[0]!) return pending;
    const operand = run(pending, false);
    return { tree: operand, operands: [operand] };
  };
  const whole = addAlongTree<Pending>(
    counts.map((_, part) => ({ tree: { part }, operands: [{ part }] })),
    (a, b) => {
      let [left, right] = [a, b];
      if (left.operands.length + right.operands.length > most) left = settled(left);
      if (left.operands.length + right.operands.length > most) right = settled(right);
      const operands = [...left.operands, ...right.operands];
      const sum: Pending = { tree: [left.tree, right.tree], operands };
      // Two results become one at once: as few wait as the tree has levels.
      return operands.filter((operand) => 'place' in operand).length > 1 ? settled(sum) : sum;
    },
    counts,
  );
  const last = passes.at(-1);
  const isDone = whole.operands.length === 1 && 'place' in whole.operands[0]!;
  if (isDone && last)
    passes[passes.length - 1] = { ...last, into: undefined, key: `${last.key.split('=')[0]}=` };
  else run(whole, true);
  return passes;
}

function expressionOf(tree: Tree): Expression {
  let next = 0;
  const of = (node: Tree): Expression => ('length' in node ? add(of(node[0]), of(node[1])) : input(next++));
  return of(tree);
}

/** Parts have the places of their order; results have their own. */
function keyOf(tree: Tree): string {
  if ('length' in tree) return `(${keyOf(tree[0])}+${keyOf(tree[1])})`;
  return 'part' in tree ? 'p' : `${tree.place}`;
}
