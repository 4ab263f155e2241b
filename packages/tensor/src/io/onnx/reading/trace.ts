/** A file's graph as layers of a model, for one number of samples: what a program would have made, made of the nodes of a file. */
import type { Node } from '../../../graph.ts';
import { xavierUniform } from '../../../nn/initializers.ts';
import { type Initializer, LayerError, type LayerPlan } from '../../../nn/layer.ts';
import type { Traced } from '../../../nn/traced/describe.ts';
import { layerNode, planOf, Tracer } from '../../../nn/traced/tracer.ts';
import { constant, input as inputLeaf, iota } from '../../../ops/leaf.ts';
import { reshape } from '../../../ops/movement.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../../../shape.ts';
import type { GivenLayer, Home } from './context.ts';
import type { FileNode, OnnxContent } from './file.ts';
import { asName, type ImportPlan } from './plan.ts';
import { type Budget, translateNode } from './translate.ts';
import { computed, image, type Known, plainNode, UnsupportedError, type Value } from './values.ts';

/** From so many on, layers are only those that have weights. */
const FEW_LAYERS = 700;
const MOST_LAYERS = 990;
/** Largest float32: what is infinite in a table of the file, such as a mask, is this, as weights must be finite. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** The layers of a file, and the numbers of their parameters. */
export interface FileTrace {
  readonly traced: Traced;
  /** By full names. */
  readonly numbers: ReadonlyMap<string, Known>;
}

class Trace implements Home {
  readonly samples: number;
  readonly isSingle: boolean;
  readonly tracer: Tracer;
  readonly #plan: ImportPlan;
  readonly #trained = new Map<Known, Node>();
  readonly numbers = new Map<Node, Known>();
  readonly #names = new Set<string>();
  #place = '';
  #node: FileNode | undefined;
  /** Of layers that there are, by full names. */
  readonly given = new Map<string, Known>();
  readonly #taken = new Map<string, number>();

  constructor(plan: ImportPlan, samples: number) {
    this.#plan = plan;
    this.samples = samples;
    this.isSingle = plan.isSingle;
    this.tracer = new Tracer(samples);
  }

  /** Parameters that are made from now on belong to that node. */
  begin(node: FileNode, index: number): void {
    this.#node = node;
    this.#place = `${node.op} ${index}`;
    this.#taken.clear();
  }

