/** Compiles a graph into one WebAssembly module over a given memory: every kernel a function, every stage an export. */
import type { Node } from '../../graph.ts';
import { layOut } from '../../plan/arena.ts';
import { makePlan, type PlanStep } from '../../plan/plan.ts';
import { FunctionBuilder, ModuleBuilder } from './assembler.ts';
import { buildStep } from './emit-kernels.ts';
import type { KernelName } from './gemm.ts';

export interface CompileRequest {
  /** What must be in memory afterwards. */
  readonly outputs: readonly Node[];
  /** Byte offsets of the leaves. */
  readonly leaves: ReadonlyMap<Node, number>;
  /** Outputs whose place is given: byte offset by output. */
  readonly targets: ReadonlyMap<Node, number>;
  /** Groups of outputs: a stage ends when one or more groups have become final. */
  readonly groups: readonly (readonly Node[])[];
  readonly arenaStart: number;
  readonly scratch: number;
  readonly kernel: KernelName;
}

export interface CompiledStage {
  readonly steps: readonly PlanStep[];
  /** Indices of the groups that are final after this stage. */
  readonly ready: readonly number[];
}

export interface Compiled {
  readonly stages: readonly CompiledStage[];
  /** Byte offset of each output. */
  readonly offsets: readonly number[];
  /** First byte after everything. */
  readonly end: number;
  /** Module with exports stage0, stage1, ... over a memory of so many pages. */
  encode(memory: { pages: number; shared: boolean }): Uint8Array<ArrayBuffer>;
}

/** Plans a graph and places it; `encode` makes the code once the memory's size is known. */
export function compileGraph(request: CompileRequest): Compiled {
  const plan = makePlan(request.outputs);
  const steps: PlanStep[] = [...plan.steps];
  const placed = new Map(request.leaves);
  const offsets: (number | undefined)[] = [];
  // A target is where its node is computed, unless that node lies elsewhere already: then it is copied there.
  for (const [index, output] of request.outputs.entries()) {
    const target = request.targets.get(output);
    const base = plan.outputs[index]!;
    if (target === undefined) continue;
    offsets[index] = target;
    if (!placed.has(base)) placed.set(base, target);
    else if (placed.get(base) !== target) steps.push(copyOf(base, output, target, placed));
  }
  const kept = new Set(plan.outputs);
  const { offsets: places, end } = layOut(steps, request.arenaStart, placed, kept);
  const computedAt = new Map(steps.map((step, index) => [step.output, index]));
  const finalAt = (output: Node) => {
    const copy = computedAt.get(output);
    return copy ?? computedAt.get(plan.outputs[request.outputs.indexOf(output)]!) ?? -1;
  };
  const groupEnds = request.groups.map((group) => Math.max(-1, ...group.map(finalAt)));
  return {
    stages: cutStages(steps, groupEnds),
    offsets: plan.outputs.map((base, index) => offsets[index] ?? places.get(base)!),
    end,
    encode: (memory) => {
      const module = new ModuleBuilder(memory);
      const context = {
        place: (node: Node) => {
          const offset = places.get(node);
          if (offset === undefined) throw new Error(`'${node.op}' (node ${node.id}) has no place in memory`);
          return offset;
        },
        scratch: request.scratch,
        gemm: request.kernel,
      };
      for (const [index, stage] of cutStages(steps, groupEnds).entries()) {
        const run = new FunctionBuilder();
        for (const step of stage.steps) run.call(module.add(buildStep(step, context, (f) => module.add(f))));
        module.add(run, `stage${index}`);
      }
      return module.encode();
    },
  };
}

/** A step that copies `base`'s elements to where `output` must be. */
function copyOf(base: Node, output: Node, target: number, placed: Map<Node, number>): PlanStep {
  const copy: Node = { ...output };
  placed.set(copy, target);
  const strides: number[] = [];
  let stride = 1;
  for (const extent of [...output.shape].reverse()) {
    strides.unshift(stride);
    stride *= extent;
  }
  return {
    kind: 'pointwise',
    output: copy,
    expression: { kind: 'input', index: 0 },
    operands: [{ base, strides }],
  };
}

function cutStages(steps: readonly PlanStep[], groupEnds: readonly number[]): CompiledStage[] {
  const cuts = [...new Set(groupEnds.filter((end) => end >= 0))].sort((a, b) => a - b);
  if (cuts.at(-1) !== steps.length - 1) cuts.push(steps.length - 1);
  let start = 0;
  return cuts.map((end) => {
    const ready = groupEnds.flatMap((at, group) =>
      at < end + 1 && at >= start - (start === 0 ? 1 : 0) ? [group] : [],
    );
    const stage = { steps: steps.slice(start, end + 1), ready };
    start = end + 1;
    return stage;
  });
}
