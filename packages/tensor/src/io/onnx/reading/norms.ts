/** Products with weights, normalisation and recurrent cells: the operations that have layers here, made of what those are made of. */
import type { Node } from '../../../graph.ts';
import { moments, normalize, normalizeFound } from '../../../nn/norm.ts';
import { constant } from '../../../ops/leaf.ts';
import { matmul as matmulOf } from '../../../ops/matmul.ts';
import { reshape } from '../../../ops/movement.ts';
import { pad } from '../../../ops/parts.ts';
import * as p from '../../../ops/pointwise.ts';
import { sum } from '../../../ops/reduce.ts';
import { window } from '../../../ops/window.ts';
import { sizeOf } from '../../../shape.ts';
import { axisOf, type NodeContext, refuse, refuseSamples, type Translator } from './context.ts';
import { computed, image, type Known, like, permute, plainNode } from './values.ts';

/** Vectors count as rows on the left and as columns on the right. */
const matmul: Translator = (c) => {
  const [a, b] = [c.node(0, 'weight', isProductWeight(c, 0)), c.node(1, 'weight', isProductWeight(c, 1))];
  if (a.shape.length === 0 || b.shape.length === 0) return refuse('multiplies no matrices');
  const left = a.shape.length === 1 ? reshape(a, [1, ...a.shape]) : a;
  const right = b.shape.length === 1 ? reshape(b, [...b.shape, 1]) : b;
  refuseSamples(c, left, [left.shape.length - 1]);
  refuseSamples(c, right, [right.shape.length - 2]);
  const product = matmulOf(left, right);
  const shape = product.shape.filter((_, axis) => {
    const last = product.shape.length - 1;
    return !(a.shape.length === 1 && axis === last - 1) && !(b.shape.length === 1 && axis === last);
  });
  return computed(shape.length === product.shape.length ? product : reshape(product, shape));
};

const isProductWeight = (c: NodeContext, index: number): boolean => {
  const value = c.value(index);
  return value.kind === 'known' && value.type === 'float' && value.shape.length > 1;
};

/** As a layer, of which a job file can change the units. */
function denseLayer(c: NodeContext): Node | undefined {
  const [x, weight, bias] = [c.value(0), c.weight(1), c.weight(2)];
  const isPlain = c.number('alpha', 1) === 1 && c.number('beta', 1) === 1 && c.number('transA', 0) === 0;
  if (!isPlain || x.kind === 'known' || weight?.shape.length !== 2) return undefined;
  const own = c.number('transB', 0) === 1 ? permute(weight, [1, 0]) : weight;
  const options = { units: own.shape[1]!, ...(!c.has(2) && { bias: false }) };
  return c.home.layer(
    { type: 'dense', options, weights: { weight: own, ...(c.has(2) && { bias }) } },
    plainNode(x),
  );
}

const gemm: Translator = (c) => {
  const layer = denseLayer(c);
  if (layer) return computed(layer);
  const [a, b] = [c.node(0, 'weight', isProductWeight(c, 0)), c.node(1, 'weight', isProductWeight(c, 1))];
  const [isTurnedA, isTurnedB] = [c.number('transA', 0) === 1, c.number('transB', 0) === 1];
  refuseSamples(c, a, [isTurnedA ? 0 : 1]);
  refuseSamples(c, b, [isTurnedB ? 1 : 0]);
  const product = matmulOf(a, b, isTurnedA, isTurnedB);
  const [alpha, beta] = [c.number('alpha', 1), c.number('beta', 1)];
  const scaled = alpha === 1 ? product : p.mul(product, constant(alpha));
  if (!c.has(2) || beta === 0) return computed(scaled);
  const value = c.value(2);
  const bias = c.node(2, 'bias', value.kind === 'known' && value.shape.length > 0);
  return computed(p.add(scaled, beta === 1 ? bias : p.mul(bias, constant(beta))));
};

const USUAL = 1e-5;

/** A float32 as it was written: 0.00001, not 0.000009999999747378752. */
const decimal = (value: number): number => Number(value.toPrecision(6));

