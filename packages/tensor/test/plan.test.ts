/** The plan: what is fused, in which order, and that tensors which live at the same time never share memory. */
import { describe, expect, it } from 'vitest';
import type { Node } from '../src/graph.ts';
import { describePreset } from '../src/models/presets.ts';
import { buildModel } from '../src/nn/model.ts';
import { input } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { reshape, transpose } from '../src/ops/movement.ts';
import { add, exp, mul, neg, relu, tanh } from '../src/ops/pointwise.ts';
import { sum } from '../src/ops/reduce.ts';
import { bytesOfNode, layOut } from '../src/plan/arena.ts';
import { makePlan, type PlanStep } from '../src/plan/plan.ts';
import { sizeOf } from '../src/shape.ts';
import { outputNodes, traceProgram } from '../src/training.ts';

const readsOf = (step: PlanStep) =>
  step.kind === 'kernel' ? step.inputs : step.operands.map((operand) => operand.base);
const kindsOf = (outputs: readonly Node[]) =>
  makePlan(outputs).steps.map((step) => (step.kind === 'kernel' ? step.output.op : step.kind));

const mnist = buildModel(describePreset('mnist-mlp'));
const programs = (['train', 'evaluate', 'predict'] as const).map((mode) =>
  traceProgram(mnist, { mode, samples: 13 }),
);

describe('fusion', () => {
  const x = input('x', [5, 6]);
  const row = input('row', [6]);

  it('makes one kernel of a chain of pointwise operations, stretched inputs included', () => {
    expect(kindsOf([relu(add(mul(x, x), row))])).toEqual(['pointwise']);
    expect(kindsOf([tanh(neg(exp(add(x, row))))])).toEqual(['pointwise']);
  });

  it('computes what two kernels need once', () => {
    const shared = exp(x);
    expect(kindsOf([sum(shared), tanh(shared)])).toEqual(['pointwise', 'sum', 'pointwise']);
  });

  it('copies nothing for a reshape, nor for a transpose that a pointwise kernel reads', () => {
    expect(kindsOf([sum(reshape(x, [3, 10]))])).toEqual(['sum']);
    expect(kindsOf([neg(transpose(x))])).toEqual(['pointwise']);
    expect(kindsOf([matmul(x, transpose(x))])).toEqual(['pointwise', 'matmul']);
  });

  it('takes at most 32 kernels for a training step of the MNIST network, and draws its mask once', () => {
    const kinds = kindsOf(outputNodes(programs[0]!));
    expect(kinds.length).toBeLessThanOrEqual(32);
    expect(kinds.filter((kind) => kind === 'matmul')).toHaveLength(8);
    expect(kinds.filter((kind) => kind === 'dropoutMask')).toHaveLength(1);
  });
});

describe.each(programs.map((program) => [program.mode, program] as const))('plan to %s', (_, program) => {
  const outputs = outputNodes(program);
  const plan = makePlan(outputs);
  const computed = new Map(plan.steps.map((step, index) => [step.output, index]));

  it('computes everything before it is read', () => {
    for (const [index, step] of plan.steps.entries()) {
      for (const node of readsOf(step)) {
        const isLeaf = node.op === 'input' || node.op === 'parameter';
        expect(isLeaf || computed.get(node)! < index, `'${step.output.op}' reads '${node.op}'`).toBe(true);
      }
    }
  });

  it('never places two tensors that live at the same time over one another', () => {
    const leaves = new Map<Node, number>();
    const start = 4096;
    const kept = new Set(plan.outputs);
    for (const node of [...program.parameters, ...Object.values(program.inputs)]) leaves.set(node, 0);
    const { offsets, end } = layOut(plan.steps, start, leaves, kept);
    const lastRead = (node: Node) =>
      kept.has(node) ? plan.steps.length : plan.steps.findLastIndex((step) => readsOf(step).includes(node));
    const blocks = plan.steps.map(({ output }, born) => ({
      from: offsets.get(output)!,
      to: offsets.get(output)! + 4 * sizeOf(output.shape),
      born,
      dies: Math.max(born, lastRead(output)),
    }));
    for (const [i, a] of blocks.entries()) {
      expect(a.from).toBeGreaterThanOrEqual(start);
      expect(a.to).toBeLessThanOrEqual(end);
      for (const b of blocks.slice(0, i)) {
        const together = a.born <= b.dies && b.born <= a.dies;
        if (together) expect(a.to <= b.from || b.to <= a.from, `steps ${b.born} and ${a.born}`).toBe(true);
      }
    }
    if (program.mode !== 'train') return;
    const apart = plan.steps.reduce((bytes, { output }) => bytes + bytesOfNode(output), 0);
    const ofGradients = mnist.parameterCount * 4;
    expect(end - start - ofGradients).toBeLessThan(0.8 * (apart - ofGradients));
  });
});
