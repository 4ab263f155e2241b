/**
 * How much a result depends on each key: a forest of extremely randomized trees (Geurts 2006) learns to predict it, and the more its
 * error grows when the values of a key are shuffled (Breiman 2001), the more the key matters. Each tree is tested on rows that it has
 * not seen. The same rows give the same answer.
 */

export interface Importance {
  /** The share of each key, in all 1; of a key that does not help at all, 0. */
  readonly parts: readonly number[];
  /** How much of the result's variance the forest explains on rows that it has not seen: near 0, it has learned nothing. */
  readonly explained: number;
}

/** Fewer rows tell nothing. */
export const LEAST_ROWS = 12;
/** Of more rows, this many are drawn at random. */
const ROWS = 400;
const TREES = 48;
const DEPTH = 10;
const LEAF = 2;

/** The mean of a leaf, or the branches below and above a threshold of a feature. */
type Node =
  | { readonly mean: number }
  | { readonly feature: number; readonly threshold: number; readonly below: Node; readonly above: Node };

/** @param features the values of each key, one for each row: numbers in order of size or of choice; NaN where a key is not set */
export function importanceOf(
  features: readonly (readonly number[])[],
  targets: readonly number[],
): Importance | undefined {
  if (targets.length < LEAST_ROWS || features.length === 0) return undefined;
  const random = generator();
  const rows = sampled(targets.length, ROWS, random);
  const y = rows.map((row) => targets[row]!);
  const x = features.map((values) => rows.map((row) => (Number.isNaN(values[row]) ? -1 : values[row]!)));
  const mean = meanOf(y);
  const variance = meanOf(y.map((value) => (value - mean) ** 2));
  if (variance === 0) return undefined;
  const grown = new Array<number>(x.length).fill(0);
  let [error, asked] = [0, 0];
  for (let tree = 0; tree < TREES; tree++) {
    const order = shuffled([...y.keys()], random);
    const seen = order.slice(0, Math.ceil((2 * order.length) / 3));
    const unseen = order.slice(seen.length);
    const root = grow(x, y, seen, DEPTH, random);
    const errorOf = (value: (feature: number, row: number) => number) =>
      unseen.reduce(
        (sum, row) => sum + (predicted(root, (feature) => value(feature, row)) - y[row]!) ** 2,
        0,
      );
    const usual = errorOf((feature, row) => x[feature]![row]!);
    error += usual;
    asked += unseen.length;
    for (const key of x.keys()) {
      const others = shuffled([...unseen], random);
      const other = new Map(unseen.map((row, index) => [row, others[index]!]));
      grown[key]! += errorOf((feature, row) => x[feature]![feature === key ? other.get(row)! : row]!) - usual;
    }
  }
  const positive = grown.map((growth) => Math.max(0, growth));
  const sum = positive.reduce((a, b) => a + b, 0);
  return {
    parts: positive.map((growth) => (sum > 0 ? growth / sum : 0)),
    explained: Math.max(0, 1 - error / asked / variance),
  };
}

function grow(
  x: readonly (readonly number[])[],
  y: readonly number[],
  rows: readonly number[],
  depth: number,
  random: () => number,
): Node {
  const leaf = { mean: meanOf(rows.map((row) => y[row]!)) };
  if (depth === 0 || rows.length < 2 * LEAF) return leaf;
  let best: { readonly feature: number; readonly threshold: number; readonly gain: number } | undefined;
  for (const [feature, values] of x.entries()) {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const row of rows) {
      low = Math.min(low, values[row]!);
      high = Math.max(high, values[row]!);
    }
    if (low === high) continue;
    const threshold = low + random() * (high - low);
    let [count, sum, total] = [0, 0, 0];
    for (const row of rows) {
      total += y[row]!;
      if (values[row]! > threshold) continue;
      count++;
      sum += y[row]!;
    }
    const rest = rows.length - count;
    if (count === 0 || rest === 0) continue;
    const gain = sum ** 2 / count + (total - sum) ** 2 / rest - total ** 2 / rows.length;
    if (!best || gain > best.gain) best = { feature, threshold, gain };
  }
  if (!best || best.gain <= 0) return leaf;
  const { feature, threshold } = best;
  const isBelow = (row: number) => x[feature]![row]! <= threshold;
  const part = (which: boolean) =>
    grow(
      x,
      y,
      rows.filter((row) => isBelow(row) === which),
      depth - 1,
      random,
    );
  return { feature, threshold, below: part(true), above: part(false) };
}

function predicted(root: Node, value: (feature: number) => number): number {
  let node = root;
  while ('feature' in node) node = value(node.feature) <= node.threshold ? node.below : node.above;
  return node.mean;
}

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const sampled = (count: number, most: number, random: () => number): readonly number[] => {
  const all = Array.from({ length: count }, (_, row) => row);
  return count <= most ? all : shuffled(all, random).slice(0, most);
};

function shuffled(rows: number[], random: () => number): number[] {
  for (let at = rows.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [rows[at], rows[other]] = [rows[other]!, rows[at]!];
  }
  return rows;
}

/** Numbers in [0, 1), the same each time, so that the same data give the same page (mulberry32). */
function generator(): () => number {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
