/** The plan: what is fused, in which order, and that tensors which live at the same time never share memory. */
import { describe, expect, it } from 'vitest';
import type { Node } from '../src/graph.ts';
import { describePreset } from '../src/models/presets.ts';
import { buildModel } from '../src/nn/model.ts';
import { input } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { reshape, transpose } from '../src/ops/movement.ts';
import { concat } from '../src/ops/parts.ts';
import { add, exp, mul, neg, relu, tanh } from '../src/ops/pointwise.ts';
import { sum } from '../src/ops/reduce.ts';
import { bytesOfNode, layOut, readsOf, writesOf } from '../src/plan/arena.ts';
import { type MergedStep, mergeSteps } from '../src/plan/merge.ts';
import { makePlan, type PlanStep } from '../src/plan/plan.ts';
import { sizeOf } from '../src/shape.ts';
import { outputNodes, traceProgram } from '../src/training.ts';

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

  it('takes at most 33 kernels for a training step of the MNIST network, and draws its mask once', () => {
    const kinds = kindsOf(outputNodes(programs[0]!));
    expect(kinds.length).toBeLessThanOrEqual(33);
    expect(kinds.filter((kind) => kind === 'matmul')).toHaveLength(8);
    expect(kinds.filter((kind) => kind === 'dropoutMask')).toHaveLength(1);
  });
});

/** What a backend that merges loops runs: of a loop, how many tensors it writes; of others, the operation. */
const merged = (outputs: readonly Node[]) => {
  const plan = makePlan(outputs);
  return mergeSteps(plan.steps, new Set(plan.outputs));
};
const shapesOf = (steps: readonly MergedStep[]) =>
  steps.map((step) => (step.kind === 'loop' ? step.results.length : step.output.op));

describe('loops put together', () => {
  const x = input('x', [5, 6]);
  const y = input('y', [5, 6]);

  it('hand on in registers what only they read, and store what others read', () => {
    const shared = exp(x);
    expect(shapesOf(merged([tanh(mul(shared, add(shared, y)))]))).toEqual([1]);
    expect(shapesOf(merged([tanh(mul(shared, add(shared, y))), sum(shared)]))).toEqual([2, 'sum']);
    expect(shapesOf(merged([tanh(mul(shared, add(shared, y))), shared]))).toEqual([2]);
  });

  it('keep apart what does not go over the same elements, or waits for a kernel between', () => {
    const row = input('row', [6]);
    expect(shapesOf(merged([exp(x), exp(transpose(x))]))).toEqual([1, 1]);
    expect(shapesOf(merged([exp(x), exp(row)]))).toEqual([1, 1]);
    const first = exp(x);
    const steps = merged([mul(first, sum(first, [1], true)), first]);
    expect(shapesOf(steps)).toEqual([1, 'sum', 1]);
  });

  it('write pieces of a concatenation where they are put, and copy those that are needed elsewhere', () => {
    expect(shapesOf(merged([concat([exp(x), neg(x), y], 1)]))).toEqual([2, 1]);
    const piece = exp(x);
    const steps = merged([concat([piece, neg(x)], 0), matmul(piece, transpose(x))]);
    expect(shapesOf(steps)).toEqual([3, 1, 'matmul']);
  });

  it('take two loops and three products a step of an LSTM, forwards and backwards', () => {
    const steps = (time: number) => {
      const model = buildModel({
        input: [time, 3],
        classes: 2,
        layers: [
          { type: 'lstm', units: 4 },
          { type: 'dense', units: 2 },
        ],
      });
      const kinds = merged(outputNodes(traceProgram(model, { mode: 'train', samples: 5 }))).map(
        (step) => step.kind,
      );
      return { loops: kinds.filter((kind) => kind === 'loop').length, all: kinds.length };
    };
    const [six, seven] = [steps(6), steps(7)];
    // The third loop puts a step's gradient beside those of the others.
    expect(seven.loops - six.loops).toBe(3);
    expect(seven.all - six.all).toBe(6);
  });
});

