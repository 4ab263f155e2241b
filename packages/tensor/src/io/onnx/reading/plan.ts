/** What of a file is to become a model: the nodes behind one output, the inputs that they take, and where it is cut into layers. */

import { isName } from '../../../nn/options.ts';
import { formatShape, type Shape } from '../../../shape.ts';
import type { FileNode, FilePort, OnnxContent } from './file.ts';
import { imageTranslators } from './images.ts';
import { pointwiseTranslators } from './pointwise.ts';
import { typeOf, UnsupportedError, type ValueType } from './values.ts';
import { OnnxFileError } from './wire.ts';

export interface ImportChoices {
  /** Name of the value that the model gives. Default: the only output. */
  readonly output?: string;
  /** Shapes of a sample of inputs that leave them open, as the file has them: without the batch. By input, or that of the only one. */
  readonly shapes?: Readonly<Record<string, Shape>> | Shape;
  /** True: images keep their channels first. */
  readonly keepsOrder?: boolean;
}

export interface PlannedInput {
  /** In the file. */
  readonly port: string;
  /** Of the layer that it becomes, if there are several. */
  readonly name: string;
  readonly type: ValueType;
  /** Of a sample, as the file has it. */
  readonly shape: Shape;
  /** Its channels come last in the model. */
  readonly isImage: boolean;
}

export interface ImportPlan {
  readonly nodes: readonly { readonly node: FileNode; readonly index: number }[];
  readonly inputs: readonly PlannedInput[];
  readonly output: string;
  /** Names of inputs that the output does not depend on. */
  readonly unused: readonly string[];
  /** How many nodes, and outputs, take a value. */
  readonly uses: ReadonlyMap<string, number>;
  /** True: the file is for one sample at a time. */
  readonly isSingle: boolean;
}

/** @throws UnsupportedError OnnxFileError */
export function planImport(content: OnnxContent, choices: ImportChoices): ImportPlan {
  const makers = new Map<string, number>();
  for (const [index, { outputs }] of content.nodes.entries())
    for (const name of outputs) {
      if (name === '') continue;
      const before = makers.get(name);
      if (before !== undefined || content.initializers.has(name))
        throw new OnnxFileError(
          `node ${index} gives ${JSON.stringify(name.slice(0, 100))}, which ${before === undefined ? 'is an initializer' : `node ${before} gives`} as well: the file is damaged`,
        );
      makers.set(name, index);
    }
  const output = chosenOutput(content, choices.output, makers);
  const needed = new Set<number>();
  const uses = new Map([[output, 1]]);
  const stack = [output];
  while (stack.length > 0) {
    const maker = makers.get(stack.pop()!);
    if (maker === undefined || needed.has(maker)) continue;
    needed.add(maker);
    for (const name of content.nodes[maker]!.inputs) {
      uses.set(name, (uses.get(name) ?? 0) + 1);
      stack.push(name);
    }
  }
  const nodes = [...needed].sort((a, b) => a - b).map((index) => ({ node: content.nodes[index]!, index }));
  checkOrder(nodes, content);
  const used = content.inputs.filter(({ name }) => uses.has(name));
  if (used.length === 0) throw new UnsupportedError(whyWithoutInput(output, nodes));
  const shapes = shapesByName(choices.shapes ?? {}, content.inputs);
  checkShapes(content, shapes);
  const inputs = used.map((port) => plannedInput(port, nodes, used, shapes, choices.keepsOrder ?? false));
  const isSingle = used.every(({ shape }) => shape?.[0] === 1);
  const unused = content.inputs.filter(({ name }) => !uses.has(name)).map(({ name }) => name);
  return { nodes, inputs, output, unused, uses, isSingle };
}

function chosenOutput(
  { outputs, inputs }: OnnxContent,
  wanted: string | undefined,
  makers: ReadonlyMap<string, number>,
): string {
  const names = outputs.map(({ name }) => name);
  const listed = names.slice(0, 20).join(', ') || 'none';
  if (wanted !== undefined) {
    if (makers.has(wanted)) return wanted;
    throw new UnsupportedError(
      `no node has the output ${JSON.stringify(wanted.slice(0, 100))}; the outputs of the file are ${listed}`,
    );
  }
  const [only] = names;
  if (only === undefined) throw new OnnxFileError('the graph has no outputs');
  if (names.length > 1)
    throw new UnsupportedError(
      `the file has ${names.length} outputs, but a model has only one: choose one of ${listed}`,
      'output',
    );
  if (!makers.has(only))
    throw new OnnxFileError(
      inputs.some(({ name }) => name === only)
        ? `the output ${only} is an input`
        : `no node has the output ${only}: the file is damaged`,
    );
  return only;
}

function shapesByName(
  given: NonNullable<ImportChoices['shapes']>,
  inputs: readonly FilePort[],
): Readonly<Record<string, Shape>> {
  if (!isShape(given)) return given;
  const names = inputs.map(({ name }) => name);
  const [only] = names;
  if (only === undefined) throw new OnnxFileError('the graph has no inputs');
  if (names.length > 1)
    throw new UnsupportedError(
      `the file has the inputs ${names.slice(0, 20).join(', ')}: name each`,
      'shapes',
    );
  return { [only]: given };
}

const isShape = (given: NonNullable<ImportChoices['shapes']>): given is Shape => Array.isArray(given);

