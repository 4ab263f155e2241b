/** A backend in fifty lines: it takes the steps of the plan one by one, in float64. What a new one begins with. */
import type { Backend, GraphProgram } from '../../src/backends/backend.ts';
import { openCarried } from '../../src/backends/carried.ts';
import { referenceKernels, type Values } from '../../src/backends/reference/kernels.ts';
import type { Node } from '../../src/graph.ts';
import type { KernelOpName } from '../../src/ops/index.ts';
import { leafFor, placeLeaves } from '../../src/plan/leaves.ts';
import { makePlan, type PlanStep } from '../../src/plan/plan.ts';
import { compileScalar } from '../../src/scalar/evaluate.ts';
import { sizeOf, stridesOf } from '../../src/shape.ts';

export const planned: Backend = {
  name: 'planned',
  exact: false,
  compile,
  open: (model, requests, options) => openCarried(compile, model, requests, options),
};

async function compile(outputs: readonly Node[]): Promise<GraphProgram> {
  const { byName } = placeLeaves(outputs, 0);
  const plan = makePlan(outputs);
  const memory = new Map<Node, Values>();
  for (const node of byName.values()) memory.set(node, new Float64Array(sizeOf(node.shape)));
  return {
    write: (name, values) => memory.get(leafFor(byName, name, values))!.set(values),
    run: () => {
      const valuesOf = (node: Node) => memory.get(node)!;
      for (const step of plan.steps) memory.set(step.output, take(step, valuesOf));
      const results = plan.outputs.map(valuesOf);
      return outputs.map(({ dtype }, i) => (dtype === 'i32' ? Int32Array : Float32Array).from(results[i]!));
    },
    destroy: () => memory.clear(),
  };
}

function take(step: PlanStep, valuesOf: (node: Node) => Values): Values {
  const { output } = step;
  if (step.kind === 'kernel')
    return referenceKernels[output.op as KernelOpName](output, step.inputs.map(valuesOf));
  const f = compileScalar(step.expression);
  const strides = stridesOf(output.shape);
  return Float64Array.from({ length: sizeOf(output.shape) }, (_, element) => {
    const at = output.shape.map((extent, axis) => Math.floor(element / strides[axis]!) % extent);
    const read = ({ base, offset, strides: steps }: (typeof step.operands)[number]) =>
      valuesOf(base)[at.reduce((place, index, axis) => place + index * steps[axis]!, offset)]!;
    return f(step.operands.map(read));
  });
}
