/** Places tensors in one memory: what is no longer needed makes room for what comes. */
import type { Node } from '../graph.ts';
import { sizeOf } from '../shape.ts';
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

/**
 * Lays out the outputs of `steps` from byte `start` on.
 * @param placed tensors that lie elsewhere already (inputs, parameters, gradients): not placed
 * @param kept tensors that must last to the end
 * @param workspace bytes that a step needs for itself while it runs
 * @param width bytes of an element
 */
export function layOut(
  steps: readonly PlanStep[],
  start: number,
  placed: ReadonlyMap<Node, number>,
  kept: ReadonlySet<Node>,
  workspace: (step: PlanStep) => number = () => 0,
  width: 2 | 4 = 4,
): ArenaLayout {
  const lastRead = new Map<Node, number>();
  for (const [index, step] of steps.entries()) {
    const reads = step.kind === 'kernel' ? step.inputs : step.operands.map((operand) => operand.base);
    for (const node of reads) lastRead.set(node, index);
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
    const { output } = step;
    live = live.filter((block) => block.until >= index);
    if (!offsets.has(output)) {
      const until = kept.has(output) ? Number.POSITIVE_INFINITY : (lastRead.get(output) ?? index);
      offsets.set(output, place(bytesOfNode(output, width), until));
    }
    const own = workspace(step);
    if (own > 0) workspaces.set(output, place(alignUp(own + SLACK), index));
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
