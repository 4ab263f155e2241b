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
  /** Last step that reads it. */
  readonly until: number;
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
  let live: Block[] = [];
  let end = start;
  const place = (bytes: number, until: number): number => {
    const offset = firstGap(live, start, bytes);
    live.push({ offset, bytes, until });
    live.sort((a, b) => a.offset - b.offset);
    end = Math.max(end, offset + bytes);
    return offset;
  };
  for (const [index, step] of steps.entries()) {
    live = live.filter((block) => block.until >= index);
    if (threads > 1 && step.kind === 'block' && step.local.size > 0) {
      let at = place(threads * localBytes(step), index);
      for (const node of step.local) {
        offsets.set(node, at);
        at += bytesIn(step, node, width);
      }
    }
    for (const written of writesOf(step)) {
      if (offsets.has(written)) continue;
      const until = kept.has(written) ? Number.POSITIVE_INFINITY : (lastRead.get(written) ?? index);
      offsets.set(written, place(bytesIn(step, written, width), until));
    }
    const own = workspace(step);
    if (own > 0) workspaces.set(step.output, place(alignUp(own + SLACK), index));
  }
  return { offsets, workspaces, end };
}

/** Lowest offset from `start` on where `bytes` fit between the blocks, which are sorted by offset. */
function firstGap(blocks: readonly Block[], start: number, bytes: number): number {
  let offset = start;
  for (const block of blocks) {
    if (offset + bytes <= block.offset) return offset;
    offset = Math.max(offset, block.offset + block.bytes);
  }
  return offset;
}
