/** Operations that a program calls, exported to ONNX one by one: ONNX Runtime gives the same numbers, for any number of samples. */
import { expect, it } from 'vitest';
import type { Node } from '../src/graph.ts';
import { exportOnnx } from '../src/io/onnx/export.ts';
import { defineModel, type ModelScope } from '../src/nn/define-model.ts';
import { softmax } from '../src/nn/losses.ts';
import { buildModel } from '../src/nn/model.ts';
import { conv2d, conv2dInputGradient } from '../src/ops/conv2d.ts';
import { gather, scatterAdd, toIndex } from '../src/ops/gather.ts';
import { argmax, argmaxEquals, oneHot } from '../src/ops/labels.ts';
import { constant, iota } from '../src/ops/leaf.ts';
import { matmul } from '../src/ops/matmul.ts';
import { broadcast, detach, flip, reshape, transpose } from '../src/ops/movement.ts';
import { concat, pad, slice, sliceAxis } from '../src/ops/parts.ts';
import * as p from '../src/ops/pointwise.ts';
import { maxReduce, mean, sum } from '../src/ops/reduce.ts';
import { fold, window } from '../src/ops/window.ts';
import { disagreement, runOnnx, workedParameters } from './support/onnx.ts';

const normal = { kind: 'normal', std: 1 } as const;
const positive = (x: Node) => p.add(p.abs(x), constant(0.1));
const rows = (x: Node, ...shape: number[]) => reshape(x, [x.shape[0]!, ...shape]);

/** Each of samples [6] or of another shape to samples of any. */
const cases: Readonly<Record<string, [shape: readonly number[], (x: Node, m: ModelScope) => Node]>> = {
  arithmetic: [[6], (x) => p.sub(p.div(p.neg(x), positive(x)), p.mul(x, x))],
  'max and min': [[6], (x) => p.max(p.min(x, constant(0.5)), constant(-0.25))],
  functions: [[6], (x) => p.add(p.exp(x), p.add(p.log(positive(x)), p.add(p.tanh(x), p.sqrt(positive(x)))))],
  'sine and cosine': [[6], (x) => p.add(p.sin(x), p.mul(p.cos(x), p.erf(x)))],
  activations: [
    [6],
    (x) => p.add(p.gelu(x), p.add(p.silu(x), p.add(p.mish(x), p.add(p.elu(x), p.hardSwish(x))))),
  ],
  more: [
    [6],
    (x) => p.add(p.relu(x), p.add(p.sigmoid(x), p.add(p.softplus(x), p.pow(positive(x), constant(1.5))))),
  ],
  'floor and comparisons': [
    [6],
    (x) =>
      p.add(
        p.floor(p.mul(x, constant(3))),
        p.select(p.gt(x, constant(0)), p.le(x, constant(0.5)), p.ne(x, x)),
      ),
  ],
  softmax: [[6], (x) => softmax(x)],
  'sum and mean': [[2, 3], (x) => p.add(sum(x, [1]), mean(x, [1]))],
  'sums that stay': [[2, 3], (x) => p.sub(x, p.add(sum(x, [2], true), maxReduce(x, [1], true)))],
  'sum over samples': [[6], (x) => p.sub(x, mean(x, [0], true))],
  transpose: [[2, 3], (x) => transpose(x, [0, 2, 1])],
  'reshape there and back': [
    [6],
    (x) => reshape(p.mul(reshape(x, [x.shape[0]! * 2, 3]), constant(2)), x.shape),
  ],
  'samples in another place': [[6], (x) => transpose(p.exp(transpose(x)))],
  broadcast: [[6], (x) => broadcast(rows(x, 1, 6), [x.shape[0]!, 2, 6])],
  'constant for each sample': [[6], (x) => p.add(x, constant(0.5, [x.shape[0]!, 6]))],
  'number of samples': [[6], (x) => p.div(x, p.add(constant(x.shape[0]!), constant(1)))],
  iota: [[6], (x) => p.add(x, p.add(iota([1, 6], 1), p.mul(constant(0.1), iota([x.shape[0]!, 6], 0))))],
  slice: [[2, 5], (x) => slice(x, [0, 1, 0], [x.shape[0]!, 1, 3], [1, 1, 2])],
  'slice that ends early': [[6], (x) => concat([sliceAxis(x, 1, 3, 3), sliceAxis(x, 1, 0, 2)], 1)],
  flip: [[2, 3], (x) => flip(x, [1, 2])],
  pad: [[2, 3], (x) => pad(x, [0, 1, 0], [0, 0, 2], { value: 0.5 })],
  window: [[7], (x) => window(x, 1, 3, { stride: 2 })],
  'window, dilated': [[9, 2], (x) => window(x, 1, 3, { stride: 1, dilation: 2 })],
  matmul: [[4], (x, m) => matmul(x, m.parameter('weight', [4, 3], normal))],
  'matmul, transposed': [[2, 4], (x, m) => matmul(x, m.parameter('weight', [3, 4], normal), false, true)],
  'matmul of samples': [[3, 4], (x) => matmul(x, x, false, true)],
  'matmul of transposed samples': [[3, 4], (x) => matmul(x, x, true)],
  conv2d: [
    [6, 5, 4],
    (x, m) =>
      conv2d(x, m.parameter('w', [3, 2, 2, 6], normal), { stride: [2, 1], padding: [1, 0], groups: 2 }),
  ],
  'conv2d, dilated': [
    [7, 6, 3],
    (x, m) => conv2d(x, m.parameter('w', [3, 2, 3, 4], normal), { dilation: [2, 3] }),
  ],
  'transposed convolution': [
    [3, 3, 4],
    (x, m) =>
      conv2dInputGradient(x, m.parameter('w', [3, 3, 2, 4], normal), [6, 6], {
        stride: [2, 2],
        padding: [1, 1],
      }),
  ],
  gather: [
    [6],
    (x, m) => gather(m.parameter('table', [5, 2], normal), toIndex(p.floor(p.mul(p.abs(x), constant(4))))),
  ],
  scatterAdd: [
    [2, 3],
    (x) =>
      p.add(
        x,
        reshape(
          scatterAdd(
            reshape(x, [x.shape[0]! * 2, 3]),
            toIndex(p.floor(p.mul(constant(0.5), iota([x.shape[0]! * 2], 0)))),
            x.shape[0]! * 2,
          ),
          [x.shape[0]!, 2, 3],
        ),
      ),
  ],
  labels: [[6], (x) => p.mul(oneHot(argmax(x), 6), x)],
  'answers that are right': [[6], (x) => p.add(x, rows(argmaxEquals(x, argmax(p.neg(x))), 1))],
  detach: [[6], (x) => p.mul(detach(x), x)],
  'what only training has': [
    [6],
    (x, m) => m.whenTraining(p.add(m.dropout(x, 0.5), m.normal([6])), p.mul(x, constant(2))),
  ],
  'a statistic': [
    [6],
    (x, m) => p.sub(x, m.statistic('center', mean(x, [0]), { initial: { kind: 'zeros' } })),
  ],
};