/** What branches take is read in their own graphs, where nobody looks. */
function whyWithoutInput(output: string, nodes: ImportPlan['nodes']): string {
  const branching = nodes.find(({ node }) => [...node.attributes.values()].includes('graph'));
  if (!branching) return `the output ${output} does not depend on any input`;
  const { name, op } = branching.node;
  const place = name === '' ? branching.index : JSON.stringify(name.slice(0, 200));
  return `${op.slice(0, 64)} (node ${place}): this operation is not supported`;
}

/** Shapes are given to inputs that there are. */
function checkShapes({ inputs }: OnnxContent, shapes: Readonly<Record<string, Shape>>): void {
  const names = inputs.map(({ name }) => name);
  const unknown = Object.keys(shapes).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new UnsupportedError(
      `there is no input ${unknown.slice(0, 100)} to set the shape of; the inputs are ${names.slice(0, 20).join(', ')}`,
    );
}

/** Nodes come after those that they need. */
function checkOrder(nodes: ImportPlan['nodes'], { inputs, initializers }: OnnxContent): void {
  const known = new Set([...inputs.map(({ name }) => name), ...initializers.keys()]);
  for (const { node, index } of nodes) {
    const missing = node.inputs.find((name) => name !== '' && !known.has(name));
    if (missing !== undefined)
      throw new OnnxFileError(
        `node ${index} (${node.op.slice(0, 64)}) takes ${JSON.stringify(missing.slice(0, 100))}, which no earlier node has as an output: the file is damaged`,
      );
    for (const name of node.outputs) known.add(name);
  }
}

function plannedInput(
  port: FilePort,
  nodes: ImportPlan['nodes'],
  all: readonly FilePort[],
  shapes: Readonly<Record<string, Shape>>,
  keepsOrder: boolean,
): PlannedInput {
  const { name } = port;
  if (port.type === undefined) throw new UnsupportedError(`input ${name} is not a tensor`);
  const shape = sampleShape(port, Object.hasOwn(shapes, name) ? shapes[name] : undefined);
  const isImage = !keepsOrder && shape.length >= 2 && isReadAsImage(name, nodes);
  return { port: name, name: layerName(name, all), type: typeOf(port.type), shape, isImage };
}

/** Without the batch, which must be the first axis. */
function sampleShape({ name, shape }: FilePort, given: Shape | undefined): Shape {
  const [batch, ...rest] = shape ?? [undefined];
  if (typeof batch === 'number' && batch !== 1)
    throw new UnsupportedError(
      `input ${name} has a first axis of size ${batch}, but the first axis must be the batch: export the model with a dynamic batch (dynamic_axes), or a batch of 1`,
    );
  if (given) {
    if (
      shape &&
      (given.length !== rest.length || rest.some((own, i) => typeof own === 'number' && own !== given[i]))
    )
      throw new UnsupportedError(
        `input ${name}: the shape ${formatShape(given)} does not match that of the file, ${said(rest)} per sample`,
      );
    return given;
  }
  if (!shape || !rest.every((extent) => typeof extent === 'number'))
    throw new UnsupportedError(
      `input ${name} ${shape ? `has the shape ${said(shape)}` : 'has no shape in the file'}: set the sample shape, without the batch,`,
      'shapes',
    );
  return rest as Shape;
}

const said = (shape: readonly (number | string | undefined)[]): string =>
  `[${shape.map((extent) => (extent === undefined ? '?' : String(extent).slice(0, 40))).join(', ')}]`;

/** Operations that leave the order of axes as it is. */
const passing: ReadonlySet<string> = new Set([
  ...Object.keys(pointwiseTranslators),
  ...['Identity', 'Dropout', 'Cast', 'Pad', 'Slice'],
]);
/** Those that read channels first. */
const spatial: ReadonlySet<string> = new Set([
  ...Object.keys(imageTranslators),
  ...[
    'BatchNormalization',
    'InstanceNormalization',
    'GroupNormalization',
    'LRN',
    'DepthToSpace',
    'SpaceToDepth',
  ],
]);

/** Whether a node that looks at space reads a value, perhaps after its numbers were changed one by one. */
function isReadAsImage(input: string, nodes: ImportPlan['nodes']): boolean {
  const same = new Set([input]);
  for (const { node } of nodes) {
    if (
      !same.has(node.inputs[0] ?? '') &&
      !(passing.has(node.op) && node.inputs.some((name) => same.has(name)))
    )
      continue;
    if (spatial.has(node.op)) return true;
    if (passing.has(node.op)) for (const name of node.outputs) same.add(name);
  }
  return false;
}

/** A name of an input as layers have them, unlike those of other inputs. */
function layerName(name: string, all: readonly FilePort[]): string {
  const wish = asName(name) ?? 'value';
  const own = wish === 'input' ? 'input1' : wish;
  const clash = all.findIndex((other) => other.name === name);
  return all.slice(0, clash).some((other) => (asName(other.name) ?? 'value') === wish)
    ? `${own}-${clash}`
    : own;
}

/** A text as the name of a layer or parameter; undefined: nothing is left of it. */
export function asName(text: string): string | undefined {
  const plain = text
    .replace(/[^A-Za-z0-9_]+/g, '-')
    .replace(/^[^A-Za-z]+|-+$/g, '')
    .slice(0, 56);
  return isName(plain) ? plain : undefined;
}