  lift(value: Known, role: string, trained: boolean): Node {
    const isSame = isUniform(value);
    const rounded = value.type === 'int' && value.numbers.find((each) => Math.fround(each) !== each);
    if (rounded)
      throw new UnsupportedError(
        `computes with the whole number ${rounded}, which float32 does not have; it would be ${Math.fround(rounded)}`,
      );
    // What is neither trained nor more than one number is no parameter.
    if (isSame && (!trained || value.shape.length === 0)) return constant(value.numbers[0]!, value.shape);
    const counted = trained ? -1 : axisCounted(value);
    if (counted >= 0) return iota(value.shape, counted);
    // Exporters keep equal tensors once, such as biases that are all 0, which are not meant to be the same for ever.
    const isTied = trained && !isSame;
    const made =
      (isTied && this.#trained.get(value)) || this.#parameter(value, role, trained ? undefined : 0);
    if (isTied) this.#trained.set(value, made);
    return made;
  }

  statistic(value: Known, role: string, ofBatch: Node, rate: number): Node {
    const followed = this.#parameter(value, role, rate);
    return layerNode('statistic', [ofBatch, followed], {}, value.shape);
  }

  dropout(x: Node, rate: number): Node {
    return layerNode('dropout', [x], { rate }, x.shape);
  }

  whenTraining(training: Node, otherwise: Node): Node {
    return layerNode('phase', [training, otherwise], {}, training.shape);
  }

  layer({ type, options, weights }: GivenLayer, x: Node): Node | undefined {
    const known = Object.entries(weights).filter((entry): entry is [string, Known] => entry[1] !== undefined);
    const isShared = known.some(([, value]) => this.usesOf(value.initializer ?? '') > 1 && !isUniform(value));
    const isPossible = this.isLayer(x) && this.tracer.layers.length < MOST_LAYERS && !isShared;
    const plan = isPossible ? planIfAny(type, options, x.shape.slice(1)) : undefined;
    if (plan?.parameters.length !== known.length) return undefined;
    const fits = plan.parameters.every(({ name, shape }) => {
      const own = weights[name];
      return own && sameShape(own.shape, shape) && !own.numbers.some(Number.isNaN);
    });
    if (!fits) return undefined;
    const from =
      this.tracer.nameOf(x) ??
      this.tracer.sourceOf(x, this.free(`values${this.tracer.ordinal(' values')}`), 'values');
    const name = this.nameFor(this.#node!, type);
    this.tracer.addLayer({ name, from: [from], given: { type, ...options } });
    for (const [part, value] of known) this.given.set(`${name}.${part}`, value);
    const output = inputLeaf(name, [this.samples, ...plan.outputShape]);
    this.tracer.stand(output, name);
    return output;
  }

  #parameter(value: Known, role: string, rate: number | undefined): Node {
    if (value.numbers.some(Number.isNaN))
      throw new UnsupportedError(`${value.initializer ?? `its ${role}`} has numbers that are NaN`);
    const { initializer = '' } = value;
    // Exporters make names up for what they compute: onnx::Conv_193.
    const wish = (!initializer.includes('::') && asName(initializer.split(/[./]/).at(-1)!)) || role;
    const before = this.#taken.get(wish) ?? 0;
    this.#taken.set(wish, before + 1);
    const name = before === 0 ? wish : `${wish}-${before + 1}`;
    const made = this.tracer.makeParameter(
      this.#place,
      name,
      value.shape,
      initializerOf(value.shape, role),
      rate,
    );
    this.numbers.set(made, value);
    return made;
  }

  /** A value becomes the output of a layer, where it can be one. */
  cut(value: Value, node: FileNode): void {
    if (value.kind === 'known' || !this.isLayer(value.node)) return;
    if (this.tracer.nameOf(value.node) !== undefined || this.tracer.layers.length >= MOST_LAYERS) return;
    const type = asName(node.op) ?? 'Operation';
    this.tracer.sourceOf(value.node, this.nameFor(node, type), type);
  }

  isLayer({ dtype, shape }: Node): boolean {
    return dtype === 'f32' && shape.length >= 2 && shape[0] === this.samples;
  }

  /** After the weights of a node, or after its own name where it is a path; else after its operation. */
  nameFor(node: FileNode, type: string): string {
    const owners = node.inputs.map((name) => /^(.+)[./][^./]+$/.exec(name)?.[1]);
    const weights = owners.find(
      (owner, i) => owner && this.#weights.has(node.inputs[i]!) && !owner.includes('::'),
    );
    const path = this.isWeighted(node) ? pathOf(node.name) : undefined;
    const wish = asName(weights ?? path ?? '');
    if (wish === undefined || wish === 'input') return this.free(`${type}${this.tracer.ordinal(` ${type}`)}`);
    return this.free(wish);
  }

  free(wish: string): string {
    let name = wish;
    for (let number = 2; this.#names.has(name); number++) name = `${wish}-${number}`;
    this.#names.add(name);
    return name;
  }

  /** Names of initializers that are trained wherever they are used. */
  #weights: ReadonlySet<string> = new Set();

  knowWeights(weights: ReadonlySet<string>): void {
    this.#weights = weights;
  }

  isWeighted = (node: FileNode): boolean => node.inputs.some((name) => this.#weights.has(name));

  usesOf = (name: string): number => this.#plan.uses.get(name) ?? 0;
}

const isUniform = ({ numbers }: Known): boolean =>
  numbers.length > 0 && numbers.every((each) => Object.is(each, numbers[0]));

/** What a layer would be; undefined: these options are none. */
function planIfAny(type: GivenLayer['type'], options: object, shape: Shape): LayerPlan | undefined {
  try {
    return planOf(type, options, [shape]);
  } catch (error) {
    if (error instanceof LayerError) return undefined;
    throw error;
  }
}

/** The axis along which numbers count 0, 1, 2 ..., the same whatever the other axes are; below 0: none. */
function axisCounted({ shape, numbers }: Known): number {
  return shape.findIndex((extent, axis) => {
    const apart = sizeOf(shape.slice(axis + 1));
    return extent > 1 && numbers.every((each, i) => each === Math.floor(i / apart) % extent);
  });
}

/** Of a module's path, as PyTorch writes it (/layer1/layer1.0/conv1/Conv): layer1.0.conv1. */
function pathOf(name: string): string | undefined {
  const parts = name.split('/').filter((part) => part !== '');
  const modules = parts.slice(0, -1).filter((part, i) => !parts[i + 1]!.startsWith(`${part}.`));
  return modules.length > 0 ? modules.join('.') : undefined;
}

/** What a parameter would begin with, were there no file. */
function initializerOf(shape: Shape, role: string): Initializer {
  if (/^(scale|runningVariance)/.test(role)) return { kind: 'ones' };
  const fanOut = shape.at(-1) ?? 1;
  return shape.length < 2 ? { kind: 'zeros' } : xavierUniform(sizeOf(shape) / fanOut, fanOut);
}

/** @throws OnnxNodeError and others of `translate.ts`; ModelError and LayerError where no layers can be made of it */
export function traceFile(
  content: OnnxContent,
  plan: ImportPlan,
  initializers: ReadonlyMap<string, Known>,
  samples: number,
  budget: Budget,
  asClasses: boolean,
): FileTrace {
  const trace = new Trace(plan, samples);
  const { tracer } = trace;
  trace.knowWeights(
    new Set(
      [...initializers].flatMap(([name, { type, shape }]) =>
        type === 'float' && shape.length > 0 ? [name] : [],
      ),
    ),
  );
  const values = new Map<string, Value>(initializers);
  const shapes = feedInputs(trace, plan, values);
  const consumers = consumersOf(plan);
  for (const { node, index } of plan.nodes) {
    trace.begin(node, index);
    const inputs = node.inputs.map((name) => (name === '' ? undefined : found(values, name, node)));
    const outputs = translateNode(node, index, inputs, { opset: content.opset, home: trace, budget });
    for (const [i, name] of node.outputs.entries()) {
      const value = outputs[i];
      if (name === '' || !value) continue;
      values.set(name, value);
      if (isCut(trace, node, name, consumers.get(name))) trace.cut(value, node);
    }
  }
  const output = outputNode(found(values, plan.output), trace, plan.output);
  const given = tracer.sourceOf(output, trace.free('output'), 'output');
  const last = tracer.isRead(given) ? tracer.passOn(output, trace.free('output')) : given;
  tracer.checkParameters();
  const shape = output.shape.slice(1);
  const numbers = new Map([
    ...[...trace.numbers].flatMap(([node, value]) =>
      tracer.namesOf(node).map((name) => [name, value] as const),
    ),
    ...trace.given,
  ]);
  const isClassifier = asClasses && shape.length === 1 && shape[0]! > 1;
  return {
    numbers,
    traced: {
      ...(shapes && { input: [...shapes] }),
      ...(isClassifier ? { classes: shape[0]! } : { output: shape }),
      layers: tracer.layers,
      last,
    },
  };
}

/** @returns the shape of a sample that is whole */
function feedInputs(trace: Trace, { inputs }: ImportPlan, values: Map<string, Value>): Shape | undefined {
  const { tracer, samples } = trace;
  let whole: Shape | undefined;
  for (const { port, name, type, shape, isImage } of inputs) {
    const [channels, ...rest] = shape;
    const own = isImage ? [...rest, channels!] : shape.length === 0 ? [1] : [...shape];
    const leaf = inputLeaf(name, [samples, ...own]);
    if (inputs.length === 1) {
      whole = own;
      tracer.stand(leaf, 'input');
    } else {
      tracer.addLayer({ name: trace.free(name), from: [], given: { type: 'input', shape: own } });
      tracer.stand(leaf, name);
    }
    const node = shape.length === 0 ? reshape(leaf, [samples]) : leaf;
    values.set(port, isImage ? image(node, type) : computed(node, type));
  }
  return whole;
}

function found(values: ReadonlyMap<string, Value>, name: string, node?: FileNode): Value {
  const value = values.get(name);
  if (value) return value;
  throw new UnsupportedError(
    `${node ? `${node.op.slice(0, 64)} takes ${name.slice(0, 100)}` : `the output ${name.slice(0, 100)}`}, which is a further output of an operation of which only the first is supported`,
  );
}

/** The only node that takes a value; undefined: there are several, or none. */
function consumersOf({ nodes }: ImportPlan): Map<string, FileNode> {
  const found = new Map<string, FileNode>();
  for (const { node } of nodes) for (const name of node.inputs) found.set(name, node);
  return found;
}

/**
 * Layers end where weights are, where several nodes take a value, and before the next weights: so each has a name that says something,
 * and nothing is computed twice.
 */
function isCut(trace: Trace, node: FileNode, name: string, next: FileNode | undefined): boolean {
  const uses = trace.usesOf(name);
  if (uses === 0) return false;
  if (uses > 1) return true;
  const isFew = trace.tracer.layers.length < FEW_LAYERS;
  // A product and the bias that is added to it belong together.
  const isProduct = node.op === 'MatMul' && next?.op === 'Add' && trace.isWeighted(next);
  if (isProduct) return false;
  return trace.isWeighted(node) || (isFew && next !== undefined && trace.isWeighted(next));
}

/** What the model gives: [samples, ...] with at least one more axis. */
function outputNode(value: Value, { samples }: Trace, name: string): Node {
  if (value.kind === 'known') throw new UnsupportedError(`the output ${name} does not depend on the inputs`);
  const node = value.isImage ? value.node : plainNode(value);
  if (node.shape[0] !== samples || node.dtype !== 'f32')
    throw new UnsupportedError(
      `the output ${name} is ${formatShape(node.shape)} for ${samples} samples; expected one value for each sample along the first axis`,
    );
  return node.shape.length === 1 ? reshape(node, [samples, 1]) : node;
}

/** A number of a table as float32. */
export const finite = (value: number): number => Math.min(LARGEST, Math.max(-LARGEST, value));
