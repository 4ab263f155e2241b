/** The MLP of bench/rows.ts in jax-js on its wasm backend, one thread, the whole step with Adam as one compiled function. */
import { readFileSync } from 'node:fs';
import { defaultDevice, init, jit, nn, numpy as np, valueAndGrad } from '@jax-js/jax';
import { fillBatch, rows } from '../rows.ts';
import { answer } from './answer.ts';

const widths = [784, 128, 64, 10] as const;

type Tensors = np.Array[];

const manifest = new URL('../package.json', import.meta.resolve('@jax-js/jax'));
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
await init('wasm');
defaultDevice('wasm');

/** Weights and biases in turns. Takes its arguments, as everything there does. */
function loss(parameters: Tensors, x: np.Array, wanted: np.Array): np.Array {
  let y = x;
  for (let i = 0; i < parameters.length; i += 2) {
    y = np.matmul(y, parameters[i]!).add(parameters[i + 1]!);
    if (i < parameters.length - 2) y = nn.relu(y);
  }
  return nn
    .logSoftmax(y, -1)
    .mul(wanted)
    .sum()
    .mul(-1 / 128);
}

const step = jit(
  (parameters: Tensors, first: Tensors, second: Tensors, x: np.Array, wanted: np.Array, rate: np.Array) => {
    const [value, gradients] = valueAndGrad(loss)(
      parameters.map((parameter) => parameter.ref),
      x,
      wanted,
    ) as [np.Array, Tensors];
    const newFirst = first.map((m, i) => m.mul(0.9).add(gradients[i]!.ref.mul(0.1)));
    const newSecond = second.map((v, i) => v.mul(0.999).add(np.square(gradients[i]!).mul(0.001)));
    const updated = parameters.map((parameter, i) =>
      parameter.sub(newFirst[i]!.ref.mul(rate.ref).div(np.sqrt(newSecond[i]!.ref).add(1e-8))),
    );
    rate.dispose();
    return [value, updated, newFirst, newSecond] as [np.Array, Tensors, Tensors, Tensors];
  },
);

await answer(`jax-js ${version}, wasm`, (work) => {
  if (work !== 'mlp') return undefined;
  const row = rows.find(({ name }) => name === work)!;
  const values = new Float32Array(row.batch * widths[0]);
  const labels = new Int32Array(row.batch);
  fillBatch(row, values, labels);
  const x = np.array(values).reshape([row.batch, widths[0]]);
  const wanted = nn.oneHot(np.array(labels), 10);
  const shapes = widths.slice(1).flatMap((width, i) => [[widths[i]!, width], [width]]);
  const zeros = () => shapes.map((shape) => np.zeros(shape));
  const start = (shape: number[]) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const scale = shape.length === 2 ? Math.sqrt(2 / shape[0]!) : 0;
    return np.array(Float32Array.from({ length: size }, (_, i) => scale * Math.sin(i * i))).reshape(shape);
  };
  let [parameters, first, second] = [shapes.map(start), zeros(), zeros()];
  let count = 0;
  return () => {
    count++;
    const rate = (0.001 * Math.sqrt(1 - 0.999 ** count)) / (1 - 0.9 ** count);
    let value: np.Array;
    [value, parameters, first, second] = step(parameters, first, second, x.ref, wanted.ref, np.array(rate));
    value.dataSync();
  };
});
