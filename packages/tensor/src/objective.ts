/**
 * What a model is trained for, as data: each objective says which target it takes of every sample, what its loss is, and which
 * metric people read. Loss and metric leave a shard as sums, with how much they are of: they are divided once, at the end.
 */
import type { Field } from './field.ts';
import type { Node } from './graph.ts';
import {
  binaryCrossEntropy,
  type CrossEntropyOptions,
  crossEntropy,
  dice,
  huber,
  meanAbsoluteError,
  meanSquaredError,
} from './nn/losses.ts';
import type { ModelDescription } from './nn/model.ts';
import { type OwnLoss, targetLeafOf } from './nn/traced/own-loss.ts';
import { gather, toIndex } from './ops/gather.ts';
import { argmaxEquals } from './ops/labels.ts';
import { constant, input } from './ops/leaf.ts';
import { reshape } from './ops/movement.ts';
import { concat, sliceAxis } from './ops/parts.ts';
import { add, gt, le, mul, ne, select, sub } from './ops/pointwise.ts';
import { mean, sum } from './ops/reduce.ts';
import { formatShape, type Shape } from './shape.ts';

export type Objective =
  /** One class for each sample: softmax cross-entropy. Target: the class, [] */
  | {
      readonly type: 'classification';
      /** See CrossEntropyOptions. In training only; the loss of an evaluation is the plain one. Default 0. */
      readonly labelSmoothing?: number;
      /** Factor of the loss of each class's samples, in training only. Losses are divided by the sum of their weights. */
      readonly classWeights?: readonly number[];
      /** See CrossEntropyOptions. In training only, and not together with labelSmoothing. Default 0. */
      readonly focal?: number;
    }
  /** Each output is a yes or no of its own: logistic cross-entropy. Target: numbers in [0, 1], in the output's shape. */
  | {
      readonly type: 'binary';
      /** crossEntropy: each output for itself. dice: the overlap of all outputs of a sample. both: their sum. Default crossEntropy. */
      readonly loss?: 'crossEntropy' | 'dice' | 'both';
    }
  /** Numbers to come near to. Target: in the output's shape. */
  | {
      readonly type: 'regression';
      /** mse: squared error. mae: absolute error. huber: squared near 0, absolute beyond. Default mse. */
      readonly loss?: 'mse' | 'mae' | 'huber';
      /** Of huber: where squared becomes absolute. Default 1. */
      readonly delta?: number;
    }
  /** For each place of a sequence the token that follows. Target: tokens [time]; those that are -1 do not count. */
  | { readonly type: 'next-token'; readonly labelSmoothing?: number }
  /** What stood at places that were masked before the samples came here (Devlin et al. 2019). Target: the same, -1 elsewhere. */
  | { readonly type: 'masked-token'; readonly labelSmoothing?: number }
  /** The loss that the model defines. Target: what it says. metric: of what kind its metric is, as it says. */
  | { readonly type: 'own'; readonly metric?: 'accuracy' | 'error' };

export type ObjectiveName = Objective['type'];

/** What `metricSum` of an objective sums. */
export type MetricName = 'accuracy' | 'mean absolute error' | 'error';

const metrics: Readonly<Record<Exclude<ObjectiveName, 'own'>, MetricName>> = {
  classification: 'accuracy',
  binary: 'accuracy',
  regression: 'mean absolute error',
  'next-token': 'accuracy',
  'masked-token': 'accuracy',
};

/** The metric of an objective. */
export function metricOf(objective: MetricChoice = classification): MetricName {
  return objective.type === 'own' ? (objective.metric ?? 'error') : metrics[objective.type];
}

/** What of an objective decides on its metric. */
export type MetricChoice =
  | { readonly type: Exclude<ObjectiveName, 'own'> }
  | { readonly type: 'own'; readonly metric?: 'accuracy' | 'error' | undefined };

/** A fraction of 1: the higher, the better. An error, in the unit of the target: the lower, the better. */
export type MetricKind = 'fraction' | 'error';

