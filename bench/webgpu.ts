/**
 * The WebGPU backend against TensorFlow.js's on the same adapter: products and convolutions, forward and both gradients.
 *
 *     pnpm bench webgpu
 *
 * Without a GPU both run on SwiftShader, which computes on the CPU: then only the ratios say anything, and little about a GPU. Every
 * figure is the median of runs that alternate, from the submission until the result is read back.
 *
 * Found on SwiftShader, two busy cores, in two runs: products 1.7 to 4.3 times as fast as theirs, convolutions with their gradients 1.0 to
 * 1.6 times.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { gradients } from '@kasane/tensor/autodiff';
import { compileGpuProgram, deviceDescriptor } from '@kasane/tensor/backends/webgpu/program';
import type { Node } from '@kasane/tensor/graph';
import { conv2d } from '@kasane/tensor/ops/conv2d';
import { input } from '@kasane/tensor/ops/leaf';
import { matmul } from '@kasane/tensor/ops/matmul';
import { sum } from '@kasane/tensor/ops/reduce';
import * as tf from '@tensorflow/tfjs-core';
import { create, globals } from 'webgpu';
import { median } from './support/median.ts';
import { openTable } from './support/results.ts';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
const ROUNDS = 5;

if (existsSync(SWIFTSHADER) && !existsSync('/dev/dri')) {
  process.env.VK_ICD_FILENAMES ??= SWIFTSHADER;
  process.env.XDG_RUNTIME_DIR ??= tmpdir();
}
// TensorFlow.js looks for what a browser has.
Object.assign(globalThis, globals);
const gpu = create([]);
Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node' }, configurable: true });
await import('@tensorflow/tfjs-backend-webgpu');
await tf.setBackend('webgpu');
await tf.ready();
const adapter = (await gpu.requestAdapter())!;
const device = await adapter.requestDevice(deviceDescriptor(adapter));

interface Row {
  readonly name: string;
  readonly ours: () => Node[];
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly theirs: (tensors: Record<string, tf.Tensor>) => tf.Tensor[];
}

const product = (m: number, k: number, n: number): Row => ({
  name: `product ${m} x ${k} x ${n}`,
  shapes: { a: [m, k], b: [k, n] },
  ours: () => [matmul(input('a', [m, k]), input('b', [k, n]))],
  theirs: ({ a, b }) => [tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D)],
});

const convolution = (name: string, x: readonly number[], w: readonly number[]): Row => ({
  name,
  shapes: { x, w },
  ours: () => {
    const [image, weight] = [input('x', x), input('w', w)];
    const y = conv2d(image, weight, { padding: [1, 1] });
    return [y, ...gradients(sum(y), [image, weight])];
  },
  // Its gradient functions are not in the module that Node loads; these are the kernels that they call.
  theirs: ({ x: image, w: weight }) => {
    const [a, b] = [image as tf.Tensor4D, weight as tf.Tensor4D];
    const y = tf.conv2d(a, b, 1, 1);
    const dy = tf.ones(y.shape);
    const byWeight = tf
      .engine()
      .runKernel(
        'Conv2DBackpropFilter',
        { x: a, dy },
        { strides: [1, 1], pad: 1, dataFormat: 'NHWC', dimRoundingMode: 'floor', filterShape: b.shape },
      ) as tf.Tensor;
    return [y, tf.conv2dTranspose(dy as tf.Tensor4D, b, a.shape, 1, 1), byWeight];
  },
});

const rows: Row[] = [
  product(256, 256, 256),
  product(64, 784, 128),
  product(784, 64, 128),
  convolution('3 x 3, 28 x 28 x 1 to 32, batch 8, with gradients', [8, 28, 28, 1], [3, 3, 1, 32]),
  convolution('3 x 3, 14 x 14 x 16 to 32, batch 4, with gradients', [4, 14, 14, 16], [3, 3, 16, 32]),
];

const { vendor, architecture } = adapter.info;
console.log(`adapter: ${vendor} ${architecture}`);
const table = openTable(['work', 'ours, ms', 'tfjs-webgpu 4.22, ms', 'ratio']);
for (const { name, shapes, ours, theirs } of rows) {
  const values = Object.entries(shapes).map(([key, shape]) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return [key, Float32Array.from({ length: size }, (_, i) => Math.sin(i))] as const;
  });
  const program = await compileGpuProgram(device, ours());
  for (const [key, data] of values) if (program.inputs.has(key)) program.write(key, data);
  const tensors = Object.fromEntries(values.map(([key, data]) => [key, tf.tensor(data, [...shapes[key]!])]));
  const other = async () => {
    const results = tf.tidy(() => theirs(tensors));
    await Promise.all(results.map((tensor) => tensor.data()));
    tf.dispose(results);
  };
  const time = async (run: () => Promise<unknown>) => {
    const start = performance.now();
    await run();
    return performance.now() - start;
  };
  await program.run();
  await other();
  const [mine, their]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    mine.push(await time(() => program.run()));
    their.push(await time(other));
  }
  const [a, b] = [median(mine), median(their)];
  table([name, a.toFixed(1), b.toFixed(1), (b / a).toFixed(2)]);
  tf.dispose(Object.values(tensors));
  program.destroy();
}
process.exit(0);
