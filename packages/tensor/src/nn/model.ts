/**
 * Models as data: checks a description, names its layers and parameters, and lays the parameters out in one flat array.
 * What a model computes is in `training.ts`.
 */
import type { Node } from '../graph.ts';
import { keyOfSeed } from '../random.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../shape.ts';
import { type LayerDescription, layerNamed, layerTypeNames } from './index.ts';
import { initialValues } from './initializers.ts';
import {
  type ForwardContext,
  type Initializer,
  LayerError,
  type LayerType,
  type OptionRule,
  type OptionValue,
  type ParameterPlan,
} from './layer.ts';
import { suggest } from './nearest.ts';

export type { LayerDescription } from './index.ts';

export interface ModelDescription {
  /** Shape of one sample, such as [784]. */
  readonly input: readonly number[];
  /** Number of classes: what the last layer must give for each sample. */
  readonly classes: number;
  /** Input side first. */
  readonly layers: readonly LayerDescription[];
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
}

export interface ModelLayer {
  readonly name: string;
  readonly type: string;
  /** Position among all layers, from 0. */
  readonly index: number;
  /** Checked, with defaults filled in. */
  readonly options: Readonly<Record<string, OptionValue>>;
  /** Where its inputs come from: indices of layers, -1 for the model's input. */
  readonly from: readonly number[];
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly parameters: readonly ParameterSpec[];
}

export interface Model {
  readonly description: ModelDescription;
  readonly layers: readonly ModelLayer[];
  /** All that are trained, layer by layer, then all statistics. */
  readonly parameters: readonly ParameterSpec[];
  /** In floats: length of the flat layout. */
  readonly parameterCount: number;
  /** In floats: the part in front, which is trained. */
  readonly trainedCount: number;
}

/** A description that makes no model. Names the layer as `layers[2] (dense)`. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

/** Largest model, in floats: parameters, gradients and optimizer state of it must fit a 4 GiB memory. */
export const MAX_PARAMETERS = 2 ** 27;
const MAX_LAYERS = 1000;
const MAX_EXTENT = 2 ** 24;
/** What every layer may say besides its own options. */
const common: readonly string[] = ['type', 'name', 'from'];
const LAYER_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/**
 * Checks a description and builds the model.
 * @throws ModelError naming the layer (index and type), what it got and what it wanted.
 */
export function buildModel(description: ModelDescription): Model {
  const { input, classes, layers } = description;
  if (!Array.isArray(input) || input.length === 0 || !input.every((extent) => isCount(extent, MAX_EXTENT))) {
    throw new ModelError(`input is ${JSON.stringify(input)}; expected the shape of a sample, such as [784]`);
  }
  if (!isCount(classes, MAX_EXTENT))
    throw new ModelError(`classes is ${classes}; expected a positive integer`);
  if (!Array.isArray(layers) || layers.length === 0 || layers.length > MAX_LAYERS) {
    throw new ModelError(`layers: expected a list of 1 to ${MAX_LAYERS} layers`);
  }
  const types = layers.map(findType);
  const names = nameLayers(layers, types);
  const built: Omit<ModelLayer, 'parameters'>[] = [];
  const planned: { layer: string; plan: ParameterPlan }[] = [];
  const shapeOf = (at: number): Shape => (at < 0 ? [...input] : built[at]!.outputShape);
  for (const [index, type] of types.entries()) {
    const where = `layers[${index}] (${type.type})`;
    const options = checkOptions(where, type, layers[index]!);
    const from = sourcesOf(where, type, layers[index]!, index, names);
    const followedBy = types.slice(index + 1).find((next) => !next.transparent)?.type;
    const plan = planLayer(where, type, from.map(shapeOf), options, followedBy);
    const layer = names[index]!;
    planned.push(...plan.parameters.map((parameter) => ({ layer, plan: parameter })));
    const floats = planned.reduce((sum, parameter) => sum + sizeOf(parameter.plan.shape), 0);
    if (floats > MAX_PARAMETERS) {
      throw new ModelError(
        `${where}: the model has ${floats} parameters up to here; at most ${MAX_PARAMETERS} fit`,
      );
    }
    const [inputShape, outputShape] = [shapeOf(from[0]!), plan.outputShape];
    built.push({ name: layer, type: type.type, index, options, from, inputShape, outputShape });
  }
  checkUse(built);
  const shape = shapeOf(built.length - 1);
  if (!sameShape(shape, [classes])) {
    const last = layers.length - 1;
    throw new ModelError(
      `layers[${last}] (${types[last]!.type}): the last layer gives ${formatShape(shape)} for each sample, ` +
        `but classes is ${classes}: expected [${classes}]`,
    );
  }
  const { parameters, trainedCount, parameterCount } = layOutParameters(planned);
  return {
    description,
    layers: built.map((layer) => ({
      ...layer,
      parameters: parameters.filter((parameter) => parameter.layer === layer.name),
    })),
    parameters,
    parameterCount,
    trainedCount,
  };
}

