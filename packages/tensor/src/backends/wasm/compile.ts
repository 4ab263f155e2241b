/** Compiles a graph into one WebAssembly module over a given memory: every kernel a function, every stage an export. */

import { FunctionBuilder, ModuleBuilder } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { layOut, localBytes, readsOf, writesOf } from '../../plan/arena.ts';
import { type BlockedStep, blockSteps } from '../../plan/blocks.ts';
import { mergeSteps } from '../../plan/merge.ts';
import { makePlan, type PlanStep } from '../../plan/plan.ts';
import { stridesOf } from '../../shape.ts';
import { alone, buildBarrier, type Sharing } from './cut.ts';
import { buildStep, type KernelContext, scratchBytes, workspaceBytes } from './emit-kernels.ts';
import { emitStage } from './emit-stage.ts';
import type { KernelName } from './gemm.ts';

export interface CompileRequest {
  /** What must be in memory afterwards. */
  readonly outputs: readonly Node[];
  /** Byte offsets of the leaves. */
  readonly leaves: ReadonlyMap<Node, number>;
  /** Outputs whose place is given: byte offset by index in `outputs`. */
  readonly targets: ReadonlyMap<number, number>;
  /** Groups of indices in `outputs`: a stage ends when one or more groups have become final. */
  readonly groups: readonly (readonly number[])[];
  readonly arenaStart: number;
  readonly scratch: number;
  readonly kernel: KernelName;
  /** Makes every step a stage, so that each can be timed. Default false. */
  readonly stepwise?: boolean;
  /** Leaves that may come while it runs, from the first to the last: when. A stage ends where the next step waits for more. */
  readonly arrivals?: ReadonlyMap<Node, number>;
  /** Threads that run the code together, each with its own number as the global `thread`. Default: one, which has none. */
  readonly sharing?: Sharing;
  /** Where there are several: byte offset of the words by which they wait for each other (`BARRIER_BYTES`). */
  readonly barrier?: number;
}

export interface CompiledStage {
  readonly steps: readonly BlockedStep[];
  /** Indices of the groups that are final after this stage. */
  readonly ready: readonly number[];
  /** The latest arrival that it reads; 0 where it reads none. */
  readonly needs: number;
}

export interface Compiled {
  readonly stages: readonly CompiledStage[];
  /** Byte offset of each output. */
  readonly offsets: readonly number[];
  /** First byte after everything. */
  readonly end: number;
  /** Module with exports stage0, stage1, ... over a memory of so many pages. */
  encode(memory: { pages: number; shared: boolean }): Encoded;
}

export interface Encoded {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Byte offset of the words by which threads wait for each other. */
  readonly barrier: number;
  /** For each stage, whether all threads run it; otherwise only the first does. */
  readonly together: readonly boolean[];
}

