/**
 * TensorFlow.js on its wasm backend, one thread: the matrix products of bench/matmul.ts, and of bench/rows.ts the MLP. Other rows lack
 * kernels there.
 */

import { setThreadsCount, version_wasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import type { Product } from '../matmul.ts';
import { answer, mlpBatch, mlpWidths } from './answer.ts';

setThreadsCount(1);
await tf.setBackend('wasm');
await tf.ready();
/** A step with Adam. */
function mlp(): () => void {
  const batch = mlpBatch();
  const x = tf.tensor2d(batch.x, [128, 784]);
  const wanted = tf.cast(tf.oneHot(tf.tensor1d(batch.labels, 'int32'), 10), 'float32');
  const layers = mlpWidths.slice(1).map((width, i) => ({
    weight: tf.variable(tf.randomNormal([mlpWidths[i]!, width], 0, Math.sqrt(2 / mlpWidths[i]!))),
    bias: tf.variable(tf.zeros([width])),
  }));
  const optimizer = tf.train.adam(0.001);
  /** The backward pass by hand: the core alone has no gradients, and the whole package is ten times as large. */
  const gradients = (): tf.Tensor[] => {
    const inputs: tf.Tensor2D[] = [x];
    for (const [i, { weight, bias }] of layers.entries()) {
      const y = tf.add(tf.matMul(inputs[i]!, weight as tf.Tensor2D), bias) as tf.Tensor2D;
      inputs.push(i < layers.length - 1 ? tf.relu(y) : y);
    }
    let slope = tf.div(tf.sub(tf.softmax(inputs.at(-1)!), wanted), 128) as tf.Tensor2D;
    const found: tf.Tensor[] = [];
    for (let i = layers.length - 1; i >= 0; i--) {
      found.unshift(tf.matMul(inputs[i]!, slope, true), tf.sum(slope, 0));
      if (i > 0)
        slope = tf.mul(tf.matMul(slope, layers[i]!.weight as tf.Tensor2D, false, true), tf.step(inputs[i]!));
    }
    return found;
  };
  const variables = layers.flatMap(({ weight, bias }) => [weight, bias]);
  return () => {
    tf.tidy(() => {
      const found = gradients();
      optimizer.applyGradients(variables.map(({ name }, i) => ({ name, tensor: found[i]! })));
    });
    variables.at(-1)!.dataSync();
  };
}

/** The matrices of the product before are let go of. */
let matrices: tf.Tensor[] = [];

function product({ batch, m, n, k, transposeA, transposeB }: Product): () => void {
  tf.dispose(matrices);
  const filled = (shape: number[]) => tf.fill(batch > 1 ? [batch, ...shape] : shape, 0.5);
  const [a, b] = [filled(transposeA ? [k, m] : [m, k]), filled(transposeB ? [n, k] : [k, n])];
  matrices = [a, b];
  return () => tf.matMul(a, b, transposeA, transposeB).dispose();
}

await answer(`TensorFlow.js ${version_wasm}, wasm`, (work) => {
  if (work === 'mlp') return mlp();
  return typeof work === 'object' ? product(work as Product) : undefined;
});
