/** What a worker runs, as graphs that know no backend: a training step's forward and backward pass, evaluation, prediction. */
import { gradients } from './autodiff.ts';
import type { Node } from './graph.ts';
import { crossEntropy } from './nn/losses.ts';
import { forward, type Model } from './nn/model.ts';
import { argmaxEquals } from './ops/labels.ts';
import { constant, input, parameter } from './ops/leaf.ts';
import { mul } from './ops/pointwise.ts';
import { sum } from './ops/reduce.ts';

/** train: loss and gradients, with dropout. evaluate: loss and hits. predict: scores only. */
export type ProgramMode = 'train' | 'evaluate' | 'predict';

export interface ProgramRequest {
  readonly mode: ProgramMode;
  /** Samples in one run. */
  readonly samples: number;
}

/** One traced program: outputs in terms of named leaves. */
export interface Program {
  readonly mode: ProgramMode;
  readonly samples: number;
  readonly model: Model;
  readonly inputs: {
    /** f32 [samples, ...input], normalised. */
    readonly x: Node;
    /** i32 [samples], each 0..classes-1. */
    readonly labels?: Node;
    /** i32 [samples]: bits of a uint32, the sample's index in the data set. */
    readonly sampleIds?: Node;
    /** i32 [4]: seed low, seed high, epoch, 0. */
    readonly key?: Node;
  };
  /** One leaf for each of the model's parameters, in order. */
  readonly parameters: readonly Node[];
  readonly outputs: {
    /** f32 scalar: the sum, not the mean, of the samples' cross-entropy. */
    readonly lossSum?: Node;
    /** f32 scalar: samples whose largest score stands at the label. */
    readonly correct?: Node;
    /** f32 [samples, classes] */
    readonly logits: Node;
    /**
     * One for each of the model's parameters, in order: of lossSum by what is trained; of a statistic the batch's value times
     * the samples, so that both are sums over samples.
     */
    readonly gradients?: readonly Node[];
  };
}

/** Traces what one run computes. The graph belongs to the number of samples: shapes are static. */
export function traceProgram(model: Model, request: ProgramRequest): Program {
  const { mode, samples } = request;
  if (!Number.isSafeInteger(samples) || samples < 1) {
    throw new RangeError(`samples of a program is ${samples}; expected a positive integer`);
  }
  const x = input('x', [samples, ...model.description.input]);
  const parameters = model.parameters.map((spec) => parameter(spec.name, spec.shape));
  const base = { mode, samples, model, parameters };
  if (mode === 'predict') {
    return { ...base, inputs: { x }, outputs: { logits: forward(model, x, parameters, undefined).output } };
  }
  const labels = input('labels', [samples], 'i32');
  if (mode === 'evaluate') {
    const { output: logits } = forward(model, x, parameters, undefined);
    return { ...base, inputs: { x, labels }, outputs: { logits, ...score(logits, labels) } };
  }
  const sampleIds = input('sampleIds', [samples], 'i32');
  const key = input('key', [4], 'i32');
  const { output: logits, statistics } = forward(model, x, parameters, { sampleIds, key });
  const scores = score(logits, labels);
  const trained = parameters.filter((_, index) => !model.parameters[index]!.statistic);
  const slopes = gradients(scores.lossSum, trained);
  const perParameter = parameters.map((node, index) => {
    const statistic = statistics.get(index);
    return statistic ? mul(statistic, constant(samples)) : slopes[trained.indexOf(node)]!;
  });
  return {
    ...base,
    inputs: { x, labels, sampleIds, key },
    outputs: { logits, ...scores, gradients: perParameter },
  };
}

function score(logits: Node, labels: Node) {
  return { lossSum: sum(crossEntropy(logits, labels)), correct: sum(argmaxEquals(logits, labels)) };
}

/** Every node that a backend must compute to run the program. */
export function outputNodes(program: Program): Node[] {
  const { lossSum, correct, logits, gradients: perParameter = [] } = program.outputs;
  return [...(lossSum ? [lossSum] : []), ...(correct ? [correct] : []), logits, ...perParameter];
}
