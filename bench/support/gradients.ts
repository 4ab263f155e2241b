/** Loss and gradients of a row's batch as a program of wasm. */
import { createHash } from 'node:crypto';
import { compileProgram } from '@kasane/tensor/backends/wasm/program';
import type { Helpers } from '@kasane/tensor/internal/backends/wasm/helpers';
import { initializeParameters } from '@kasane/tensor/nn/model';
import { fillBatch, type Row, trainingGraph } from '../rows.ts';

/** @param helpers threads that compute too */
export async function openGradients(row: Row, helpers?: Helpers) {
  const { model, outputs } = trainingGraph(row);
  const program = await compileProgram(outputs, { helpers });
  const parameters = initializeParameters(model, 1);
  for (const { name, offset, size } of model.parameters)
    program.inputs[name]?.set(parameters.subarray(offset, offset + size));
  fillBatch(row, program.inputs.x as Float32Array, program.inputs.labels as Int32Array);
  return {
    run: () => void program.run(),
    destroy: () => program.destroy(),
    /** Of what the last run computed. */
    digest: () =>
      program.outputs.reduce((hash, values) => hash.update(values), createHash('sha256')).digest('hex'),
  };
}
