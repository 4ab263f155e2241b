/** The thread behind `probe.ts`: runs one forward pass per request and summarizes the output of each layer. */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { LayerSnapshot, Snapshot } from '@kasane/protocol/gen/kasane/v1/jobs';
import { buildModel, forward, type ModelDescription } from '@kasane/tensor/nn/model';
import { input, parameter } from '@kasane/tensor/ops/leaf';
import { compileProgram } from '../model-backend.ts';
import { histogramOf } from '../params/histograms.ts';

export interface ProbeData {
  readonly model: ModelDescription;
  readonly samples: number;
  /** In the model's input layout. */
  readonly x: Float32Array;
}

export interface ProbeRequest {
  readonly step: number;
  /** In the model's flat layout. Transferred, and returned with the answer. */
  readonly parameters: Float32Array<ArrayBuffer>;
}
export interface ProbeResponse {
  readonly snapshot: Snapshot;
  readonly parameters: Float32Array<ArrayBuffer>;
}

// For this thread only, so that workers on this machine go first. On other systems it would apply to the whole process.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_LOW);

const { model: description, samples, x } = workerData as ProbeData;
const model = buildModel(description);
const leaves = model.parameters.map(({ name, shape }) => parameter(name, shape));
const { outputs } = forward(model, input('x', [samples, ...model.sampleShape]), leaves, undefined);
const program = await compileProgram(outputs);

parentPort!.on('message', ({ step, parameters }: ProbeRequest) => {
  program.inputs.x!.set(x);
  for (const { name, offset, size } of model.parameters) {
    program.inputs[name]!.set(parameters.subarray(offset, offset + size));
  }
  program.run();
  const layers = model.layers.map(({ name, outputShape }, index) =>
    snapshotOf(name, program.outputs[index] as Float32Array, outputShape.at(-1)!),
  );
  const response: ProbeResponse = { snapshot: { step, layers }, parameters };
  parentPort!.postMessage(response, [parameters.buffer]);
});

/** @param units size of the last axis: channels of an image, otherwise features */
function snapshotOf(layer: string, values: Float32Array, units: number): LayerSnapshot {
  const alive = new Uint8Array(units);
  let squares = 0;
  for (let row = 0; row < values.length; row += units) {
    for (let unit = 0; unit < units; unit++) {
      const value = values[row + unit]!;
      squares += value * value;
      if (value !== 0) alive[unit] = 1;
    }
  }
  return {
    layer,
    gradient: undefined,
    weights: undefined,
    activations: histogramOf(values),
    activationRms: Math.sqrt(squares / values.length),
    deadUnits: alive.reduce((dead, living) => dead + 1 - living, 0),
    units,
  };
}