export const metricKindOf: Readonly<Record<MetricName, MetricKind>> = {
  accuracy: 'fraction',
  'mean absolute error': 'error',
  error: 'error',
};

/** Between which numbers targets lie, where not any number will do. Classes and tokens are checked against what the model knows. */
export const domainOf: Readonly<Record<ObjectiveName, readonly [least: number, most: number] | undefined>> = {
  classification: undefined,
  binary: [0, 1],
  regression: undefined,
  'next-token': undefined,
  'masked-token': undefined,
  own: undefined,
};

/** An objective that the model or its options do not allow. */
export class ObjectiveError extends Error {
  override readonly name = 'ObjectiveError';
}

/** What is trained for when nobody says: classes of a classifier; there is no other default. */
export const classification: Objective & { type: 'classification' } = { type: 'classification' };

interface Shapes {
  readonly description: ModelDescription;
  readonly sampleShape: Shape;
  readonly outputShape: Shape;
  readonly loss?: OwnLoss;
}

/**
 * Checks that a model can be trained for an objective.
 * @throws ObjectiveError saying what the model gives and what the objective wants
 */
export function checkObjective(
  { description, sampleShape, outputShape, loss }: Shapes,
  objective: Objective,
): void {
  const { type } = objective;
  const refuse = (wanted: string) => {
    const what = description.classes === undefined ? 'output is' : 'classes is';
    throw new ObjectiveError(
      `objective ${type} requires a model ${wanted}; its ${what} ${description.classes ?? formatShape(outputShape)}`,
    );
  };
  switch (type) {
    case 'classification': {
      if (description.classes === undefined) refuse('with classes');
      const { classWeights, labelSmoothing = 0, focal = 0 } = objective;
      if (labelSmoothing > 0 && focal > 0) {
        throw new ObjectiveError(
          'labelSmoothing and focal contradict each other: one wants less certain scores, the other counts certain ones less. Leave one out',
        );
      }
      if (classWeights && classWeights.length !== description.classes) {
        throw new ObjectiveError(
          `${classWeights.length} classWeights for ${description.classes} classes: expected one for each`,
        );
      }
      break;
    }
    case 'own':
      if (!loss)
        throw new ObjectiveError('objective own requires a model with a loss of its own (model.loss)');
      if ((objective.metric ?? 'error') !== loss.metric)
        throw new ObjectiveError(
          `objective own has metric ${objective.metric ?? 'error'}, but the model's loss has ${loss.metric}: leave out objective, it follows from the model`,
        );
      break;
    case 'binary':
    case 'regression':
      if (description.classes !== undefined) refuse('with an output, not a classifier');
      break;
    case 'next-token':
    case 'masked-token': {
      const [time] = outputShape;
      if (outputShape.length !== 2) refuse('with output [time, tokens]');
      if (sampleShape.length !== 1 || sampleShape[0] !== time) {
        throw new ObjectiveError(
          `objective ${type} requires as many output positions as input tokens; input is ${formatShape(sampleShape)}, output ${formatShape(outputShape)}`,
        );
      }
    }
  }
}

/** What the data must have as each sample's target. u8 does where i32 is asked for. */
export function targetOf(
  { outputShape, loss }: Pick<Shapes, 'outputShape' | 'loss'>,
  { type }: Objective,
): Field {
  switch (type) {
    case 'own':
      return loss!.target;
    case 'classification':
      return { dtype: 'i32', shape: [] };
    case 'binary':
    case 'regression':
      return { dtype: 'f32', shape: outputShape };
    case 'next-token':
    case 'masked-token':
      return { dtype: 'i32', shape: outputShape.slice(0, 1) };
  }
}

/**
 * The leaf that holds the targets of a run. Tokens come as f32, so that those that do not count can be told.
 * @param mixed samples are mixtures of two: of classes, [samples, 3] has for each one class, the other, and the share of the one
 */
