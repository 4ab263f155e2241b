/**
 * Puts steps together that go row by row: softmax is a maximum of each row, a loop, a sum of each row and a loop. One after another
 * each goes through all of memory; here some rows pass through all of them, and then the next, so that what lies between
 * stays in the cache and is kept for those rows only. The arithmetic of each row stays what it was, and so do the bits.
 */
import type { Node } from '../graph.ts';
import { attributesOf } from '../ops/op.ts';
import { maxReduceOp, sumOp } from '../ops/reduce.ts';
import { type Shape, sizeOf } from '../shape.ts';
import { readsOf, writesOf } from './arena.ts';
import type { KernelStep, LoopStep, MergedStep } from './merge.ts';
import type { Operand } from './plan.ts';

/** Steps over the same rows; so many rows at a time go through all of them. */
export interface BlockStep {
  readonly kind: 'block';
  /** Of the last step: what the block is called after. */
  readonly output: Node;
  readonly rows: number;
  readonly together: number;
  readonly steps: readonly (LoopStep | KernelStep)[];
  /** Tensors that nobody else reads: there is room for `together` rows of each. */
  readonly local: ReadonlySet<Node>;
}

export type BlockedStep = MergedStep | BlockStep;

/** Bytes of all tensors that a block should have: half of a second-level cache, whose other half is somebody's. */
const BLOCK_BYTES = 1 << 17;
/** Steps whose tensors have fewer bytes together are left alone: they stay in the cache anyway. */
const LEAST_BYTES = 1 << 19;
/** A row of more bytes than this gains nothing. */
const MOST_ROW_BYTES = 1 << 18;
/** Blocks are whole groups of rows where they can: sums are computed for eight rows side by side. */
export const SIDE_BY_SIDE = 8;
/** Steps that one may go ahead of when it is put into an earlier block: more would keep tensors alive for longer. */
const REACH = 12;

/** @param kept tensors that must be in memory in the end */
export function blockSteps(steps: readonly MergedStep[], kept: ReadonlySet<Node>): BlockedStep[] {
  const items: Group[] = [];
  const writtenAt = new Map<Node, number>();
  for (const step of steps) {
    const earliest = Math.max(-1, ...readsOf(step).map((node) => writtenAt.get(node) ?? -1));
    let at = items.length - 1;
    const last = Math.max(0, earliest, items.length - REACH);
    while (at >= last && !items[at]!.takes(step)) at--;
    if (at >= last) items[at]!.add(step);
    else at = items.push(new Group(step)) - 1;
    for (const node of writesOf(step)) writtenAt.set(node, Math.max(at, writtenAt.get(node) ?? 0));
  }
  /** For each tensor who reads it, and who writes it. */
  const users = new Map<Node, { readonly readers: Set<Group>; readonly writers: Set<Group> }>();
  const usersOf = (node: Node) => {
    const known = users.get(node) ?? { readers: new Set(), writers: new Set() };
    users.set(node, known);
    return known;
  };
  for (const item of items) {
    for (const step of item.steps) {
      for (const node of readsOf(step)) usersOf(node).readers.add(item);
      for (const node of writesOf(step)) usersOf(node).writers.add(item);
    }
  }
  return items.flatMap((item) =>
    item.finish((node) => {
      const { readers, writers } = usersOf(node);
      return !kept.has(node) && readers.size === 1 && readers.has(item) && writers.size === 1;
    }),
  );
}

/** A block that grows. */
class Group {
  readonly steps: MergedStep[] = [];
  /** In how many rows all steps can be cut. */
  #rows: readonly number[];
  readonly #written = new Set<Node>();
  readonly #read = new Set<Node>();

  constructor(step: MergedStep) {
    this.#rows = rowCounts(step).filter((rows) => this.#fits(step, rows));
    this.add(step);
  }

