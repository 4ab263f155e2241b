/**
 * Models as data: checks a description, names its layers and parameters, and lays the parameters out in one flat array.
 * What a model computes is in `training.ts`.
 */
import type { Node } from '../graph.ts';
import { INITIALIZER_STREAM, keyOfSeed, philox4x32, unitInterval } from '../random.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../shape.ts';
import { type LayerDescription, layerNamed, layerTypeNames } from './index.ts';
import {
  type ForwardContext,
  type Initializer,
  LayerError,
  type LayerType,
  type OptionRule,
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
}

export interface ModelLayer {
  readonly name: string;
  readonly type: string;
  /** Position among all layers, from 0. */
  readonly index: number;
  /** Checked, with defaults filled in. */
  readonly options: Readonly<Record<string, number | boolean>>;
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly parameters: readonly ParameterSpec[];
}

export interface Model {
  readonly description: ModelDescription;
  readonly layers: readonly ModelLayer[];
  readonly parameters: readonly ParameterSpec[];
  /** In floats: length of the flat layout. */
  readonly parameterCount: number;
}

/** A description that makes no model. Names the layer as `layers[2] (dense)`. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

/** Largest model, in floats: parameters, gradients and optimizer state of it must fit a 4 GiB memory. */
export const MAX_PARAMETERS = 2 ** 27;
const MAX_LAYERS = 1000;
const MAX_EXTENT = 2 ** 24;
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
  const built: ModelLayer[] = [];
  let shape: Shape = [...input];
  let offset = 0;
  for (const [index, type] of types.entries()) {
    const where = `layers[${index}] (${type.type})`;
    const options = checkOptions(where, type, layers[index]!);
    const followedBy = types.slice(index + 1).find((next) => !next.transparent)?.type;
    const plan = planLayer(where, type, shape, options, followedBy);
    const layer = names[index]!;
    const parameters = plan.parameters.map((parameter): ParameterSpec => {
      const size = sizeOf(parameter.shape);
      const spec = { ...parameter, name: `${layer}.${parameter.name}`, layer, offset, size };
      offset += size;
      return spec;
    });
    if (offset > MAX_PARAMETERS) {
      throw new ModelError(
        `${where}: the model has ${offset} parameters up to here; at most ${MAX_PARAMETERS} fit`,
      );
    }
    built.push({
      name: layer,
      type: type.type,
      index,
      options,
      inputShape: shape,
      outputShape: plan.outputShape,
      parameters,
    });
    shape = plan.outputShape;
  }
  if (!sameShape(shape, [classes])) {
    const last = layers.length - 1;
    throw new ModelError(
      `layers[${last}] (${types[last]!.type}): the last layer gives ${formatShape(shape)} for each sample, ` +
        `but classes is ${classes}: expected [${classes}]`,
    );
  }
  return {
    description,
    layers: built,
    parameters: built.flatMap((layer) => layer.parameters),
    parameterCount: offset,
  };
}

/** The layers' forward pass. x is [samples, ...input]; one leaf for each of the model's parameters, in order. */
export function forward(
  model: Model,
  x: Node,
  parameters: readonly Node[],
  random: ForwardContext['random'],
): Node {
  let next = 0;
  return model.layers.reduce((value, layer) => {
    const own = parameters.slice(next, next + layer.parameters.length);
    next += layer.parameters.length;
    return layerNamed(layer.type)!.forward(value, {
      options: layer.options,
      parameters: own,
      index: layer.index,
      random,
    });
  }, x);
}

/**
 * The parameters that a run with this seed starts from, in the flat layout. Uses exact arithmetic and square roots only, so
 * that every engine gives the same bits. Element e of parameter p comes from word e & 3 of
 * philox4x32([e >> 2, p, 0, INITIALIZER_STREAM], seed).
 */
export function initializeParameters(model: Model, seed: number): Float32Array {
  const key = keyOfSeed(seed);
  const values = new Float32Array(model.parameterCount);
  for (const [p, { initializer, offset, size }] of model.parameters.entries()) {
    if (initializer.kind === 'zeros') continue;
    for (let e = 0; e < size; e += 4) {
      const words = philox4x32([e >> 2, p, 0, INITIALIZER_STREAM], key);
      for (let lane = 0; lane < 4 && e + lane < size; lane++) {
        values[offset + e + lane] = (2 * unitInterval(words[lane]!) - 1) * initializer.bound;
      }
    }
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
    if (taken.has(name))
      throw new ModelError(`${where}: name '${name}' is that of layers[${taken.get(name)}] already`);
    taken.set(name, index);
    return name;
  });
}

function checkOptions(where: string, type: LayerType, given: LayerDescription): ModelLayer['options'] {
  const names = Object.keys(type.options);
  for (const name of Object.keys(given)) {
    if (name === 'type' || name === 'name' || names.includes(name)) continue;
    throw new ModelError(`${where}: no option '${name}'${suggest(name, [...names, 'name'])}`);
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

function satisfies(rule: OptionRule, value: unknown): value is number | boolean {
  if (rule.kind === 'boolean') return typeof value === 'boolean';
  if (typeof value !== 'number') return false;
  if (rule.kind === 'integer')
    return Number.isInteger(value) && value >= rule.minimum && value <= rule.maximum;
  return value >= rule.minimum && value < rule.below;
}

function wanted(rule: OptionRule): string {
  if (rule.kind === 'boolean') return 'true or false';
  if (rule.kind === 'integer') return `an integer from ${rule.minimum} to ${rule.maximum}`;
  return `a number from ${rule.minimum} to less than ${rule.below}`;
}

function planLayer(
  where: string,
  type: LayerType,
  input: Shape,
  options: ModelLayer['options'],
  followedBy: string | undefined,
) {
  try {
    return type.plan(input, options, { followedBy });
  } catch (cause) {
    if (cause instanceof LayerError) throw new ModelError(`${where}: ${cause.message}`, { cause });
    throw cause;
  }
}
