/**
 * Operations and layers by the names that they have in PyTorch's OpInfo, and how a sample of one is computed here. Typed over both lists:
 * an operation or layer without an entry, or the reason why there is none, does not compile.
 */
import type { Node } from '../../src/graph.ts';
import { averagePool2d, convolve, maxPool2d } from '../../src/nn/convolution.ts';
import type { layerTypes } from '../../src/nn/index.ts';
import {
  binaryCrossEntropy,
  crossEntropy,
  huber,
  logSoftmax,
  meanAbsoluteError,
  meanSquaredError,
  softmax,
} from '../../src/nn/losses.ts';
import { layerNormalization } from '../../src/nn/norm.ts';
import type { Pair } from '../../src/ops/conv2d.ts';
import { gather } from '../../src/ops/gather.ts';
import type { OpName } from '../../src/ops/index.ts';
import { argmax } from '../../src/ops/labels.ts';
import { constant } from '../../src/ops/leaf.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { broadcast, flip, reshape, transpose } from '../../src/ops/movement.ts';
import { apply } from '../../src/ops/op.ts';
import { concat, pad, sliceAxis } from '../../src/ops/parts.ts';
import { add, div, gt, mul, type PointwiseName, pointwiseOps, select } from '../../src/ops/pointwise.ts';
import { maxReduce, mean, sum } from '../../src/ops/reduce.ts';

/** What samples say besides their tensors: each has those of its operation. */
interface Attributes {
  readonly shape: readonly number[];
  readonly permutation: readonly number[];
  readonly axis: number;
  readonly start: number;
  readonly length: number;
  readonly axes: readonly number[];
  readonly keepDims: boolean;
  readonly approximate: 'none' | 'tanh';
  readonly epsilon: number;
  readonly smoothing: number;
  readonly delta: number;
  readonly size: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly groups: number;
  readonly pad: readonly number[];
  readonly value: number;
}

export interface OpInfoCase {
  /** Its name in OpInfo. */
  readonly op: string;
  readonly attributes: Attributes;
  readonly inputs: readonly {
    readonly shape: readonly number[];
    readonly whole: boolean;
    readonly values: readonly number[];
  }[];
  readonly shape: readonly number[];
  readonly output: readonly number[];
  readonly upstream: readonly number[];
  readonly gradients: readonly (readonly number[] | null)[];
}

type Inputs = readonly [Node, Node, Node];
/** Computes a sample; of several names one that fits. */
interface Counterpart {
  readonly names: readonly string[];
  readonly build: (inputs: Inputs, attributes: Attributes, name: string) => Node;
}
interface None {
  readonly none: string;
}

const named = (name: string, build: Counterpart['build']): Counterpart => ({ names: [name], build });
/** A pointwise operation as it is. */
const same = (op: PointwiseName, name: string = op): Counterpart =>
  named(name, (inputs) => apply(pointwiseOps[op], inputs, {}));
const none = (reason: string): None => ({ none: reason });
const ofGradient = none('PyTorch has no operation of its own for what a gradient takes');
const leaf = none('it has no inputs');
const bare = (loss: Node): Node => mean(loss);

export const operations: Readonly<Record<OpName, Counterpart | None>> = {
  parameter: leaf,
  input: leaf,
  constant: leaf,
  iota: leaf,
  reshape: named('reshape', ([x], { shape }) => reshape(x, shape)),
  detach: none('it is the identity of a value; OpInfo has no sample of a stopped gradient'),
  broadcast: named('expand', ([x], { shape }) => broadcast(x, shape)),
  transpose: named('permute', ([x], { permutation }) => transpose(x, permutation)),
  slice: named('narrow', ([x], { axis, start, length }) => sliceAxis(x, axis, start, length)),
  flip: named('flip', ([x], { axes }) => flip(x, axes)),
  window: named('nn.functional.max_pool2d', ([x], { size, stride, padding, dilation }) =>
    maxPool2d(x, size, { stride, padding, dilation }),
  ),
  matmul: named('matmul', ([a, b]) => matmul(a, b)),
  conv2d: named('nn.functional.conv2d', ([x, weight, bias], { stride, padding, dilation, groups }) => {
    const y = convolve(x, weight, { stride, padding, dilation, groups });
    return bias ? add(y, bias) : y;
  }),
  conv2dInputGradient: ofGradient,
  conv2dWeightGradient: ofGradient,
  sum: named('sum', ([x], { axes, keepDims }) => sum(x, axes, keepDims)),
  maxReduce: named('amax', ([x], { axes, keepDims }) => maxReduce(x, axes, keepDims)),
  pad: named('constant_pad_nd', ([x], { pad: around, value }) => {
    // Pairs from the last axis on.
    const of = (end: 0 | 1) => x.shape.map((_, axis) => around[2 * (x.shape.length - 1 - axis) + end] ?? 0);
    return pad(x, of(0), of(1), { value });
  }),
  concat: { names: ['cat'], build: (inputs, { axis }) => concat(inputs, axis) },
  fold: ofGradient,
  gather: named('nn.functional.embedding', ([table, indices]) => gather(table, indices)),
  scatterAdd: ofGradient,
  toIndex: none('PyTorch has other dtypes'),
  checkLabels: none('PyTorch checks where it reads'),
  argmax: named('argmax', ([x], { axis }) => argmax(x, axis)),
  oneHot: none('its samples are of int64 numbers whose largest says how many classes there are'),
  argmaxEquals: none('a metric of our own'),
  dropoutMask: none('random numbers of our own'),
  add: same('add'),
  sub: same('sub'),
  mul: same('mul'),
  div: same('div'),
  max: same('max', 'maximum'),
  min: same('min', 'minimum'),
  neg: same('neg'),
  abs: same('abs'),
  sqrt: same('sqrt'),
  exp: same('exp'),
  log: same('log'),
  tanh: same('tanh'),
  floor: same('floor'),
  relu: same('relu', 'nn.functional.relu'),
  sigmoid: same('sigmoid'),
  pow: same('pow'),
  powSlope: ofGradient,
  erf: same('erf'),
  gaussian: ofGradient,
  sin: same('sin'),
  cos: same('cos'),
  softplus: same('softplus', 'nn.functional.softplus'),
  silu: same('silu', 'nn.functional.silu'),
  siluSlope: ofGradient,
  gelu: named('nn.functional.gelu', ([x], { approximate }) =>
    apply(approximate === 'tanh' ? pointwiseOps.geluTanh : pointwiseOps.gelu, [x], {}),
  ),
  geluSlope: ofGradient,
  geluTanh: none('the samples of gelu that say so'),
  elu: none('its layer, with the options of test/pytorch/generate.py'),
  hardSigmoid: none('its layer, of test/pytorch/generate.py'),
  hardSwish: none('its layer, of test/pytorch/generate.py'),
  mish: none('its layer, of test/pytorch/generate.py'),
  sinusoid: none('PyTorch has no positions'),
  lt: same('lt'),
  le: same('le'),
  gt: same('gt'),
  ge: same('ge'),
  eq: same('eq'),
  ne: same('ne'),
  select: same('select', 'where'),
};