/** Trained parameters first: an optimizer then has one range of floats. */
function layOutParameters(planned: readonly { layer: string; plan: ParameterPlan }[]) {
  const ordered = [
    ...planned.filter(({ plan }) => !plan.statistic),
    ...planned.filter(({ plan }) => plan.statistic),
  ];
  let offset = 0;
  let trainedCount = 0;
  const parameters = ordered.map(({ layer, plan }): ParameterSpec => {
    const size = sizeOf(plan.shape);
    const spec = { ...plan, name: `${layer}.${plan.name}`, layer, offset, size };
    offset += size;
    if (!plan.statistic) trainedCount = offset;
    return spec;
  });
  return { parameters, trainedCount, parameterCount: offset };
}

/** Where a layer's inputs come from. */
function sourcesOf(
  where: string,
  type: LayerType,
  { from }: LayerDescription,
  index: number,
  names: readonly string[],
): number[] {
  const given: readonly unknown[] = from === undefined ? [] : Array.isArray(from) ? from : [from];
  const before = ['input', ...names.slice(0, index)];
  const sources = given.map((name) => {
    const found = typeof name === 'string' ? before.indexOf(name) : -1;
    if (found >= 0) return found - 1;
    throw new ModelError(
      `${where}: from: no layer ${JSON.stringify(name)} before this one${suggest(String(name), before)}`,
    );
  });
  const all = from === undefined ? [index - 1] : sources;
  const { least, most } = type.inputs ?? { least: 1, most: 1 };
  if (all.length < least || all.length > most) {
    const wanted = least === most ? `${least}` : `${least} to ${most}`;
    throw new ModelError(`${where}: has ${all.length} inputs; expected ${wanted}: name them with from`);
  }
  return all;
}

/** A layer whose output nobody takes is a mistake. */
function checkUse(built: readonly Omit<ModelLayer, 'parameters'>[]): void {
  const used = new Set(built.flatMap(({ from }) => from));
  const idle = built.slice(0, -1).find(({ index }) => !used.has(index));
  if (idle) {
    throw new ModelError(
      `layers[${idle.index}] (${idle.type}): nothing takes its output: name '${idle.name}' in a later layer's from`,
    );
  }
}

export interface Forward {
  readonly output: Node;
  /** Of each layer. */
  readonly outputs: readonly Node[];
  /** While training: the batch's value of each statistic, by index in the model's parameters. */
  readonly statistics: ReadonlyMap<number, Node>;
}

/** The layers' forward pass. x is [samples, ...input]; one leaf for each of the model's parameters, in order. */
export function forward(
  model: Model,
  x: Node,
  parameters: readonly Node[],
  random: ForwardContext['random'],
): Forward {
  const outputs: Node[] = [];
  const statistics = new Map<number, Node>();
  for (const layer of model.layers) {
    const own = layer.parameters.map((spec) => model.parameters.indexOf(spec));
    const inputs = layer.from.map((index) => (index < 0 ? x : outputs[index]!));
    const output = layerNamed(layer.type)!.forward(inputs[0]!, {
      options: layer.options as never,
      parameters: own.map((index) => parameters[index]!),
      inputs,
      index: layer.index,
      random,
      report: (parameter, value) => statistics.set(own[parameter]!, value),
    });
    outputs.push(output);
  }
  return { output: outputs.at(-1)!, outputs, statistics };
}

