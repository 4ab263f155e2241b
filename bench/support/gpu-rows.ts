/** Rows of bench/rows.ts on WebGPU: loss and gradients, ours and TensorFlow.js's. */
import { compileGpuProgram } from '@kasane/tensor/backends/webgpu/program';
import { initializeParameters } from '@kasane/tensor/nn/model';
import { sizeOf } from '@kasane/tensor/shape';
import { fillBatch, type Row, trainingGraph } from '../rows.ts';
import { readAll, type Work } from './gpu-works.ts';
import { openTfjsRow } from './tfjs-row.ts';

/** By how much losses may differ, and gradients, in parts of the longest. Sums of thousands of f32 are taken in different orders. */
const TOLERANCE = 1e-3;

/** @returns a work whose opening throws an Error when the two sides do not agree */
export const rowWork = (row: Row): Work => ({
  name: `${row.name}, batch ${row.batch}`,
  open: async (device) => {
    const { model, outputs } = trainingGraph(row);
    const program = await compileGpuProgram(device, outputs);
    const parameters = initializeParameters(model, 1);
    for (const { name, offset, size } of model.parameters) {
      if (program.inputs.has(name)) program.write(name, parameters.subarray(offset, offset + size));
    }
    const x = new Float32Array(row.batch * sizeOf(model.sampleShape));
    const labels = new Int32Array(sizeOf(program.inputs.get('labels')!.shape));
    fillBatch(row, x, labels);
    program.write('x', x);
    program.write('labels', labels);
    const found = await program.run();
    const peer = openTfjsRow(row, parameters);
    const theirs =
      peer &&
      (() =>
        readAll(() => {
          const { loss, slopes } = peer.gradients();
          return [loss, ...slopes];
        }));
    if (theirs) expectSame(row, found, await theirs());
    return {
      ours: () => program.run(),
      ...(theirs && { theirs }),
      close: () => {
        peer?.dispose();
        program.destroy();
      },
    };
  },
});

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

const length = (values: Numbers): number => {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
};

/** Ours are sums over the batch, theirs means. Both begin with the loss. */
function expectSame({ name, batch }: Row, ours: readonly Numbers[], theirs: readonly Numbers[]): void {
  const [own, other] = [ours[0]![0]! / batch, theirs[0]![0]!];
  if (!(Math.abs(own / other - 1) < TOLERANCE)) {
    throw new Error(`${name}: our loss is ${own}, that of TensorFlow.js ${other}`);
  }
  const longest = Math.max(...theirs.slice(1).map(length));
  for (const [index, values] of theirs.entries()) {
    const difference = Float64Array.from(values, (value, i) => value - ours[index]![i]! / batch);
    if (!(length(difference) < TOLERANCE * longest)) {
      throw new Error(
        `${name}: gradient ${index} is not that of TensorFlow.js, by ${length(difference)} of ${longest}`,
      );
    }
  }
}
