/** What bench/webgpu.ts measures: products and convolutions, ours and TensorFlow.js's. */
import { gradients } from '@kasane/tensor/autodiff';
import { compileGpuProgram } from '@kasane/tensor/backends/webgpu/program';
import type { Node } from '@kasane/tensor/graph';
import { sliceAxis } from '@kasane/tensor/internal/ops/parts';
import { conv2d } from '@kasane/tensor/ops/conv2d';
import { input } from '@kasane/tensor/ops/leaf';
import { matmul } from '@kasane/tensor/ops/matmul';
import { sum } from '@kasane/tensor/ops/reduce';
import { sizeOf } from '@kasane/tensor/shape';
import * as tf from '@tensorflow/tfjs-core';
import { filterSlope, imageSlope } from './tfjs-row.ts';

export interface Work {
  readonly name: string;
  /** Floating-point operations of a call, where that is a measure of it. */
  readonly operations?: number;
  open(device: GPUDevice): Promise<Contest>;
}

/** Both sides of a work, compiled. A call is done when its results are read back. */
export interface Contest {
  readonly ours: () => Promise<unknown>;
  /** Left out where they lack something. */
  readonly theirs?: () => Promise<unknown>;
  close(): void;
}

/** Runs what gives tensors and reads all of them back. */
export async function readAll(
  compute: () => tf.Tensor[],
): Promise<(Float32Array | Int32Array | Uint8Array)[]> {
  const tensors = tf.tidy(compute);
  const found = await Promise.all(tensors.map((tensor) => tensor.data()));
  tf.dispose(tensors);
  return found;
}

type Shapes = Readonly<Record<string, readonly number[]>>;

const openWork =
  (shapes: Shapes, ours: () => Node[], theirs: (tensors: Record<string, tf.Tensor>) => tf.Tensor[]) =>
  async (device: GPUDevice): Promise<Contest> => {
    const program = await compileGpuProgram(device, ours());
    const tensors: Record<string, tf.Tensor> = {};
    for (const [name, shape] of Object.entries(shapes)) {
      const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i));
      if (program.inputs.has(name)) program.write(name, values);
      tensors[name] = tf.tensor(values, [...shape]);
    }
    const other = () => readAll(() => theirs(tensors));
    await program.run();
    await other();
    return {
      ours: () => program.run(),
      theirs: other,
      close: () => {
        tf.dispose(Object.values(tensors));
        program.destroy();
      },
    };
  };

/** The product is computed whole; its first row is read back, so that a large one is not a measure of the bus. */
const product = (m: number, k: number, n: number): Work => ({
  name: `${m} x ${k} x ${n}`,
  operations: 2 * m * k * n,
  open: openWork(
    { a: [m, k], b: [k, n] },
    () => [sliceAxis(matmul(input('a', [m, k]), input('b', [k, n])), 0, 0, 1)],
    ({ a, b }) => [tf.slice(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D), [0, 0], [1, n])],
  ),
});

/** Squares of these sides, and two of an MLP's. */
export const products = (sides: readonly number[]): Work[] => [
  ...sides.map((side) => product(side, side, side)),
  product(64, 784, 128),
  product(784, 64, 128),
];

const convolution = (name: string, x: readonly number[], w: readonly number[]): Work => ({
  name,
  open: openWork(
    { x, w },
    () => {
      const [image, weight] = [input('x', x), input('w', w)];
      const y = conv2d(image, weight, { padding: [1, 1] });
      return [y, ...gradients(sum(y), [image, weight])];
    },
    ({ x: image, w: weight }) => {
      const [a, b] = [image as tf.Tensor4D, weight as tf.Tensor4D];
      const y = tf.conv2d(a, b, 1, 1);
      const dy = tf.ones(y.shape);
      return [y, imageSlope(dy, b, a.shape, 1), filterSlope(a, dy, b.shape, 1)];
    },
  ),
});

export const convolutions: readonly Work[] = [
  convolution('28 x 28 x 1 to 32, batch 8', [8, 28, 28, 1], [3, 3, 1, 32]),
  convolution('14 x 14 x 16 to 32, batch 4', [4, 14, 14, 16], [3, 3, 16, 32]),
];
