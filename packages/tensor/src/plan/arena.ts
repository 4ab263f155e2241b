/** Places tensors in one memory: what is no longer needed makes room for what comes. */
import type { Node } from '../graph.ts';
import { sizeOf } from '../shape.ts';
import type { BlockedStep } from './blocks.ts';
import type { PlanStep } from './plan.ts';

/** Bytes to which every tensor is aligned: a cache line. */
const ALIGNMENT = 64;
/** Bytes that a kernel may write beyond a tensor's end. */
const SLACK = 64;

export const alignUp = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Bytes of a tensor in the arena, slack included; elements are of four bytes, or two. */
export const bytesOfNode = (node: Node, width: 2 | 4 = 4): number =>
  alignUp(width * sizeOf(node.shape) + SLACK);

export interface ArenaLayout {
  /** Byte offset of each tensor. */
  readonly offsets: ReadonlyMap<Node, number>;
  /** Byte offset of each step's workspace, by its output. */
  readonly workspaces: ReadonlyMap<Node, number>;
  /** First byte after the arena. */
  readonly end: number;
}

interface Block {
  readonly offset: number;
  readonly bytes: number;
}

type AnyStep = PlanStep | BlockedStep;

/** Tensors that a step reads from memory; a block also reads what it has just written. */
export function readsOf(step: AnyStep): readonly Node[] {
  if (step.kind === 'kernel') return step.inputs;
  if (step.kind === 'block') return [...new Set(step.steps.flatMap(readsOf))];
  return step.operands.map(({ base }) => base);
}

/** Tensors that a step writes, or writes parts of. */
export function writesOf(step: AnyStep): readonly Node[] {
  if (step.kind === 'block') return [...new Set(step.steps.flatMap(writesOf))];
  return step.kind === 'loop' ? step.results.map(({ into }) => into.base) : [step.output];
}

/** Bytes that a step needs for a tensor that it writes: of one that is a block's own, some rows. */
function bytesIn(step: AnyStep, node: Node, width: 2 | 4): number {
  if (step.kind !== 'block' || !step.local.has(node)) return bytesOfNode(node, width);
  return alignUp((width * sizeOf(node.shape) * step.together) / step.rows + SLACK);
}

/** Bytes that one thread needs for the tensors that lie within a block. */
export const localBytes = (step: AnyStep): number =>
  step.kind === 'block' ? [...step.local].reduce((sum, node) => sum + bytesIn(step, node, 4), 0) : 0;

/**
 * Lays out the outputs of `steps` from byte `start` on.
 * @param placed tensors that lie elsewhere already (inputs, parameters, gradients): not placed
 * @param kept tensors that must last to the end
 * @param workspace bytes that a step needs for itself while it runs
 * @param how bytes of an element, and threads, each of which has room for the tensors that lie within a block
 */
export function layOut<S extends AnyStep>(
  steps: readonly S[],
  start: number,
  placed: ReadonlyMap<Node, number>,
  kept: ReadonlySet<Node>,
  workspace: (step: S) => number = () => 0,
  { width = 4, threads = 1 }: { readonly width?: 2 | 4; readonly threads?: number } = {},
): ArenaLayout {
  const lastRead = new Map<Node, number>();
  for (const [index, step] of steps.entries()) {
    for (const node of readsOf(step)) lastRead.set(node, index);
  }
  const offsets = new Map(placed);
  const workspaces = new Map<Node, number>();
  const room = new Room(start);
  /** By the last step that reads them: there may be tens of thousands, so that no step goes through all. */
  const dueAt = new Map<number, Block[]>();
  let end = start;
  const place = (bytes: number, until: number): number => {
    const offset = room.take(bytes);
    const due = dueAt.get(until) ?? [];
    dueAt.set(until, due);
    due.push({ offset, bytes });
    end = Math.max(end, offset + bytes);
    return offset;
  };
  for (const [index, step] of steps.entries()) {
    for (const block of dueAt.get(index - 1) ?? []) room.give(block);
    if (threads > 1 && step.kind === 'block' && step.local.size > 0) {
      let at = place(threads * localBytes(step), index);
      for (const node of step.local) {
        offsets.set(node, at);
        at += bytesIn(step, node, width);
      }
    }
    for (const written of writesOf(step)) {
      if (offsets.has(written)) continue;
      const until = kept.has(written)
        ? Number.POSITIVE_INFINITY
        : Math.max(index, lastRead.get(written) ?? index);
      offsets.set(written, place(bytesIn(step, written, width), until));
    }
    const own = workspace(step);
    if (own > 0) workspaces.set(step.output, place(alignUp(own + SLACK), index));
  }
  return { offsets, workspaces, end };
}

/** What is free, from `start` on without an end. */
class Room {
  /** By offset; none touches another. */
  readonly #gaps: { from: number; to: number }[];

  constructor(start: number) {
    this.#gaps = [{ from: start, to: Number.POSITIVE_INFINITY }];
  }

  /** Takes the lowest place where `bytes` fit. Returns its offset. */
  take(bytes: number): number {
    const at = this.#gaps.findIndex(({ from, to }) => to - from >= bytes);
    const gap = this.#gaps[at]!;
    const offset = gap.from;
    gap.from += bytes;
    if (gap.from === gap.to) this.#gaps.splice(at, 1);
    return offset;
  }

  give({ offset, bytes }: Block): void {
    const gaps = this.#gaps;
    let [at, above] = [0, gaps.length];
    while (at < above) {
      const middle = (at + above) >> 1;
      if (gaps[middle]!.from < offset) at = middle + 1;
      else above = middle;
    }
    const [before, after] = [gaps[at - 1], gaps[at]];
    const end = offset + bytes;
    if (before?.to === offset && after?.from === end) {
      before.to = after.to;
      gaps.splice(at, 1);
    } else if (before?.to === offset) before.to = end;
    else if (after?.from === end) after.from = offset;
    else gaps.splice(at, 0, { from: offset, to: end });
  }
}
