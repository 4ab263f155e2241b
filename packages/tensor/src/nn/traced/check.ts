/** Graphs from outside: what they are made of is checked here, and what they compute by the operations' own rules, with several numbers of samples. */
import type { Node } from '../../graph.ts';
import { input, parameter } from '../../ops/leaf.ts';
import { formatShape, type Shape, sizeOf } from '../../shape.ts';
import { NORMAL_STREAMS } from '../dropout.ts';
import { flopsOf } from '../flops.ts';
import { type Initializer, LayerError, type ParameterPlan } from '../layer.ts';
import { ModelError } from '../model-error.ts';
import { isCount, isName, MAX_EXTENT, NAME_FORM } from '../options.ts';
import { brief, checkAttributes, isStream } from './attributes.ts';
import { type CheckedNode, expand, GraphError } from './expand.ts';
import {
  GRAPH_VERSION,
  MOST_AXES,
  MOST_FLOATS,
  MOST_FLOATS_OF_GRAPH,
  MOST_FLOPS,
  MOST_GRAPH_PARAMETERS,
  MOST_INPUTS,
  MOST_NODES,
} from './format.ts';

type Fields = Readonly<Record<string, unknown>>;
type Path = readonly (string | number)[];

/**
 * Numbers of samples that graphs are tried with. Every extent of every value must be constant or a multiple of them. Then products of
 * extents are powers of the samples, and those that are equal for 1 and for 2 always are; and what is rounded down (places of a window) rises or
 * falls with the samples, so that what fits at both ends fits in between.
 */
const TRIED = [2, 1, 2 ** 20] as const;

export interface CheckedGraph {
  readonly inputs: readonly Shape[];
  readonly parameters: readonly ParameterPlan[];
  readonly nodes: readonly CheckedNode[];
  readonly output: number;
  readonly outputShape: Shape;
}

const fieldsOf = (value: unknown, path: Path, keys: readonly string[]): Fields => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw fault(path, `is ${brief(value)}; expected an object with ${keys.join(', ')}`);
  checkKeys(value, path, keys);
  return value as Fields;
};

export function checkKeys(value: object, path: Path, keys: readonly string[]): void {
  const unknown = Object.keys(value).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw fault([...path, unknown], `unknown key; expected ${keys.join(', ')}`);
}