  /** Whether a step over the same rows can be put in: it reads what is written here, or what is read here too. */
  takes(step: MergedStep): boolean {
    const reads = readsOf(step);
    if (!reads.some((node) => this.#written.has(node) || this.#read.has(node))) return false;
    const common = rowCounts(step).filter((rows) => this.#rows.includes(rows));
    return common.some((rows) => this.#fits(step, rows));
  }

  add(step: MergedStep): void {
    if (this.steps.length > 0) {
      const counts = rowCounts(step);
      this.#rows = this.#rows.filter((rows) => counts.includes(rows) && this.#fits(step, rows));
    }
    this.steps.push(step);
    for (const node of readsOf(step)) this.#read.add(node);
    for (const node of writesOf(step)) this.#written.add(node);
  }

  /** @param isLocal whether nobody else reads a tensor that is written here */
  finish(isLocal: (node: Node) => boolean): BlockedStep[] {
    const { steps } = this;
    if (steps.length === 1) return steps;
    const rows = Math.max(...this.#rows);
    const bytes = new Map<Node, number>();
    for (const step of steps) {
      for (const { base, stride } of tensorsOf(step, rows)) {
        const own = this.#written.has(base) ? sizeOf(base.shape) / rows : Math.abs(stride!);
        bytes.set(base, Math.max(4 * own, bytes.get(base) ?? 0));
      }
    }
    const row = [...bytes.values()].reduce((a, b) => a + b, 0);
    const together = blockOf(rows, Math.floor(BLOCK_BYTES / row));
    if (rows * row < LEAST_BYTES || row > MOST_ROW_BYTES || 2 * together > rows) return steps;
    const local = new Set([...this.#written].filter(isLocal));
    return [{ kind: 'block', output: steps.at(-1)!.output, rows, together, steps, local }];
  }

  /** Whether a step can be cut into so many rows, each of which reads of what is written here nothing but its own. */
  #fits(step: MergedStep, rows: number): boolean {
    const tensors = tensorsOf(step, rows);
    const writes = writesOf(step);
    return tensors.every(({ base, stride, first, last }) => {
      if (stride === undefined) return false;
      if (!this.#written.has(base) && !writes.includes(base)) return true;
      const own = sizeOf(base.shape) / rows;
      return stride === own && first >= 0 && last < own;
    });
  }
}

/** A divisor of `rows` near `most`, whole groups if there are such; otherwise `most` itself. */
function blockOf(rows: number, most: number): number {
  const upper = Math.max(1, Math.min(most, rows));
  for (const step of [SIDE_BY_SIDE, 1]) {
    for (let count = upper - (upper % step); count > 0 && 2 * count > upper; count -= step)
      if (rows % count === 0) return count;
  }
  return upper > SIDE_BY_SIDE ? upper - (upper % SIDE_BY_SIDE) : upper;
}

/** A tensor as a step that is cut into rows sees it. */
interface RowTensor {
  readonly base: Node;
  /** Elements from one row to the next; undefined where that differs from row to row. */
  readonly stride: number | undefined;
  /** The first and the last element of the first row. */
  readonly first: number;
  readonly last: number;
}

/** How many axes have `rows` elements together; undefined if no number of them has. */
export function leadingAxes(shape: Shape, rows: number): number | undefined {
  let product = 1;
  const count = shape.findIndex((extent) => {
    product *= extent;
    return product === rows;
  });
  return count < 0 ? undefined : count + 1;
}

/** Elements from one row of an operand to the next; undefined where that differs from row to row. */
export function rowStride({ strides }: Operand, shape: Shape, rows: number): number | undefined {
  const lead = leadingAxes(shape, rows)!;
  const outer = strides.slice(0, lead);
  const isEven = outer.every(
    (stride, axis) => axis === lead - 1 || stride === outer[axis + 1]! * shape[axis + 1]!,
  );
  return isEven ? outer.at(-1) : undefined;
}

/** Products of leading extents: in how many rows a shape can be cut. */
function prefixes(shape: Shape): number[] {
  let product = 1;
  return shape.flatMap((extent) => {
    product *= extent;
    return extent === 1 ? [] : [product];
  });
}

/** In how many rows a step can be cut, by its shape alone. */
function rowCounts(step: MergedStep): readonly number[] {
  if (step.kind === 'loop') return prefixes(step.shape);
  const { output } = step;
  const { shape } = output.inputs[0] ?? output;
  if (output.op === 'oneHot') return prefixes(shape);
  if (output.op !== 'sum' && output.op !== 'maxReduce') return [];
  const { axes } = attributesOf(output.op === 'sum' ? sumOp : maxReduceOp, output);
  return prefixes(shape.slice(0, Math.min(...axes, shape.length)));
}

/** All that a step reads and writes, cut into so many rows. */
function tensorsOf(step: MergedStep, rows: number): RowTensor[] {
  if (step.kind === 'kernel') {
    return [...step.inputs, step.output].map((base) => {
      const stride = sizeOf(base.shape) / rows;
      return { base, stride, first: 0, last: stride - 1 };
    });
  }
  const lead = leadingAxes(step.shape, rows)!;
  return [...step.operands, ...step.results.map(({ into }) => into)].map((operand) => {
    const { base, offset, strides } = operand;
    const ways = strides.slice(lead).map((stride, axis) => (step.shape[lead + axis]! - 1) * stride);
    const sum = (of: readonly number[]) => of.reduce((a, b) => a + b, offset);
    const [first, last] = [sum(ways.filter((way) => way < 0)), sum(ways.filter((way) => way > 0))];
    return { base, stride: rowStride(operand, step.shape, rows), first, last };
  });
}