describe.each(programs.map((program) => [program.mode, program] as const))('plan to %s', (_, program) => {
  const outputs = outputNodes(program);
  const plan = makePlan(outputs);
  const kept = new Set(plan.outputs);
  const steps = mergeSteps(plan.steps, kept);
  const computed = new Map(steps.flatMap((step, index) => writesOf(step).map((node) => [node, index])));

  it('computes everything before it is read', () => {
    for (const [index, step] of steps.entries()) {
      for (const node of readsOf(step)) {
        const isLeaf = node.op === 'input' || node.op === 'parameter';
        expect(isLeaf || computed.get(node)! < index, `'${step.output.op}' reads '${node.op}'`).toBe(true);
      }
    }
  });

  it('never places two tensors that live at the same time over one another', () => {
    const leaves = new Map<Node, number>();
    const start = 4096;
    for (const node of [...program.parameters, ...Object.values(program.inputs)]) leaves.set(node, 0);
    const { offsets, end } = layOut(steps, start, leaves, kept);
    const lastRead = (node: Node) =>
      kept.has(node) ? steps.length : steps.findLastIndex((step) => readsOf(step).includes(node));
    const written = new Set(steps.flatMap(writesOf));
    const blocks = [...written].map((node) => {
      const born = steps.findIndex((step) => writesOf(step).includes(node));
      const from = offsets.get(node)!;
      const dies = Math.max(computed.get(node)!, lastRead(node));
      return { from, to: from + 4 * sizeOf(node.shape), born, dies };
    });
    for (const [i, a] of blocks.entries()) {
      expect(a.from).toBeGreaterThanOrEqual(start);
      expect(a.to).toBeLessThanOrEqual(end);
      for (const b of blocks.slice(0, i)) {
        const together = a.born <= b.dies && b.born <= a.dies;
        if (together) expect(a.to <= b.from || b.to <= a.from, `steps ${b.born} and ${a.born}`).toBe(true);
      }
    }
    if (program.mode !== 'train') return;
    const apart = [...written].reduce((bytes, node) => bytes + bytesOfNode(node), 0);
    const ofGradients = mnist.parameterCount * 4;
    expect(end - start - ofGradients).toBeLessThan(0.8 * (apart - ofGradients));
  });
});

describe('places in memory', () => {
  /** Steps that each write a tensor, and read the one that was written so many steps before. */
  const stepsOf = (sizes: readonly number[], back: (index: number) => number): PlanStep[] => {
    const nodes = sizes.map((size, index) => input(`t${index}`, [size]));
    return nodes.map((output, index) => {
      const read = nodes[index - back(index)];
      return { kind: 'kernel', output, inputs: read ? [read] : [] };
    });
  };

  it('are the lowest that are free', () => {
    const sizes = Array.from({ length: 300 }, (_, index) => 1 + ((index * 7919) % 257));
    const steps = stepsOf(sizes, (index) => 1 + ((index * 31) % 40));
    const { offsets } = layOut(steps, 64, new Map(), new Set());
    const taken: { from: number; to: number; until: number }[] = [];
    const expected = steps.map(({ output }, index) => {
      const bytes = bytesOfNode(output);
      const live = taken.filter(({ until }) => until >= index).sort((a, b) => a.from - b.from);
      const from = live.reduce((at, one) => (at + bytes <= one.from ? at : Math.max(at, one.to)), 64);
      const read = steps.findLastIndex((step) => readsOf(step).includes(output));
      taken.push({ from, to: from + bytes, until: Math.max(index, read) });
      return from;
    });
    expect(steps.map(({ output }) => offsets.get(output))).toEqual(expected);
  });

  // Each step went through all tensors that are alive: it took minutes.
  it('are found for a hundred thousand tensors at once', { timeout: 60_000 }, () => {
    const steps = stepsOf(new Array(100_000).fill(1), () => 0);
    const kept = new Set(steps.map(({ output }) => output));
    expect(layOut(steps, 0, new Map(), kept).end).toBe(128 * steps.length);
  });
});