/** The parameters that a run with this seed starts from, in the flat layout; every engine gives the same bits. */
export function initializeParameters(model: Model, seed: number): Float32Array {
  const key = keyOfSeed(seed);
  const values = new Float32Array(model.parameterCount);
  for (const [index, { initializer, shape, offset }] of model.parameters.entries()) {
    values.set(initialValues(initializer, shape, index, key), offset);
  }
  return values;
}

function isCount(value: unknown, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most;
}

function findType(layer: LayerDescription, index: number): LayerType {
  const given: unknown = (layer as { type?: unknown } | null)?.type;
  if (typeof given !== 'string') {
    throw new ModelError(`layers[${index}]: expected a type; there are: ${layerTypeNames.join(', ')}`);
  }
  const type = layerNamed(given);
  if (!type) {
    throw new ModelError(
      `layers[${index}]: no layer type '${given.slice(0, 64)}'${suggest(given, layerTypeNames)}`,
    );
  }
  return type;
}

function nameLayers(layers: readonly LayerDescription[], types: readonly LayerType[]): string[] {
  const counts = new Map<string, number>();
  const taken = new Map<string, number>();
  return layers.map((layer, index) => {
    const { type } = types[index]!;
    const ordinal = (counts.get(type) ?? 0) + 1;
    counts.set(type, ordinal);
    const name: unknown = layer.name ?? `${type}${ordinal}`;
    const where = `layers[${index}] (${type})`;
    if (typeof name !== 'string' || !LAYER_NAME.test(name)) {
      throw new ModelError(
        `${where}: name ${JSON.stringify(name)}; expected a letter, then at most 63 letters, digits, '-' or '_'`,
      );
    }
    if (name === 'input') throw new ModelError(`${where}: name 'input' is that of the model's input`);
    if (taken.has(name))
      throw new ModelError(`${where}: name '${name}' is that of layers[${taken.get(name)}] already`);
    taken.set(name, index);
    return name;
  });
}

function checkOptions(where: string, type: LayerType, given: LayerDescription): ModelLayer['options'] {
  const names = Object.keys(type.options);
  for (const name of Object.keys(given)) {
    if (common.includes(name) || names.includes(name)) continue;
    throw new ModelError(`${where}: no option '${name}'${suggest(name, [...names, 'name', 'from'])}`);
  }
  const values = given as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(type.options).map(([name, rule]) => {
      const value = values[name] ?? ('default' in rule ? rule.default : undefined);
      if (!satisfies(rule, value)) {
        const came = value === undefined ? 'missing' : JSON.stringify(value);
        throw new ModelError(`${where}: ${name} is ${came}; expected ${wanted(rule)}`);
      }
      return [name, value];
    }),
  );
}

function satisfies(rule: OptionRule, value: unknown): value is OptionValue {
  const inRange = (n: unknown, { minimum, maximum }: { minimum: number; maximum: number }) =>
    Number.isInteger(n) && (n as number) >= minimum && (n as number) <= maximum;
  switch (rule.kind) {
    case 'boolean':
      return typeof value === 'boolean';
    case 'integer':
      return inRange(value, rule);
    case 'number':
      return typeof value === 'number' && value >= rule.minimum && value < rule.below;
    case 'choice':
      return typeof value === 'string' && rule.choices.includes(value);
    case 'pair':
      return Array.isArray(value)
        ? value.length === 2 && value.every((n) => inRange(n, rule))
        : inRange(value, rule);
    case 'shape':
      return Array.isArray(value) && value.length > 0 && value.every((n) => isCount(n, MAX_EXTENT));
  }
}

function wanted(rule: OptionRule): string {
  switch (rule.kind) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `an integer from ${rule.minimum} to ${rule.maximum}`;
    case 'number':
      return `a number from ${rule.minimum} to less than ${rule.below}`;
    case 'choice':
      return rule.choices.join(' or ');
    case 'pair':
      return `an integer from ${rule.minimum} to ${rule.maximum}, or two: [rows, columns]`;
    case 'shape':
      return 'a list of positive integers';
  }
}

function planLayer(
  where: string,
  type: LayerType,
  inputs: readonly Shape[],
  options: ModelLayer['options'],
  followedBy: string | undefined,
) {
  try {
    return type.plan(inputs[0]!, options as never, { followedBy, inputs });
  } catch (cause) {
    if (cause instanceof LayerError) throw new ModelError(`${where}: ${cause.message}`, { cause });
    throw cause;
  }
}