/** What is wrong with a part of a graph. */
export function fault(path: Path, what: string, cause?: unknown): ModelError {
  const place = path.reduce<string>(
    (text, key) =>
      typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key.slice(0, 64)}`,
    '',
  );
  return new ModelError(path, `${place}: ${what}`, { cause });
}

const listOf = (value: unknown, path: Path, most: number, least = 0): readonly unknown[] => {
  if (Array.isArray(value) && value.length >= least && value.length <= most) return value;
  throw fault(
    path,
    `is ${Array.isArray(value) ? `a list of ${value.length}` : brief(value)}; expected a list of ${least} to ${most}`,
  );
};

/** Extents of a sample, or of a parameter. */
function shapeOf(value: unknown, path: Path, least: number): Shape {
  const list = listOf(value, path, MOST_AXES - 1, least);
  if (!list.every((extent) => isCount(extent, MAX_EXTENT)) || sizeOf(list as Shape) > MOST_FLOATS)
    throw fault(
      path,
      `is ${brief(value)}; expected positive whole numbers whose product is at most ${MOST_FLOATS}`,
    );
  return list as Shape;
}

export function checkVersion(version: unknown, path: Path): void {
  if (version !== GRAPH_VERSION)
    throw fault([...path, 'version'], `is ${brief(version)}; this version of Kasane knows ${GRAPH_VERSION}`);
}

/**
 * A layer's graph, checked, and tried with several numbers of samples, while training and not.
 * @throws ModelError with the path of what is wrong
 */
export function checkLayerGraph(value: unknown, path: Path): CheckedGraph {
  const given = fieldsOf(value, path, ['version', 'inputs', 'parameters', 'nodes', 'output']);
  checkVersion(given.version, path);
  const inputs = listOf(given.inputs, [...path, 'inputs'], MOST_INPUTS, 1).map((shape, i) =>
    shapeOf(shape, [...path, 'inputs', i], 1),
  );
  const parameters = parametersOf(given.parameters ?? [], [...path, 'parameters']);
  const leaves = inputs.length + parameters.length;
  const nodes = nodesOf(given.nodes, [...path, 'nodes'], leaves);
  checkStatistics(nodes, inputs.length, parameters, path);
  const output = placeOfValue(given.output, [...path, 'output'], leaves + nodes.length);
  const shapes = tryOut(path, nodes, inputs.length, (samples) => [
    ...inputs.map((shape, i) => input(`input${i}`, [samples, ...shape])),
    ...parameters.map(({ name, shape }) => parameter(name, shape)),
  ]).map(({ values, samples }) => sampleShape(values[output]!, samples, [...path, 'output']));
  const outputShape = shapes[0]!;
  if (outputShape.length === 0)
    throw fault(
      [...path, 'output'],
      'gives one number for each sample; expected [samples, ...] with at least one more axis',
    );
  return { inputs, parameters, nodes, output, outputShape };
}

/** @throws ModelError where a value is not one of f32 numbers for each sample */
function sampleShape({ shape, dtype }: Node, samples: number, path: Path): Shape {
  if (dtype === 'f32' && shape[0] === samples) return shape.slice(1);
  throw fault(
    path,
    `is ${dtype} ${formatShape(shape)} of ${samples} samples; expected f32 whose first axis is the samples`,
  );
}

/** All values of a graph, for a number of samples. */
export interface Tried {
  readonly samples: number;
  readonly values: readonly Node[];
}

/** The values for each number of samples that is tried, while training and not. */
export function tryOut(
  path: Path,
  nodes: readonly CheckedNode[],
  inputs: number,
  leavesFor: (samples: number) => readonly Node[],
): Tried[] {
  try {
    return [true, false].flatMap((training) => {
      const tried = TRIED.map((samples): Tried => {
        const leaves = leavesFor(samples);
        const random = { sampleIds: input('ids', [samples], 'i32'), key: input('key', [4], 'i32') };
        const into = {
          samples,
          inputs,
          index: 0,
          random: training ? random : undefined,
          report: () => {},
          isTrial: true,
        };
        return { samples, values: expand(nodes, leaves, into) };
      });
      const leaves = tried[0]!.values.length - nodes.length;
      checkSize(tried[0]!, leaves);
      checkExtents(tried, leaves);
      return tried;
    });
  } catch (cause) {
    if (!(cause instanceof LayerError)) throw cause;
    const at = cause instanceof GraphError ? [...path, 'nodes', cause.index] : path;
    throw new ModelError(at, fault(path, cause.message).message, { cause });
  }
}

/** Each is constant, or a multiple of the samples. */
function checkExtents(tried: readonly Tried[], leaves: number): void {
  const [first] = tried;
  for (const [at, { op, shape }] of first!.values.entries())
    for (const [axis, extent] of shape.entries()) {
      const extents = tried.map(({ values }) => values[at]!.shape[axis]);
      const isMultiple = extents.every((other, i) => other === (extent / TRIED[0]) * TRIED[i]!);
      if (isMultiple || extents.every((other) => other === extent)) continue;
      throw new GraphError(
        at - leaves,
        op,
        `axis ${axis} has ${extents.join(', ')} elements for ${TRIED.join(', ')} samples; expected a constant or a multiple of the samples`,
      );
    }
}

/** What it would take, for each sample. */
function checkSize({ values, samples }: Tried, leaves: number): void {
  let [floats, flops] = [0, 0];
  for (const [at, node] of values.entries()) {
    const size = sizeOf(node.shape);
    if (size > MOST_FLOATS * samples)
      throw new GraphError(
        at - leaves,
        node.op,
        `gives ${formatShape(node.shape)}; at most ${MOST_FLOATS} numbers a sample are allowed`,
      );
    floats += size;
    flops += flopsOf(node);
  }
  if (floats > MOST_FLOATS_OF_GRAPH * samples)
    throw new LayerError(
      `its values have ${floats / samples} numbers a sample; at most ${MOST_FLOATS_OF_GRAPH} are allowed`,
    );
  if (flops > MOST_FLOPS * samples)
    throw new LayerError(
      `it takes ${flops / samples} floating-point operations a sample; at most ${MOST_FLOPS} are allowed`,
    );
}

function parametersOf(value: unknown, path: Path): readonly ParameterPlan[] {
  const names = new Set<string>();
  return listOf(value, path, MOST_GRAPH_PARAMETERS).map((each, i) => {
    const at = [...path, i];
    const given = fieldsOf(each, at, ['name', 'shape', 'initializer', 'statistic']);
    const { name } = given;
    if (!isName(name)) throw fault([...at, 'name'], `is ${brief(name)}; expected ${NAME_FORM}`);
    if (names.has(name)) throw fault([...at, 'name'], `'${name}' is the name of another parameter`);
    names.add(name);
    const shape = shapeOf(given.shape, [...at, 'shape'], 0);
    const initializer = initializerOf(given.initializer, shape, [...at, 'initializer']);
    if (given.statistic === undefined) return { name, shape, initializer };
    const { rate } = fieldsOf(given.statistic, [...at, 'statistic'], ['rate']);
    if (!(typeof rate === 'number' && rate >= 0 && rate <= 1))
      throw fault([...at, 'statistic', 'rate'], `is ${brief(rate)}; expected a number from 0 to 1`);
    return { name, shape, initializer, statistic: { rate } };
  });
}

/** Numbers that go into an initializer, by its kind. */
const initializerKeys: Readonly<Record<Initializer['kind'], readonly string[]>> = {
  zeros: [],
  ones: [],
  constant: ['value'],
  uniform: ['bound'],
  normal: ['std'],
  orthogonal: ['columns'],
};

function initializerOf(value: unknown, shape: Shape, path: Path): Initializer {
  const { kind } = fieldsOf(value, path, ['kind', 'value', 'bound', 'std', 'columns']);
  const keys =
    typeof kind === 'string' && Object.hasOwn(initializerKeys, kind)
      ? initializerKeys[kind as Initializer['kind']]
      : undefined;
  if (!keys)
    throw fault([...path, 'kind'], `is ${brief(kind)}; expected ${Object.keys(initializerKeys).join(', ')}`);
  const given = fieldsOf(value, path, ['kind', ...keys]);
  for (const key of keys) {
    const number = given[key];
    const least = key === 'value' ? -3e38 : 0;
    if (key !== 'columns' && !(typeof number === 'number' && number >= least && number <= 3e38))
      throw fault(
        [...path, key],
        `is ${brief(number)}; expected a float32 number${least === 0 ? ', not negative' : ''}`,
      );
  }
  if (kind === 'orthogonal') {
    const { columns = shape[1] } = given;
    const [rows = 0, all = 0] = shape;
    // Each column is made orthogonal to those before it.
    if (shape.length !== 2 || !isCount(columns, rows) || rows * all * Math.min(columns, all) > 2 ** 31)
      throw fault(
        path,
        `takes a matrix of at most as many columns in a block as rows, with rows x columns x columns of a block up to ${2 ** 31}; got ${formatShape(shape)} and columns ${brief(columns)}`,
      );
  }
  return given as unknown as Initializer;
}

/** @param leaves how many values there are before the nodes */
export function nodesOf(value: unknown, path: Path, leaves: number): CheckedNode[] {
  return listOf(value, path, MOST_NODES).map((each, index): CheckedNode => {
    const at = [...path, index];
    const [op, ...rest] = listOf(each, at, MOST_INPUTS + 2, 1);
    if (typeof op !== 'string')
      throw fault(at, `begins with ${brief(op)}; expected the name of an operation`);
    const last = rest.at(-1);
    const stated = typeof last === 'object' && last !== null;
    const inputs = (stated ? rest.slice(0, -1) : rest).map((from) => placeOfValue(from, at, leaves + index));
    try {
      const attributes = checkAttributes(op, stated ? last : {});
      checkStream(op, attributes);
      return { op, inputs, attributes };
    } catch (cause) {
      if (!(cause instanceof LayerError)) throw cause;
      throw fault(at, `(${op.slice(0, 64)}) ${cause.message}`, cause);
    }
  });
}

function checkStream(op: string, attributes: CheckedNode['attributes']): void {
  if (op !== 'dropout' && op !== 'normal') return;
  const { stream } = attributes(1);
  const width = op === 'normal' ? NORMAL_STREAMS : 1;
  if (!isStream(stream) || !isStream((stream as number) + width - 1))
    throw new LayerError(`stream is ${brief(stream)}; expected fewer streams`);
}

/** @param before how many values there are before it */
export function placeOfValue(value: unknown, path: Path, before: number): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < before) return value as number;
  throw fault(
    path,
    `takes the value ${brief(value)}; expected the number of an earlier one, 0 to ${before - 1}`,
  );
}

/** A statistic is reported once, and is nothing else's parameter. */
function checkStatistics(
  nodes: readonly CheckedNode[],
  inputs: number,
  parameters: readonly ParameterPlan[],
  path: Path,
): void {
  const reported = new Set<number>();
  for (const [index, node] of nodes.entries()) {
    if (node.op !== 'statistic') continue;
    const at = (node.inputs[1] ?? -1) - inputs;
    if (!parameters[at]?.statistic || reported.has(at))
      throw fault(
        [...path, 'nodes', index],
        '(statistic) takes a value and a parameter with a statistic that no other node reports',
      );
    reported.add(at);
  }
  const missing = parameters.findIndex(
    ({ statistic }, i) => statistic && statistic.rate > 0 && !reported.has(i),
  );
  if (missing >= 0) throw fault([...path, 'parameters', missing], 'has a statistic that no node reports');
}