/** Plans a graph and places it; `encode` makes the code once the memory's size is known. */
export function compileGraph(request: CompileRequest): Compiled {
  const plan = makePlan(request.outputs);
  const planned: PlanStep[] = [...plan.steps];
  const placed = new Map(request.leaves);
  const offsets: (number | undefined)[] = [];
  /** For each output, the node whose computation makes it final. */
  const makers: Node[] = [...plan.outputs];
  // A target is where its node is computed, unless that node lies elsewhere already: then it is copied there.
  for (const [index, output] of request.outputs.entries()) {
    const target = request.targets.get(index);
    const base = plan.outputs[index]!;
    if (target === undefined) continue;
    offsets[index] = target;
    if (!placed.has(base)) placed.set(base, target);
    else if (placed.get(base) !== target) {
      const step = copyOf(base, output, target, placed);
      planned.push(step);
      makers[index] = step.output;
    }
  }
  const kept = new Set(plan.outputs);
  const steps = blockSteps(mergeSteps(planned, kept), kept);
  const { kernel, sharing = alone, scratch } = request;
  const { threads } = sharing;
  const workspaceOf = (step: BlockedStep) => workspaceBytes(step, kernel, sharing);
  const layout = layOut(steps, request.arenaStart, placed, kept, workspaceOf, { threads });
  const { offsets: places, end } = layout;
  const computedAt = new Map(steps.flatMap((step, index) => writesOf(step).map((node) => [node, index])));
  const groupEnds = request.groups.map((group) =>
    Math.max(-1, ...group.map((index) => computedAt.get(makers[index]!) ?? -1)),
  );
  const stages = cutStages(steps, groupEnds, request);
  return {
    stages,
    offsets: plan.outputs.map((base, index) => offsets[index] ?? places.get(base)!),
    end,
    encode: (memory) => {
      const module = new ModuleBuilder({ ...memory, ...(threads > 1 && { globals: ['thread'] }) });
      const shared = new Map<string, number>();
      const team =
        threads > 1
          ? { ...sharing, barrier: module.add(buildBarrier(request.barrier!, threads)) }
          : undefined;
      const context: KernelContext = {
        place: (node: Node) => {
          const offset = places.get(node);
          if (offset === undefined) throw new Error(`'${node.op}' (node ${node.id}) has no place in memory`);
          return offset;
        },
        workspace: (node: Node) => layout.workspaces.get(node) ?? 0,
        localBytes: team ? localBytes : () => 0,
        scratch: { at: scratch, apart: team ? scratchBytes(kernel) : 0 },
        gemm: kernel,
        team,
        add: (f: FunctionBuilder) => module.add(f),
        shared: (key: string, build: () => FunctionBuilder) => {
          const known = shared.get(key);
          if (known !== undefined) return known;
          const index = module.add(build());
          shared.set(key, index);
          return index;
        },
      };
      const together = stages.map(({ steps: own }, index) => {
        const run = new FunctionBuilder();
        const several = team && emitStage(run, own, { ...context, team }, workspaceOf);
        if (!several)
          for (const step of own) run.call(module.add(buildStep(step, { ...context, team: undefined })));
        module.add(run, `stage${index}`);
        return several === true;
      });
      return { bytes: module.encode(), barrier: request.barrier ?? 0, together };
    },
  };
}

/** A step that copies `base`'s elements to where `output` must be. */
function copyOf(base: Node, output: Node, target: number, placed: Map<Node, number>): PlanStep {
  const copy: Node = { ...output };
  placed.set(copy, target);
  return {
    kind: 'pointwise',
    output: copy,
    expression: { kind: 'input', index: 0 },
    operands: [{ base, offset: 0, strides: stridesOf(output.shape) }],
  };
}

/**
 * Cuts the steps where groups become final, and before those that read what arrives later than all that was read so far. What is
 * final from the beginning is ready after the first stage.
 */
function cutStages(
  steps: readonly BlockedStep[],
  groupEnds: readonly number[],
  { stepwise = false, arrivals = new Map() }: Pick<CompileRequest, 'stepwise' | 'arrivals'>,
): CompiledStage[] {
  const needs = steps.map((step) => Math.max(0, ...readsOf(step).map((node) => arrivals.get(node) ?? 0)));
  let read = needs[0] ?? 0;
  const waits: number[] = [];
  for (const [index, need] of needs.entries()) {
    if (need > read) waits.push(index - 1);
    read = Math.max(read, need);
  }
  const ends = groupEnds.map((end) => Math.max(0, end));
  const asked = stepwise ? steps.map((_, index) => index) : [...ends, ...waits];
  const cuts = [...new Set([...asked, Math.max(0, steps.length - 1)])].sort((a, b) => a - b);
  return cuts.map((end, index) => {
    const start = index === 0 ? 0 : cuts[index - 1]! + 1;
    return {
      steps: steps.slice(start, end + 1),
      ready: ends.flatMap((at, group) => (at === end ? [group] : [])),
      // More steps than a call takes arguments.
      needs: needs.slice(start, end + 1).reduce((most, need) => Math.max(most, need), 0),
    };
  });
}
