/**
 * Models as data: checks a description, names its layers and parameters, and lays the parameters out in one flat array.
 * What a model computes is in `training.ts`.
 */
import { type Node, withOrigin } from '../graph.ts';
import { sliceAxis } from '../ops/parts.ts';
import { keyOfSeed } from '../random.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../shape.ts';
import { checkInput, checkUse, findType, nameLayers, sourcesOf, statedOutput } from './check-description.ts';
import { NORMAL_NODES } from './dropout.ts';
import { type LayerDescription, layerNamed } from './index.ts';
import { initialValues } from './initializers.ts';
import type { ForwardContext, Initializer, LayerType, OptionValue, ParameterPlan } from './layer.ts';
import { layerError, ModelError, within } from './model-error.ts';
import { suggest } from './nearest.ts';
import { checkOptions } from './options.ts';
import { type LayerGraph, type LossGraph, MOST_NODES_OF_MODEL } from './traced/format.ts';
import { type OwnLayerType, ownLayerTypes } from './traced/own-layers.ts';
import { type OwnLoss, ownLoss } from './traced/own-loss.ts';
import { tiesOf } from './traced/ties.ts';

export type { LayerDescription } from './index.ts';
export { ModelError } from './model-error.ts';

export interface ModelDescription {
  /** Shape of one sample, such as [784]. Left out where layers of the type `input` name the parts of a sample. */
  readonly input?: readonly number[];
  /** Number of classes of a classifier: the last layer must give so many scores for each sample. */
  readonly classes?: number;
  /** In its place for other models: the shape that the last layer must give for each sample, such as [1] or [128, 256]. */
  readonly output?: readonly number[];
  /** Input side first. */
  readonly layers: readonly LayerDescription[];
  /** Layers that are not trained: names, or what names begin with up to a dash (layer1 is layer1-0-conv1 as well). */
  readonly frozen?: readonly string[];
  /** Layers that a program defined, by the types that `layers` name them by: see `define-model.ts`. */
  readonly definitions?: Readonly<Record<string, LayerGraph>>;
  /** A loss that a program defined, and its metric: what objective `own` trains for. */
  readonly loss?: LossGraph;
}

export interface ParameterSpec {
  /** 'dense1.weight' */
  readonly name: string;
  /** 'dense1' */
  readonly layer: string;
  readonly shape: Shape;
  /** In floats, in the flat layout; parameters follow one another in list order without gaps. */
  readonly offset: number;
  readonly size: number;
  readonly initializer: Initializer;
  /** See ParameterPlan. */
  readonly statistic?: { readonly rate: number };
  /** True: its layer is frozen. Statistics of such a layer go on following the data. */
  readonly frozen?: boolean;
}

export interface ModelLayer {
  readonly name: string;
  readonly type: string;
  /** Position among all layers, from 0. */
  readonly index: number;
  /** Checked, with defaults filled in. */
  readonly options: Readonly<Record<string, OptionValue>>;
  /** Where its inputs come from: indices of layers, -1 for the model's input; none of an input layer. */
  readonly from: readonly number[];
  /** Of an input layer, in floats: where in the sample its part is. */
  readonly part?: { readonly offset: number; readonly size: number };
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly parameters: readonly ParameterSpec[];
  /** Of a layer that may have parameters of others, or statistics among its own: the names of all, in its type's order. */
  readonly uses?: readonly string[];
  /** The type of a layer that the model defines. */
  readonly own?: LayerType;
}

export interface Model {
  readonly description: ModelDescription;
  /** Of one sample, as data must have it: the description's input, or [n] where input layers divide the n numbers. */
  readonly sampleShape: Shape;
  /** What comes out for one sample. */
  readonly outputShape: Shape;
  readonly layers: readonly ModelLayer[];
  /** All that are trained, layer by layer, then all statistics. */
  readonly parameters: readonly ParameterSpec[];
  /** In floats: length of the flat layout. */
  readonly parameterCount: number;
  /** In floats: the part in front, which is trained. */
  readonly trainedCount: number;
  /** What objective `own` trains for. */
  readonly loss?: OwnLoss;
}

/**
 * Largest model, in floats. Seven copies must fit the parameter server's memory of 4 GiB: parameters, gradient, Adam's two
 * states, and the gradients of one shard with two to spare.
 */