export function targetLeaf(
  model: Pick<Shapes, 'outputShape' | 'loss'>,
  objective: Objective,
  samples: number,
  mixed = false,
) {
  if (objective.type === 'own') return targetLeafOf(model.loss!.target, samples);
  if (mixed && objective.type === 'classification') return input('labels', [samples, 3]);
  const field = targetOf(model, objective);
  const dtype = objective.type === 'classification' ? 'i32' : 'f32';
  return input('labels', [samples, ...field.shape], dtype);
}

/** f32 scalars: sums over what counts. */
export interface Scores {
  readonly lossSum: Node;
  readonly metricSum: Node;
  /** How many losses lossSum has; undefined: one a sample. The metric's sum is of as many. */
  readonly counted?: Node;
  /** What lossSum is divided by in the end, where that is not how many losses it has. Then `counted` is there too. */
  readonly weight?: Node;
}

/**
 * Loss and metric of a run; of objective `own` the model's loss has them.
 * @param target the leaf that `targetLeaf` made
 */
export function scoresOf(
  objective: Exclude<Objective, { type: 'own' }>,
  logits: Node,
  target: Node,
  training: boolean,
): Scores {
  switch (objective.type) {
    case 'classification': {
      const { labelSmoothing = 0, classWeights, focal = 0 } = training ? objective : classification;
      const options: CrossEntropyOptions = {
        labelSmoothing,
        focal,
        ...(classWeights && {
          classWeights: concat(
            classWeights.map((weight) => constant(weight, [1])),
            0,
          ),
        }),
      };
      const score = (measure: (labels: Node) => Node) =>
        sum(target.dtype === 'i32' ? measure(target) : ofMixture(target, measure));
      const { classWeights: weights } = options;
      return {
        lossSum: score((labels) => crossEntropy(logits, labels, options)),
        metricSum: score((labels) => argmaxEquals(logits, labels)),
        ...(weights && {
          counted: constant(logits.shape[0]!),
          weight: score((labels) => gather(weights, labels)),
        }),
      };
    }
    case 'binary': {
      // Each answer by a comparison that a score which is no number fails.
      const right = select(gt(target, constant(0.5)), gt(logits, constant(0)), le(logits, constant(0)));
      const axes = right.shape.slice(1).map((_, axis) => axis + 1);
      const { loss = 'crossEntropy' } = objective;
      const losses = {
        crossEntropy: () => binaryCrossEntropy(logits, target),
        dice: () => dice(logits, target),
        both: () => add(binaryCrossEntropy(logits, target), dice(logits, target)),
      };
      return { lossSum: sum(losses[loss]()), metricSum: sum(mean(right, axes)) };
    }
    case 'regression': {
      const { loss = 'mse', delta } = objective;
      const absolute = meanAbsoluteError(logits, target);
      const losses = {
        mse: () => meanSquaredError(logits, target),
        mae: () => absolute,
        huber: () => huber(logits, target, delta),
      };
      return { lossSum: sum(losses[loss]()), metricSum: sum(absolute) };
    }
    case 'next-token':
    case 'masked-token': {
      const counts = ne(target, constant(-1));
      // Those that do not count are taken to be token 0; anything else that is no token is refused.
      const tokens = toIndex(select(counts, target, constant(0)));
      const labelSmoothing = training ? (objective.labelSmoothing ?? 0) : 0;
      return {
        lossSum: sum(select(counts, crossEntropy(logits, tokens, { labelSmoothing }), constant(0))),
        metricSum: sum(mul(counts, argmaxEquals(logits, tokens))),
        counted: sum(counts),
      };
    }
  }
}

/**
 * What a measure of a class says of mixtures: each class's by its share. Cross-entropy is linear in its target, so that is the loss of the
 * soft target; of a metric it is the part of the target that the largest score stands at.
 */
function ofMixture(target: Node, measure: (labels: Node) => Node): Node {
  const [one, other, share] = [0, 1, 2].map((column) =>
    reshape(sliceAxis(target, 1, column, 1), target.shape.slice(0, 1)),
  ) as [Node, Node, Node];
  const rest = sub(constant(1), share);
  return add(mul(share, measure(toIndex(one))), mul(rest, measure(toIndex(other))));
}
