/** Graphs of layers and losses with what PyTorch gives for them, from the numbers that pytorch/generate.py computed. */
import { gradients } from '../../src/autodiff.ts';
import type { Node } from '../../src/graph.ts';
import { convTranspose2d } from '../../src/nn/convolution.ts';
import { layerNamed } from '../../src/nn/index.ts';
import type { ForwardContext } from '../../src/nn/layer.ts';
import * as lossFunctions from '../../src/nn/losses.ts';
import { checkOptions } from '../../src/nn/options.ts';
import type { Pair } from '../../src/ops/conv2d.ts';
import { input } from '../../src/ops/leaf.ts';
import { mul } from '../../src/ops/pointwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { type Shape, sameShape } from '../../src/shape.ts';

type Numbers = readonly number[];

interface LayerFixture {
  readonly label: string;
  readonly layer: { readonly type: string } & Readonly<Record<string, unknown>>;
  /** Of x, the samples in front. */
  readonly shape: Shape;
  readonly x: Numbers;
  readonly parameters: readonly Numbers[];
  /** Factors of the output's elements in the sum whose gradients these are. */
  readonly upstream: Numbers;
  readonly output: Numbers;
  readonly inputGradient: Numbers | null;
  readonly gradients: readonly Numbers[];
  readonly statistics?: readonly Numbers[];
  readonly evaluate?: boolean;
  readonly mask?: Numbers;
  /** What comes in besides x. */
  readonly others?: readonly { readonly shape: Shape; readonly x: Numbers; readonly gradient: Numbers }[];
  /** What dropout draws from: an id for each sample; lower and upper half of the seed, epoch, 0. */
  readonly draws?: { readonly ids: Numbers; readonly key: Numbers };
}

interface LossFixture {
  readonly label: string;
  readonly loss: string;
  readonly options: { labelSmoothing?: number; classWeights?: Numbers; focal?: number; delta?: number };
  readonly shape: Shape;
  readonly x: Numbers;
  readonly targetShape: Shape;
  readonly targets: Numbers;
  readonly output: Numbers;
  readonly gradient: Numbers;
}

interface TransposedFixture {
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly shape: Shape;
  readonly x: Numbers;
  readonly weightShape: Shape;
  readonly weight: Numbers;
  readonly upstream: Numbers;
  readonly output: Numbers;
  readonly inputGradient: Numbers;
  readonly weightGradient: Numbers;
}

export interface Fixtures {
  readonly layers: readonly LayerFixture[];
  readonly losses: readonly LossFixture[];
  readonly convTranspose2d: readonly TransposedFixture[];
}

interface Expected {
  readonly what: string;
  readonly node: Node;
  readonly values: Numbers;
}

export interface PytorchCase {
  readonly label: string;
  /** Leaves, all named. */
  readonly inputs: readonly Node[];
  readonly feeds: Readonly<Record<string, Numbers>>;
  readonly expected: readonly Expected[];
}

/** Every fixture as a graph. Fresh nodes on each call. */
export const pytorchCases = (fixtures: Fixtures): PytorchCase[] => [
  ...fixtures.layers.map(layerCase),
  ...fixtures.losses.map(lossCase),
  ...fixtures.convTranspose2d.map(transposedCase),
];

/**
 * What is wrong with results, one for each of the case's expectations; undefined when nothing is. Errors are relative to the
 * largest number of the tensor, of gradients to that of all gradients: an element near 0 is a difference of larger ones, and
 * the gradient of a key's bias is 0 but for rounding.
 */
export function disagreement(
  { expected }: PytorchCase,
  results: readonly ArrayLike<number>[],
  bound: number,
): string | undefined {
  const largest = (values: readonly Numbers[]) => Math.max(...values.flat().map(Math.abs));
  const isGradient = ({ what }: Expected) => what.startsWith('gradient');
  const steepest = largest(expected.filter(isGradient).map(({ values }) => values));
  for (const [i, item] of expected.entries()) {
    const { what, values } = item;
    const result = results[i]!;
    if (result.length !== values.length)
      return `${what}: ${result.length} numbers where PyTorch has ${values.length}`;
    const scale = isGradient(item) ? steepest : largest([values]);
    const wrong = values.findIndex((value, e) => !(Math.abs(result[e]! - value) / scale <= bound));
    if (wrong >= 0) return `${what}, element ${wrong}: ${result[wrong]} where PyTorch gives ${values[wrong]}`;
  }
  return undefined;
}

