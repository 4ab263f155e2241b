/**
 * Training in less memory: of the forward pass only what crosses a few cuts between layers is kept, and what lies between
 * two cuts is computed a second time when the backward pass comes to it (Chen et al. 2016, "Training Deep Nets with Sublinear
 * Memory Cost"). The same operations on the same numbers give the same bits.
 */
import { makeNode, type Node, topologicalOrder, withOrigin } from './graph.ts';
import type { Forward, Model } from './nn/model.ts';
import { sizeOf } from './shape.ts';

/** Sizes of segments that are tried, in equal ratios between the largest layer's and that of all of them. */
const TRIED = 64;

/** What a gradient rule is to read in place of a node of the forward pass: itself where it is kept, else its twin. */
export function recomputation(model: Model, { outputs }: Pick<Forward, 'outputs'>): (node: Node) => Node {
  const cuts = chooseCuts(model, outputs);
  const last = cuts.at(-1);
  if (last === undefined) return (node) => node;
  const kept = new Set(cuts.flatMap((cut) => crossing(model, cut).map((layer) => outputs[layer]!)));
  // Nodes are numbered as they are made: what comes after the last cut is due at once, and has just been computed.
  const recent = outputs[last]!.id;
  const twins = new Map<Node, Node>();
  const twinOf = (node: Node): Node => {
    if (node.inputs.length === 0 || node.id > recent || kept.has(node)) return node;
    const known = twins.get(node);
    if (known) return known;
    const { op, attributes, shape, dtype, origin } = node;
    const inputs = node.inputs.map(twinOf);
    const twin = withOrigin(origin, () => makeNode(op, inputs, attributes, shape, dtype));
    twins.set(node, twin);
    return twin;
  };
  return twinOf;
}

/** Layers up to `cut`, that one too, whose outputs later ones read. */
const crossing = (model: Model, cut: number): number[] => {
  const later = new Set(model.layers.slice(cut + 1).flatMap(({ from }) => from));
  return [...later].filter((layer) => layer >= 0 && layer <= cut).sort((a, b) => a - b);
};

/**
 * The layers after which to cut, so that what crosses all cuts and the largest segment between two take the fewest numbers.
 * None where that is no less than everything.
 */
function chooseCuts(model: Model, outputs: readonly Node[]): number[] {
  const held = numbersOfLayers(model, outputs);
  const crosses = model.layers.map((_, cut) =>
    crossing(model, cut).reduce((sum, layer) => sum + sizeOf(outputs[layer]!.shape), 0),
  );
  const all = held.reduce((sum, numbers) => sum + numbers, 0);
  const largest = Math.max(...held);
  let best: { readonly cuts: number[]; readonly numbers: number } = { cuts: [], numbers: all };
  for (let i = 0; i < TRIED && largest < all; i++) {
    const found = cutInto(largest * (all / largest) ** (i / TRIED), held, crosses);
    if (found.numbers < best.numbers) best = found;
  }
  return best.cuts;
}

/** Numbers that each layer's forward pass makes. */
function numbersOfLayers(model: Model, outputs: readonly Node[]): number[] {
  const numbers = new Map(model.layers.map(({ name }) => [name, 0]));
  for (const { inputs, origin, shape } of topologicalOrder(outputs)) {
    const before = numbers.get(origin.layer);
    if (before !== undefined && inputs.length > 0) numbers.set(origin.layer, before + sizeOf(shape));
  }
  return [...numbers.values()];
}

/** The cuts that the fewest numbers cross, of those that leave no segment with more than `most` numbers. */
function cutInto(most: number, held: readonly number[], crosses: readonly number[]) {
  /** For the layers before `i`: what crosses the cuts there, the last of which is right before `i`, and where the cut before is. */
  const best = [{ crossed: 0, before: -1, largest: 0 }];
  for (let i = 1; i <= held.length; i++) {
    let found = { crossed: Number.POSITIVE_INFINITY, before: -1, largest: 0 };
    let segment = 0;
    for (let start = i - 1; start >= 0; start--) {
      segment += held[start]!;
      if (segment > most) break;
      const crossed = best[start]!.crossed + (i < held.length ? crosses[i - 1]! : 0);
      const largest = Math.max(best[start]!.largest, segment);
      if (crossed < found.crossed) found = { crossed, before: start, largest };
    }
    best.push(found);
  }
  const cuts: number[] = [];
  for (let i = best.at(-1)!.before; i > 0; i = best[i]!.before) cuts.unshift(i - 1);
  return { cuts, numbers: best.at(-1)!.crossed + best.at(-1)!.largest };
}