const batchNorm: Translator = (c) => {
  if (c.number('training_mode', 0) !== 0)
    return refuse('is in training mode: export the model for inference (model.eval())');
  const value = c.computed(0);
  const isFlat = value.node.shape.length < 3;
  const x = isFlat ? value.node : c.image(0);
  const epsilon = decimal(c.number('epsilon', USUAL));
  const rate = Math.min(1, Math.max(0, decimal(1 - c.number('momentum', 0.9))));
  const known = {
    scale: c.weight(1),
    shift: c.weight(2),
    runningMean: c.weight(3),
    runningVariance: c.weight(4),
  };
  const options = { ...(epsilon !== USUAL && { epsilon }), ...(rate !== 0.1 && { momentum: rate }) };
  const layer = c.home.layer({ type: 'batchNorm', options, weights: known }, x);
  if (layer) return isFlat ? like(value, layer) : image(layer);
  const [scale, shift] = [c.node(1, 'scale', true), c.node(2, 'shift', true)];
  const running = [c.value(3), c.value(4)] as const;
  const channels = x.shape.at(-1)!;
  if (running.some((each) => each.kind !== 'known')) {
    const given = { mean: c.node(3), variance: c.node(4) };
    const y = normalize(x, given, scale, shift, epsilon);
    return isFlat ? like(value, y) : image(y);
  }
  const found = moments(
    x,
    x.shape.slice(0, -1).map((_, axis) => axis),
  );
  // n / (n - 1), of a number of samples that is open.
  const count = constant(sizeOf(x.shape) / channels);
  const unbiased = p.div(count, p.max(p.sub(count, constant(1)), constant(1)));
  const [mean, variance] = running as readonly [Known, Known];
  const moving = {
    mean: c.home.statistic(mean, 'runningMean', reshape(found.mean, [channels]), rate),
    variance: c.home.statistic(
      variance,
      'runningVariance',
      p.mul(reshape(found.variance, [channels]), unbiased),
      rate,
    ),
  };
  const y = c.home.whenTraining(
    normalizeFound(found, scale, shift, epsilon),
    normalize(x, moving, scale, shift, epsilon),
  );
  return isFlat ? like(value, y) : image(y);
};

const layerNorm: Translator = (c) => {
  const value = c.computed(0);
  const x = plainNode(value);
  const rank = x.shape.length;
  const axis = axisOf(c.number('axis', -1), rank);
  const axes = x.shape.map((_, i) => i).slice(axis);
  refuseSamples(c, x, axes);
  const epsilon = decimal(c.number('epsilon', USUAL));
  const weights = { scale: c.weight(1), shift: c.weight(2) };
  const options = epsilon === USUAL ? {} : { epsilon };
  const layer = axis === rank - 1 ? c.home.layer({ type: 'layerNorm', options, weights }, x) : undefined;
  if (layer) return computed(layer);
  const found = moments(x, axes);
  const scale = c.node(1, 'scale', true);
  const shift = c.has(2) ? c.node(2, 'shift', true) : constant(0);
  return computed(normalizeFound(found, scale, shift, epsilon));
};

const instanceNorm: Translator = (c) => {
  const x = c.image(0);
  const axes = x.shape.map((_, axis) => axis).slice(1, -1);
  const [scale, shift] = [c.node(1, 'scale', true), c.node(2, 'shift', true)];
  return image(normalizeFound(moments(x, axes), scale, shift, c.number('epsilon', 1e-5)));
};

const groupNorm: Translator = (c) => {
  const x = c.image(0);
  const groups = c.number('num_groups', 0);
  const channels = x.shape.at(-1)!;
  if (!(groups >= 1 && channels % groups === 0))
    return refuse(`${groups} groups do not divide ${channels} channels`);
  const apart = reshape(x, [...x.shape.slice(0, -1), groups, channels / groups]);
  const last = apart.shape.length - 1;
  const axes = [...apart.shape.map((_, axis) => axis).slice(1, -2), last];
  const found = moments(apart, axes);
  const plain = p.div(found.away, p.sqrt(p.add(found.variance, constant(c.number('epsilon', 1e-5)))));
  const [scale, shift] = [c.node(1, 'scale', true), c.node(2, 'shift', true)];
  // Until opset 20 of each group, then of each channel.
  const isOfGroups = scale.shape[0] === groups && groups !== channels;
  if (!isOfGroups) return image(p.add(p.mul(reshape(plain, x.shape), scale), shift));
  const column = (node: Node) => reshape(node, [groups, 1]);
  return image(reshape(p.add(p.mul(plain, column(scale)), column(shift)), x.shape));
};

/** Over neighbouring channels (Krizhevsky et al. 2012). */
const localResponse: Translator = (c) => {
  const x = c.image(0);
  const size = c.number('size', 0);
  if (!(Number.isInteger(size) && size >= 1)) return refuse(`size is ${size}`);
  const last = x.shape.length - 1;
  const zeros = x.shape.map(() => 0);
  const [low, high] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  const padded = pad(p.mul(x, x), zeros.with(last, low), zeros.with(last, high));
  const squares = sum(window(padded, last, size), [last + 1]);
  const [alpha, beta, bias] = [c.number('alpha', 0.0001), c.number('beta', 0.75), c.number('bias', 1)];
  const base = p.add(constant(bias), p.mul(constant(alpha / size), squares));
  return image(p.div(x, p.pow(base, constant(beta))));
};

export const normTranslators = {
  MatMul: matmul,
  Gemm: gemm,
  BatchNormalization: batchNorm,
  LayerNormalization: layerNorm,
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  LRN: localResponse,
} as const satisfies Readonly<Record<string, Translator>>;