export const MAX_PARAMETERS = Math.floor(2 ** 30 / 7);
const MAX_LAYERS = 1000;
/** What every layer may say besides its own options. */
const common: readonly string[] = ['type', 'name', 'from', 'tied'];
/**
 * Checks a description and builds the model.
 * @throws ModelError naming the layer (index and type), what it got and what it wanted.
 */
export function buildModel(description: ModelDescription): Model {
  const { input, layers } = description;
  const stated = statedOutput(description);
  if (!Array.isArray(layers) || layers.length === 0 || layers.length > MAX_LAYERS) {
    throw new ModelError(['layers'], `layers: expected a list of 1 to ${MAX_LAYERS} layers`);
  }
  const ownTypes = ownLayerTypes(description.definitions);
  const types = layers.map((layer, index) => findType(layer, index, ownTypes));
  checkNodes(layers, ownTypes);
  checkInput(input, types);
  const names = nameLayers(layers, types);
  const built: Omit<ModelLayer, 'parameters'>[] = [];
  const planned: { layer: string; plan: ParameterPlan }[] = [];
  const shapeOf = (at: number): Shape => (at < 0 ? [...input!] : built[at]!.outputShape);
  const sources = input ? ['input', ...names] : names;
  /** In floats: what input layers have taken of the sample. */
  let taken = 0;
  let floats = 0;
  const checked = types.map((type, index) =>
    within(index, type, () => checkOptions(type.options, { ...layers[index]! }, common)),
  );
  for (const [index, type] of types.entries()) {
    const given = layers[index]!;
    const options = checked[index]!;
    const from = sourcesOf(type, given, index, sources);
    let next = index + 1;
    while (types[next]?.transparent) next++;
    const follower = types[next];
    const followedBy = follower && { type: follower.type, options: checked[next]! };
    const inputs = from.map(shapeOf);
    const plan = within(index, type, () =>
      type.plan(inputs[0] ?? [], options as never, { followedBy, inputs }),
    );
    const layer = names[index]!;
    const tied = within(index, type, () => tiesOf(given, plan.parameters, planned));
    const parameters = plan.parameters.filter(({ name }) => !tied.has(name));
    planned.push(...parameters.map((parameter) => ({ layer, plan: parameter })));
    for (const { shape } of parameters) floats += sizeOf(shape);
    if (floats > MAX_PARAMETERS) {
      throw layerError(
        index,
        type,
        `the model has ${floats} parameters up to here; at most ${MAX_PARAMETERS} are supported`,
      );
    }
    const { outputShape } = plan;
    const part = type.partOfSample && { part: { offset: taken, size: sizeOf(outputShape) } };
    taken += part?.part.size ?? 0;
    const inputShape = inputs[0] ?? outputShape;
    const isOwn = ownTypes.has(type.type);
    const uses = (isOwn || tied.size > 0) && {
      uses: plan.parameters.map(({ name }) => tied.get(name) ?? `${layer}.${name}`),
    };
    const own = isOwn && { own: type };
    built.push({
      name: layer,
      type: type.type,
      index,
      options,
      from,
      inputShape,
      outputShape,
      ...part,
      ...uses,
      ...own,
    });
  }
  const outputs = { layers: built.map(({ outputShape }) => outputShape), input: input && [...input] };
  const loss = description.loss === undefined ? undefined : ownLoss(description.loss, names, outputs);
  checkUse(built, loss?.from);
  const shape = shapeOf(built.length - 1);
  if (!sameShape(shape, stated.shape)) {
    const last = layers.length - 1;
    throw layerError(
      last,
      types[last]!,
      `the last layer gives ${formatShape(shape)} for each sample, ` +
        `but ${stated.by}: expected ${formatShape(stated.shape)}`,
    );
  }
  const { parameters, trainedCount, parameterCount } = layOutParameters(
    planned,
    frozenLayers(description, names, planned),
  );
  const byLayer = Map.groupBy(parameters, (parameter) => parameter.layer);
  return {
    description,
    sampleShape: input ? [...input] : [taken],
    outputShape: shape,
    layers: built.map((layer) => ({
      ...layer,
      parameters: byLayer.get(layer.name) ?? [],
    })),
    parameters,
    parameterCount,
    trainedCount,
    ...(loss && { loss }),
  };
}