function layerCase(fixture: LayerFixture): PytorchCase {
  const sampleShape = fixture.shape.slice(1).length > 0 ? fixture.shape.slice(1) : [1];
  const shape = [fixture.shape[0]!, ...sampleShape];
  const type = layerNamed(fixture.layer.type)!;
  const options = checkOptions(type.options, fixture.layer, ['type']) as never;
  const others = (fixture.others ?? []).map((other, index) => input(`other ${index}`, other.shape));
  const shapes = [sampleShape, ...others.map((other) => other.shape.slice(1))];
  const plan = type.plan(sampleShape, options, { followedBy: undefined, inputs: shapes });
  const x = input('x', shape);
  const parameters = plan.parameters.map((parameter) => input(parameter.name, parameter.shape));
  const mask = fixture.mask && input('mask', shape.slice(0, 2));
  const random = { sampleIds: input('ids', [shape[0]!], 'i32'), key: input('key', [4], 'i32') };
  const statistics = new Map<number, Node>();
  const output = type.forward(x, {
    options,
    parameters,
    inputs: [x, ...(mask ? [mask] : []), ...others],
    index: 0,
    random: fixture.evaluate ? undefined : random,
    report: (parameter, value) => statistics.set(parameter, value),
  } satisfies ForwardContext);
  if (!sameShape(output.shape, [shape[0]!, ...plan.outputShape]))
    throw new Error(`${fixture.label}: planned another shape`);

  const upstream = input('upstream', output.shape);
  const scalar = sum(mul(output, upstream));
  const trained = parameters.filter((_, index) => !plan.parameters[index]!.statistic);
  const [byInput, ...rest] = gradients(scalar, [x, ...others, ...trained]);
  const byOther = rest.slice(0, others.length);
  const byParameter = rest.slice(others.length);
  const feeds: Record<string, Numbers> = { x: fixture.x, upstream: fixture.upstream };
  plan.parameters.forEach(({ name }, index) => {
    feeds[name] = fixture.parameters[index]!;
  });
  if (fixture.mask) feeds.mask = fixture.mask;
  fixture.others?.forEach((other, index) => {
    feeds[`other ${index}`] = other.x;
  });
  if (fixture.draws) {
    feeds.ids = fixture.draws.ids;
    feeds.key = fixture.draws.key;
  }
  const expected: Expected[] = [
    { what: 'output', node: output, values: fixture.output },
    ...trained.map((parameter, index) => ({
      what: `gradient of ${String(parameter.attributes.name)}`,
      node: byParameter[index]!,
      values: fixture.gradients[index]!,
    })),
    ...(fixture.others ?? []).map(({ gradient }, index) => ({
      what: `gradient of input ${index + 1}`,
      node: byOther[index]!,
      values: gradient,
    })),
    ...(fixture.statistics ?? []).map((values, index) => ({
      what: `statistic ${index}`,
      node: statistics.get(index + 2)!,
      values,
    })),
  ];
  if (fixture.inputGradient) {
    expected.push({ what: 'gradient of the input', node: byInput!, values: fixture.inputGradient });
  }
  return {
    label: fixture.label,
    inputs: [
      ...[x, ...parameters, upstream, ...others],
      ...(mask ? [mask] : []),
      ...(fixture.draws ? [random.sampleIds, random.key] : []),
    ],
    feeds,
    expected,
  };
}

function lossCase(fixture: LossFixture): PytorchCase {
  const x = input('x', fixture.shape);
  const targets = input('t', fixture.targetShape, fixture.loss === 'crossEntropy' ? 'i32' : 'f32');
  const { classWeights, labelSmoothing, focal, delta } = fixture.options;
  const weights = input('weights', [fixture.shape.at(-1)!]);
  const run: Record<string, () => Node> = {
    crossEntropy: () =>
      lossFunctions.crossEntropy(x, targets, {
        ...(labelSmoothing !== undefined && { labelSmoothing }),
        ...(focal !== undefined && { focal }),
        ...(classWeights && { classWeights: weights }),
      }),
    binaryCrossEntropy: () => lossFunctions.binaryCrossEntropy(x, targets),
    dice: () => lossFunctions.dice(x, targets),
    meanSquaredError: () => lossFunctions.meanSquaredError(x, targets),
    meanAbsoluteError: () => lossFunctions.meanAbsoluteError(x, targets),
    huber: () => lossFunctions.huber(x, targets, delta),
  };
  const loss = run[fixture.loss]!();
  const feeds = { x: fixture.x, t: fixture.targets, ...(classWeights && { weights: classWeights }) };
  return {
    label: fixture.label,
    inputs: [x, targets, ...(classWeights ? [weights] : [])],
    feeds,
    expected: [
      { what: 'loss', node: loss, values: fixture.output },
      { what: 'gradient', node: gradients(sum(loss), [x])[0]!, values: fixture.gradient },
    ],
  };
}

function transposedCase(fixture: TransposedFixture): PytorchCase {
  const x = input('x', fixture.shape);
  const weight = input('weight', fixture.weightShape);
  const y = convTranspose2d(x, weight, fixture);
  const upstream = input('upstream', y.shape);
  const [byInput, byWeight] = gradients(sum(mul(y, upstream)), [x, weight]);
  const feeds = { x: fixture.x, weight: fixture.weight, upstream: fixture.upstream };
  return {
    label: `convTranspose2d ${JSON.stringify(fixture.shape)}`,
    inputs: [x, weight, upstream],
    feeds,
    expected: [
      { what: 'output', node: y, values: fixture.output },
      { what: 'gradient of the input', node: byInput!, values: fixture.inputGradient },
      { what: 'gradient of the weight', node: byWeight!, values: fixture.weightGradient },
    ],
  };
}