const modelOf = (name: string) => {
  const [shape, build] = cases[name]!;
  return buildModel(defineModel({ input: shape, build: (m, x) => m.scope('layer', (s) => build(x, s)) }));
};

/** What the way back lacks. */
const refused: Readonly<Record<string, RegExp>> = {
  iota: /depends on the number of samples in a way that a graph cannot say/,
  'number of samples': /depends on the number of samples in a way that a graph cannot say/,
  scatterAdd: /^ScatterND \(node "layer\/ScatterND"\): this operation is not supported/,
};

it.each(Object.keys(cases))('%s', async (name) => {
  const runs = await runOnnx(modelOf(name), [1, 2, 4], undefined, undefined, refused[name]);
  for (const run of runs) expect(disagreement(run)).toBeLessThan(1e-5);
});

it('reads a table by the input itself', async () => {
  const model = buildModel(
    defineModel({
      input: [4],
      build: (m, x) => m.scope('rows', (s) => gather(s.parameter('table', [9, 3], normal), toIndex(x))),
    }),
  );
  for (const run of await runOnnx(model, [1, 3], 9)) expect(disagreement(run)).toBeLessThan(1e-6);
});

it('names what has no equivalent', async () => {
  const model = buildModel(
    defineModel({ input: [3, 2], build: (m, x) => m.scope('fold', () => fold(x, 1, 4)) }),
  );
  await expect(exportOnnx(model, workedParameters(model))).rejects.toThrow(
    /^layer fold: fold has no equivalent in ONNX/,
  );
});
