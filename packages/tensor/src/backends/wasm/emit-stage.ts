/** A stage for several threads: which of its steps they share, and where they wait for each other. */
import type { FunctionBuilder } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { localBytes, readsOf, writesOf } from '../../plan/arena.ts';
import type { BlockedStep } from '../../plan/blocks.ts';
import { sizeOf } from '../../shape.ts';
import { onThread } from './cut.ts';
import { buildCutStep, type TeamContext } from './emit-cut.ts';
import { buildStep } from './emit-kernels.ts';

/** Bytes [start, end) of the memory. */
type Range = readonly [start: number, end: number];

interface Use {
  /** Whether all threads compute it; otherwise the first does alone. */
  readonly cut: boolean;
  readonly reads: readonly Range[];
  readonly writes: readonly Range[];
}

/**
 * Emits the steps of a stage. A thread goes from one to the next without waiting as long as neither writes what the other reads or writes.
 * @returns false where no step is worth more than one thread; then nothing was emitted
 */
export function emitStage(
  f: FunctionBuilder,
  steps: readonly BlockedStep[],
  context: TeamContext,
  workspaceOf: (step: BlockedStep) => number,
): boolean {
  const built = steps.map((step) => buildCutStep(step, context));
  if (built.every((cut) => !cut)) return false;
  const wait = () => {
    f.call(context.team.barrier);
    since = [];
  };
  let since: Use[] = [];
  let alone: number[] = [];
  const flush = () => {
    const own = alone;
    alone = [];
    if (own.length > 0)
      onThread(f, 0, () => {
        for (const index of own) f.call(index);
      });
  };
  for (const [index, step] of steps.entries()) {
    const cut = built[index];
    const use = useOf(step, cut !== undefined, context, workspaceOf(step));
    if (since.some((other) => (other.cut || use.cut) && conflict(other, use))) {
      flush();
      wait();
    }
    since.push(use);
    if (cut) {
      flush();
      f.call(context.add(cut));
    } else alone.push(context.add(buildStep(step, { ...context, team: undefined })));
  }
  flush();
  if (since.some(({ cut }) => cut)) wait();
  return true;
}

function useOf(step: BlockedStep, cut: boolean, { place, workspace, team }: TeamContext, bytes: number): Use {
  const range = (node: Node): Range => [place(node), place(node) + 4 * sizeOf(node.shape)];
  const local = step.kind === 'block' ? step.local : new Set<Node>();
  const shared = (nodes: readonly Node[]) => nodes.filter((node) => !local.has(node)).map(range);
  const writes = shared(writesOf(step));
  const own = workspace(step.output);
  if (bytes > 0) writes.push([own, own + bytes]);
  const [first] = local;
  if (first) writes.push([place(first), place(first) + team.threads * localBytes(step)]);
  return { cut, reads: shared(readsOf(step)), writes };
}

const overlap = (a: readonly Range[], b: readonly Range[]) =>
  a.some(([start, end]) => b.some(([first, last]) => start < last && first < end));

const conflict = (a: Use, b: Use) =>
  overlap(a.writes, b.reads) || overlap(a.writes, b.writes) || overlap(a.reads, b.writes);
