/**
 * TensorFlow.js on its wasm backend, one thread: the matrix products of bench/matmul.ts, and of bench/rows.ts the MLP. Other rows lack
 * kernels there.
 */

import { buildModel, initializeParameters } from '@kasane/tensor/nn/model';
import { setThreadsCount, version_wasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import type { Product } from '../matmul.ts';
import { type Row, rows } from '../rows.ts';
import { openTfjsRow } from '../support/tfjs-row.ts';
import { answer } from './answer.ts';

setThreadsCount(1);
await tf.setBackend('wasm');
await tf.ready();

/** A step with Adam. */
function step(row: Row): () => void {
  const { variables, gradients } = openTfjsRow(row, initializeParameters(buildModel(row.description), 1))!;
  const optimizer = tf.train.adam(0.001);
  return () => {
    tf.tidy(() => {
      const { slopes } = gradients();
      optimizer.applyGradients(variables.map(({ name }, i) => ({ name, tensor: slopes[i]! })));
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
  if (work === 'mlp') return step(rows.find(({ name }) => name === work)!);
  return typeof work === 'object' ? product(work as Product) : undefined;
});
