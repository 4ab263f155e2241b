/** What a worker runs, as graphs that know no backend: a training step's forward and backward pass, evaluation, prediction. */
import { gradients } from './autodiff.ts';
import { type Node, withOrigin } from './graph.ts';
import type { ForwardContext } from './nn/layer.ts';
import { type Forward, forward, type Model } from './nn/model.ts';
import {
  checkObjective,
  classification,
  type Objective,
  type Scores,
  scoresOf,
  targetLeaf,
} from './objective.ts';
import { constant, input, parameter } from './ops/leaf.ts';
import { mul } from './ops/pointwise.ts';
import { recomputation } from './recompute.ts';

/** train: loss and gradients, with dropout. evaluate: loss and metric. predict: scores only. */
export type ProgramMode = 'train' | 'evaluate' | 'predict';

export type MemoryUse = 'normal' | 'low';

export interface ProgramRequest {
  readonly mode: ProgramMode;
  /** Samples in one run. */
  readonly samples: number;
  /** Default: the classes of a classifier. */
  readonly objective?: Objective;
  /** Training samples are mixtures of two; see `targetLeaf`. Default false. */
  readonly mixed?: boolean;
  /** low: training keeps less of the forward pass, and computes the rest twice. The same bits. Default normal. */
  readonly memory?: MemoryUse;
}

/** One traced program: outputs in terms of named leaves. */
export interface Program {
  readonly mode: ProgramMode;
  readonly samples: number;
  readonly model: Model;
  readonly inputs: {
    /** f32 [samples, ...sampleShape], normalised. */
    readonly x: Node;
    /** The target: i32 [samples], each 0..classes-1, or what another objective or mixtures have: f32 [samples, ...]. */
    readonly labels?: Node;
    /** i32 [samples]: bits of a uint32, the sample's index in the data set. */
    readonly sampleIds?: Node;
    /** i32 [4]: seed low, seed high, epoch, 0. */
    readonly key?: Node;
  };
  /** One leaf for each of the model's parameters, in order. */
  readonly parameters: readonly Node[];
  readonly outputs: {
    /** f32 scalar: the sum, not the mean, of the losses. */
    readonly lossSum?: Node;
    /** f32 scalar: the sum of the objective's metric, such as the samples whose largest score stands at the label. */
    readonly metricSum?: Node;
    /** f32 scalar: how many losses there were, where that is not one a sample. */
    readonly counted?: Node;
    /** f32 scalar: what the sums are divided by in the end, where that is not how many losses there were. */
    readonly weight?: Node;
    /** f32 [samples, ...output] */
    readonly logits: Node;
    /**
     * One for each of the model's parameters, in order: of lossSum by what is trained, zeros for what is frozen; of a statistic the batch's value times
     * what the sums are divided by, so that all of them are.
     */
    readonly gradients?: readonly Node[];
  };
}

/** Traces what one run computes. The graph belongs to the number of samples: shapes are static. */
export function traceProgram(model: Model, request: ProgramRequest): Program {
  const { mode, samples, objective = classification, mixed = false, memory = 'normal' } = request;
  if (!Number.isSafeInteger(samples) || samples < 1) {
    throw new RangeError(`samples of a program is ${samples}; expected a positive integer`);
  }
  const x = input('x', [samples, ...model.sampleShape]);
  const parameters = model.parameters.map((spec) => parameter(spec.name, spec.shape));
  const base = { mode, samples, model, parameters };
  if (mode === 'predict') {
    return { ...base, inputs: { x }, outputs: { logits: forward(model, x, parameters, undefined).output } };
  }
  checkObjective(model, objective);
  const training = mode === 'train';
  const labels = targetLeaf(model, objective, samples, training && mixed);
  const random = { sampleIds: input('sampleIds', [samples], 'i32'), key: input('key', [4], 'i32') };
  const passed = forward(model, x, parameters, training ? random : undefined);
  const { output: logits, statistics } = passed;
  const scores =
    objective.type === 'own'
      ? ownScores(model, passed, x, labels, training ? random : undefined)
      : scoresOf(objective, logits, labels, training);
  const outputs = { logits, ...scores };
  if (!training) return { ...base, inputs: { x, labels }, outputs };
  const trained = parameters.filter((_, index) => {
    const { statistic, frozen } = model.parameters[index]!;
    return !statistic && !frozen;
  });
  const standIn = memory === 'low' ? recomputation(model, passed) : undefined;
  const slopes = gradients(scores.lossSum, trained, standIn);
  const perParameter = parameters.map((node, index) => {
    const statistic = statistics.get(index);
    if (statistic) return mul(statistic, weightOf(scores, samples));
    // Zeros for what is frozen: nothing behind it is computed.
    return slopes[trained.indexOf(node)] ?? constant(0, node.shape);
  });
  return { ...base, inputs: { x, labels, ...random }, outputs: { ...outputs, gradients: perParameter } };
}

/** What the model's own loss says. */
function ownScores(
  { loss }: Model,
  { outputs }: Forward,
  x: Node,
  labels: Node,
  random: ForwardContext['random'],
): Scores {
  const values = loss!.from.map((index) => (index < 0 ? x : outputs[index]!));
  return withOrigin({ layer: 'loss' }, () => loss!.scores(values, labels, random));
}

/** What a shard's statistics are weighted with: all sums are divided by the same number in the end. */
const weightOf = ({ counted, weight }: Scores, samples: number): Node =>
  weight ?? counted ?? constant(samples);

/** Every node that a backend must compute to run the program: the logits, the scores, then the gradients. */
export function outputNodes(program: Program): Node[] {
  const { lossSum, metricSum, counted, weight, logits, gradients: perParameter = [] } = program.outputs;
  const scores = [lossSum, metricSum, counted, weight].filter((node) => node !== undefined);
  return [logits, ...scores, ...perParameter];
}
