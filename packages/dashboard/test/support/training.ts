/** Trains small networks in a test, and reports their layers as a coordinator does. */
import { LayerInfo, type LayerMetrics, Snapshot, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { compileProgram } from '@kasane/tensor/backends/wasm/program';
import { openUpdater } from '@kasane/tensor/backends/wasm/updater';
import type { OptimizerOptions } from '@kasane/tensor/internal/optim/optimizers';
import {
  buildModel,
  forward,
  initializeParameters,
  type Model,
  type ModelDescription,
} from '@kasane/tensor/nn/model';
import { summarizeLayers } from '@kasane/tensor/nn/summary';
import { input, parameter as parameterLeaf } from '@kasane/tensor/ops/leaf';
import { noSquares, type Squares } from '@kasane/tensor/optim/updater';
import { outputNodes, traceProgram } from '@kasane/tensor/training';

export interface Training {
  readonly model: ModelDescription;
  readonly seed: number;
  readonly steps: number;
  /** One batch after the other, used in turn. */
  readonly batches: readonly { readonly x: Float32Array; readonly labels: Int32Array }[];
  readonly optimizer: OptimizerOptions;
  readonly learningRate: number;
  /** Multiplies the initial parameters. */
  readonly scale?: number;
}

export interface Trained {
  readonly layers: LayerInfo[];
  /** One for each step. */
  readonly points: StepMetrics[];
  /** After the last step. */
  readonly activations: Snapshot;
}

export async function train(training: Training): Promise<Trained> {
  const { seed, steps, batches, optimizer, learningRate, scale = 1 } = training;
  const model = buildModel(training.model);
  const samples = batches[0]!.labels.length;
  const traced = traceProgram(model, { mode: 'train', samples });
  const { outputs } = traced;
  const nodes = outputNodes(traced);
  const program = await compileProgram(nodes);
  const updater = await openUpdater(model.parameters, optimizer);
  updater.parameters.set(initializeParameters(model, seed).map((value) => scale * value));
  const lossAt = nodes.indexOf(outputs.lossSum!);
  const gradientsAt = nodes.indexOf(outputs.gradients![0]!);
  const points: StepMetrics[] = [];
  for (let step = 0; step < steps; step++) {
    const { x, labels } = batches[step % batches.length]!;
    program.inputs.x!.set(x);
    program.inputs.labels!.set(labels);
    program.inputs.sampleIds?.set(labels.map((_, index) => index));
    program.inputs.key?.set([seed, 0, step, 0]);
    for (const { name, offset, size } of model.parameters)
      program.inputs[name]?.set(updater.parameters.subarray(offset, offset + size));
    program.run();
    for (const [index, { offset }] of model.parameters.entries())
      updater.gradient.set(program.outputs[gradientsAt + index] as Float32Array, offset);
    updater.scale(1 / samples);
    const squares = noSquares(model.parameters.length);
    const gradientNorm = updater.norm();
    updater.apply(step, learningRate, { squares });
    const loss = program.outputs[lossAt]![0]! / samples;
    points.push(
      StepMetrics.fromPartial({
        step: step + 1,
        loss,
        gradientNorm,
        learningRate,
        layers: layersOf(model, squares),
      }),
    );
  }
  const layers = summarizeLayers(model).map((layer) =>
    LayerInfo.fromPartial({ ...layer, outputShape: [...layer.outputShape], from: [...layer.from] }),
  );
  const activations = await probe(model, updater.parameters, batches[0]!.x, steps);
  return { layers, points, activations };
}

/** As the coordinator's parameter server adds them up. */
function layersOf(model: Model, { gradient, parameter, change }: Squares): LayerMetrics[] {
  const trained = model.parameters.flatMap(({ layer, statistic }, index) =>
    statistic ? [] : [{ layer, index }],
  );
  return [...new Set(trained.map(({ layer }) => layer))].map((layer) => {
    const own = trained.filter((one) => one.layer === layer);
    const sum = (squares: Float64Array) => own.reduce((total, { index }) => total + squares[index]!, 0);
    const weight = sum(parameter);
    return {
      layer,
      gradientNorm: Math.sqrt(sum(gradient)),
      weightNorm: Math.sqrt(weight),
      updateRatio: weight > 0 ? Math.sqrt(sum(change) / weight) : 0,
    };
  });
}

/** As the coordinator's probe counts dead units. */
async function probe(
  model: Model,
  parameters: Float32Array,
  x: Float32Array,
  step: number,
): Promise<Snapshot> {
  const samples = x.length / model.sampleShape.reduce((product, extent) => product * extent, 1);
  const leaves = model.parameters.map(({ name, shape }) => parameterLeaf(name, shape));
  const { outputs } = forward(model, input('x', [samples, ...model.sampleShape]), leaves, undefined);
  const program = await compileProgram(outputs);
  program.inputs.x!.set(x);
  for (const { name, offset, size } of model.parameters)
    program.inputs[name]!.set(parameters.subarray(offset, offset + size));
  program.run();
  const layers = model.layers.map(({ name, outputShape }, index) => {
    const units = outputShape.at(-1)!;
    const alive = new Set<number>();
    for (const [at, value] of program.outputs[index]!.entries()) if (value !== 0) alive.add(at % units);
    return { layer: name, units, deadUnits: units - alive.size };
  });
  return Snapshot.fromPartial({ step, layers });
}