const fixtures = none('its parameters and options are those of test/pytorch/generate.py');
const operation = none('the operation of that name');

/** What is made of operations: layers by their types, then losses. */
export const layers: Readonly<Record<keyof typeof layerTypes, Counterpart | None>> = {
  input: leaf,
  dense: named('nn.functional.linear', ([x, weight, bias]) => {
    const y = matmul(x, weight);
    return bias ? add(y, bias) : y;
  }),
  conv2d: operation,
  maxPool: none('the operation window, of which its samples are'),
  averagePool: named('nn.functional.avg_pool2d', ([x], { size, stride, padding }) =>
    averagePool2d(x, size, { stride, padding }),
  ),
  globalAveragePool: fixtures,
  batchNorm: fixtures,
  layerNorm: named('nn.functional.layer_norm', ([x, scale, shift], { epsilon }) =>
    layerNormalization(x, scale, shift, epsilon),
  ),
  conv1d: fixtures,
  conv2dTranspose: fixtures,
  upsample: fixtures,
  adaptiveAveragePool: fixtures,
  squeezeExcite: fixtures,
  rmsNorm: fixtures,
  groupNorm: fixtures,
  instanceNorm: fixtures,
  dropout: none('random numbers of our own'),
  flatten: none('a reshape'),
  reshape: operation,
  embedding: none('the operation gather, of which its samples are'),
  positionalEncoding: fixtures,
  selfAttention: fixtures,
  transformerBlock: fixtures,
  rnn: fixtures,
  lstm: fixtures,
  gru: fixtures,
  add: operation,
  concat: operation,
  relu: operation,
  sigmoid: operation,
  tanh: operation,
  softplus: operation,
  silu: operation,
  gelu: operation,
  geluTanh: none('the operation gelu, by its own samples'),
  hardSigmoid: fixtures,
  hardSwish: fixtures,
  mish: fixtures,
  prelu: fixtures,
  elu: fixtures,
  leakyRelu: named('nn.functional.leaky_relu', ([x]) =>
    select(gt(x, constant(0)), x, mul(x, constant(0.01))),
  ),
  softmax: named('softmax', ([x]) => softmax(x)),
};

export const losses: readonly Counterpart[] = [
  named('mean', ([x], { axes, keepDims }) => mean(x, axes, keepDims)),
  named('log_softmax', ([x]) => logSoftmax(x)),
  named('nn.functional.cross_entropy', ([logits, labels, weights], { smoothing }) => {
    const options = { labelSmoothing: smoothing, ...(weights && { classWeights: weights }) };
    const loss = sum(crossEntropy(logits, labels, options));
    return div(loss, weights ? sum(gather(weights, labels)) : constant(labels.shape[0]!));
  }),
  named('nn.functional.mse_loss', ([x, t]) => bare(meanSquaredError(x, t))),
  named('nn.functional.l1_loss', ([x, t]) => bare(meanAbsoluteError(x, t))),
  named('nn.functional.huber_loss', ([x, t], { delta }) => bare(huber(x, t, delta))),
  named('nn.functional.binary_cross_entropy_with_logits', ([x, t]) => bare(binaryCrossEntropy(x, t))),
];