/** Layers that are defined cost what their graphs have, each time one is used. */
function checkNodes(layers: readonly LayerDescription[], own: ReadonlyMap<string, OwnLayerType>): void {
  const nodes = layers.reduce((sum, { type }) => sum + (own.get(type)?.nodes ?? 0), 0);
  if (nodes > MOST_NODES_OF_MODEL)
    throw new ModelError(
      ['definitions'],
      `definitions: its layers have ${nodes} nodes in all (a 'normal' counts as ${NORMAL_NODES}); at most ${MOST_NODES_OF_MODEL} are supported`,
    );
}

/** The layers that `frozen` names; each of its entries must name one that has something to train. */
function frozenLayers(
  { frozen = [] }: ModelDescription,
  names: readonly string[],
  planned: readonly { layer: string; plan: ParameterPlan }[],
): Set<string> {
  const able = new Set(planned.filter(({ plan }) => !plan.statistic).map(({ layer }) => layer));
  const found = frozen.flatMap((prefix) => {
    const own = [...able].filter((name) => name === prefix || name.startsWith(`${prefix}-`));
    if (own.length === 0) {
      throw new ModelError(
        ['frozen'],
        `frozen: no layer '${prefix}' with parameters${suggest(
          prefix,
          names.filter((name) => able.has(name)),
        )}`,
      );
    }
    return own;
  });
  if (able.size > 0 && new Set(found).size === able.size) {
    throw new ModelError(['frozen'], 'frozen: every layer is frozen, so there is nothing to train');
  }
  return new Set(found);
}

/** Trained parameters first: an optimizer then has one range of floats. */
function layOutParameters(
  planned: readonly { layer: string; plan: ParameterPlan }[],
  frozen: ReadonlySet<string>,
) {
  const ordered = [
    ...planned.filter(({ plan }) => !plan.statistic),
    ...planned.filter(({ plan }) => plan.statistic),
  ];
  let offset = 0;
  let trainedCount = 0;
  const parameters = ordered.map(({ layer, plan }): ParameterSpec => {
    const size = sizeOf(plan.shape);
    const stays = frozen.has(layer) && !plan.statistic && { frozen: true };
    const spec = { ...plan, name: `${layer}.${plan.name}`, layer, offset, size, ...stays };
    offset += size;
    if (!plan.statistic) trainedCount = offset;
    return spec;
  });
  return { parameters, trainedCount, parameterCount: offset };
}

/** The type of a layer, be it the model's own. */
export const typeOfLayer = ({ type, own }: Pick<ModelLayer, 'type' | 'own'>): LayerType =>
  own ?? layerNamed(type)!;

/** The parameters that a layer computes with, in its type's order. */
export const parametersUsed = (model: Model, { uses, parameters }: ModelLayer): readonly ParameterSpec[] =>
  uses ? uses.map((name) => model.parameters.find((spec) => spec.name === name)!) : parameters;

export interface Forward {
  readonly output: Node;
  /** Of each layer. */
  readonly outputs: readonly Node[];
  /** While training: the batch's value of each statistic, by index in the model's parameters. */
  readonly statistics: ReadonlyMap<number, Node>;
}

/** The layers' forward pass. x is [samples, ...sampleShape]; one leaf for each of the model's parameters, in order. */
export function forward(
  model: Model,
  x: Node,
  parameters: readonly Node[],
  random: ForwardContext['random'],
): Forward {
  const outputs: Node[] = [];
  const statistics = new Map<number, Node>();
  for (const layer of model.layers) {
    const own = parametersUsed(model, layer).map((spec) => model.parameters.indexOf(spec));
    const inputs = layer.part
      ? [sliceAxis(x, 1, layer.part.offset, layer.part.size)]
      : layer.from.map((index) => (index < 0 ? x : outputs[index]!));
    const context: ForwardContext = {
      options: layer.options as never,
      parameters: own.map((index) => parameters[index]!),
      inputs,
      index: layer.index,
      random,
      report: (parameter, value) => statistics.set(own[parameter]!, value),
    };
    outputs.push(withOrigin({ layer: layer.name }, () => typeOfLayer(layer).forward(inputs[0]!, context)));
  }
  return { output: outputs.at(-1)!, outputs, statistics };
}

/** The parameters that a run with this seed starts from, in the flat layout; every engine gives the same bits. */
export function initializeParameters(model: Model, seed: number): Float32Array<ArrayBuffer> {
  const key = keyOfSeed(seed);
  const values = new Float32Array(model.parameterCount);
  for (const [index, { initializer, shape, offset }] of model.parameters.entries()) {
    values.set(initialValues(initializer, shape, index, key), offset);
  }
  return values;
}
