/**
 * Loss and gradients of a row of bench/rows.ts in TensorFlow.js, on whatever backend it has. The backward pass is by hand: its core
 * alone has no gradients, and the package that has them is ten times as large. Kernels are those that its own layers and gradients call:
 * a bias and a relu are part of the product or convolution before them.
 */
import { buildModel, type ModelLayer } from '@kasane/tensor/nn/model';
import { sizeOf } from '@kasane/tensor/shape';
import * as tf from '@tensorflow/tfjs-core';
import { fillBatch, type Row } from '../rows.ts';

export interface TfjsRow {
  /** In the order of the model's parameters. */
  readonly variables: readonly tf.Variable[];
  /** The mean loss of the batch and its slopes along the variables; to be called inside of tf.tidy. */
  gradients(): { readonly loss: tf.Scalar; readonly slopes: tf.Tensor[] };
  dispose(): void;
}

/** A layer, with the relu behind it if there is one. */
interface Step {
  readonly relu: boolean;
  readonly variables: readonly tf.Variable[];
  forward(x: tf.Tensor): tf.Tensor;
  /** Slopes of the variables, from what went in and the slope of what came out, before its relu. */
  own(x: tf.Tensor, slope: tf.Tensor): tf.Tensor[];
  /** The slope of what went in. */
  through(slope: tf.Tensor, x: tf.Tensor, y: tf.Tensor): tf.Tensor;
}
type OpenStep = (layer: ModelLayer, variables: readonly tf.Variable[], relu: boolean) => Step;

const kernel = (name: string, inputs: tf.NamedTensorMap, attributes: tf.NamedAttrMap) =>
  tf.engine().runKernel(name, inputs, attributes) as tf.Tensor;

type Shape4 = readonly [number, number, number, number];
const convolution = (pad: number) => ({ strides: [1, 1], pad, dataFormat: 'NHWC', dimRoundingMode: 'floor' });
/** Slopes of a convolution at stride 1: of its filter, of that shape, and of its image. */
export const filterSlope = (x: tf.Tensor, dy: tf.Tensor, filterShape: Shape4, pad: number): tf.Tensor =>
  kernel('Conv2DBackpropFilter', { x, dy }, { ...convolution(pad), filterShape: [...filterShape] });
export const imageSlope = (dy: tf.Tensor, filter: tf.Tensor, inputShape: Shape4, pad: number): tf.Tensor =>
  kernel('Conv2DBackpropInput', { dy, filter }, { ...convolution(pad), inputShape: [...inputShape] });

/** What rows need: convolutions at stride 1 and pooling side by side, in squares, and relu behind dense layers and convolutions. */
const openers: Readonly<Record<string, OpenStep>> = {
  dense: (_, variables, relu) => {
    const [weight, bias] = variables as [tf.Tensor2D & tf.Variable, tf.Variable];
    const activation = relu ? 'relu' : 'linear';
    return {
      relu,
      variables,
      forward: (a) => tf.fused.matMul({ a, b: weight, bias, activation }),
      own: (x, slope) => [tf.matMul(x, slope, true), tf.sum(slope, 0)],
      through: (slope) => tf.matMul(slope, weight, false, true),
    };
  },

  conv2d: ({ options }, variables, relu) => {
    const [filter, bias] = variables as [tf.Tensor4D & tf.Variable, tf.Variable];
    const pad = options.padding as number;
    const activation = relu ? 'relu' : 'linear';
    return {
      relu,
      variables,
      forward: (x) =>
        tf.fused.conv2d({
          x: x as tf.Tensor4D,
          filter,
          strides: 1,
          pad,
          dimRoundingMode: 'floor',
          bias,
          activation,
        }),
      own: (x, dy) => [filterSlope(x, dy, filter.shape, pad), tf.sum(dy, [0, 1, 2])],
      through: (dy, x) => imageSlope(dy, filter, (x as tf.Tensor4D).shape, pad),
    };
  },

  maxPool: ({ options }, variables) => {
    const filterSize = options.size as number;
    return {
      relu: false,
      variables,
      forward: (x) => tf.maxPool(x as tf.Tensor4D, filterSize, filterSize, 'valid'),
      own: () => [],
      through: (dy, input, output) =>
        kernel('MaxPoolGrad', { dy, input, output }, { filterSize, strides: filterSize, pad: 'valid' }),
    };
  },

  flatten: ({ outputShape }, variables) => ({
    relu: false,
    variables,
    forward: (x) => tf.reshape(x, [x.shape[0]!, ...outputShape]),
    own: () => [],
    through: (slope, x) => tf.reshape(slope, x.shape),
  }),
};

/**
 * @param parameters values in the flat layout of the row's model
 * @returns undefined for a row with layers that this file does not have
 */
export function openTfjsRow(row: Row, parameters: Float32Array): TfjsRow | undefined {
  const { layers, sampleShape } = buildModel(row.description);
  const steps: Step[] = [];
  for (const [index, layer] of layers.entries()) {
    if (layer.type === 'relu') continue;
    const open = openers[layer.type];
    if (!open) return undefined;
    const variables = layer.parameters.map(({ shape, offset, size }) =>
      tf.variable(tf.tensor(parameters.slice(offset, offset + size), [...shape])),
    );
    steps.push(open(layer, variables, layers[index + 1]?.type === 'relu'));
  }
  const values = new Float32Array(row.batch * sizeOf(sampleShape));
  const labels = new Int32Array(row.batch);
  fillBatch(row, values, labels);
  const x = tf.tensor(values, [row.batch, ...sampleShape]);
  const wanted = tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), row.description.classes!), 'float32');
  const variables = steps.flatMap((step) => step.variables);
  return {
    variables,
    gradients: () => {
      const passed = [x];
      for (const { forward } of steps) passed.push(forward(passed.at(-1)!));
      const likely = tf.softmax(passed.at(-1)!);
      const loss = tf.neg(tf.mean(tf.log(tf.sum(tf.mul(likely, wanted), -1)))) as tf.Scalar;
      let slope: tf.Tensor = tf.div(tf.sub(likely, wanted), row.batch);
      const slopes: tf.Tensor[] = [];
      for (const [i, { relu, own, through }] of [...steps.entries()].reverse()) {
        const [from, to] = [passed[i]!, passed[i + 1]!];
        if (relu) slope = tf.mul(slope, tf.step(to));
        slopes.unshift(...own(from, slope));
        if (i > 0) slope = through(slope, from, to);
      }
      return { loss, slopes };
    },
    dispose: () => tf.dispose([...variables, x, wanted]),
  };
}
