/** The MLP of bench/rows.ts in TensorFlow.js on its wasm backend, one thread. Its other rows lack kernels there. */

// Unlike its core alone it knows gradients.
import * as tf from '@tensorflow/tfjs';
import { setThreadsCount, version_wasm } from '@tensorflow/tfjs-backend-wasm';
import { answer, mlpBatch, mlpWidths } from './answer.ts';

setThreadsCount(1);
await tf.setBackend('wasm');
await tf.ready();
await answer(`TensorFlow.js ${version_wasm}, wasm`, async (row) => {
  if (row !== 'mlp') return undefined;
  const batch = mlpBatch();
  const x = tf.tensor2d(batch.x, [128, 784]);
  const wanted = tf.cast(tf.oneHot(tf.tensor1d(batch.labels, 'int32'), 10), 'float32');
  const layers = mlpWidths.slice(1).map((width, i) => ({
    weight: tf.variable(tf.randomNormal([mlpWidths[i]!, width], 0, Math.sqrt(2 / mlpWidths[i]!))),
    bias: tf.variable(tf.zeros([width])),
  }));
  const optimizer = tf.train.adam(0.001);
  const loss = (): tf.Scalar => {
    let y: tf.Tensor = x;
    for (const [i, { weight, bias }] of layers.entries()) {
      y = tf.add(tf.matMul(y as tf.Tensor2D, weight as tf.Tensor2D), bias);
      if (i < layers.length - 1) y = tf.relu(y);
    }
    return tf.losses.softmaxCrossEntropy(wanted, y) as tf.Scalar;
  };
  return () => {
    const value = optimizer.minimize(loss, true)!;
    value.dataSync();
    value.dispose();
  };
});
