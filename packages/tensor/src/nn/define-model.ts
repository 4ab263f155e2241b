/**
 * Models as programs: a function of inputs, parameters and operations, run on its author's machine and traced into a description that
 * travels as data. Every operation is called as layers call it.
 */
import type { Node } from '../graph.ts';
import { input as inputLeaf } from '../ops/leaf.ts';
import { OpError } from '../ops/op.ts';
import type { Shape } from '../shape.ts';
import type { LayerOptions } from './builder.ts';
import { type LayerTypeName, layerNamed } from './index.ts';
import { type Initializer, LayerError, type ParameterPlan } from './layer.ts';
import type { ModelDescription } from './model.ts';
import { ModelError } from './model-error.ts';
import { checkDefinition, checkLayerDefinition, namedValues, whatIs } from './traced/check-definition.ts';
import type { Traced } from './traced/describe.ts';
import { describeTraces } from './traced/describe-traces.ts';
import { GRAPH_VERSION, type LossGraph } from './traced/format.ts';
import { TRACED } from './traced/open-samples.ts';
import { checkAlike, layerNode, planOf, Tracer } from './traced/tracer.ts';

/** A custom layer: a function that may be used many times, in models and by name in lists of layers. */
export interface OwnLayer<O extends object = object> {
  /** What it is called: in lists of layers, and on the page. */
  readonly type: string;
  build(m: ModelScope, inputs: readonly Node[], options: O): Node;
}

/** Why a repetition can follow no statistics. */
const noStatistics =
  'what is shared cannot have statistics of batches, since each use has batches of its own; use layerNorm or groupNorm in place of batchNorm';

/** Scopes that are numbered are of one kind: conv1, conv2. */
const kindOf = (name: string): string => name.replace(/[-_]?\d+$/, '') || name;

/** What a statistic of the batches starts with, and how fast it follows them. */
export interface StatisticOptions {
  readonly initial: Initializer;
  /** Part of the way to the batch's value that it moves in a step. Default 0.1. */
  readonly rate?: number;
}

/** Names, parameters and randomness for a part of a model. */
export class ModelScope {
  readonly #tracer: Tracer;
  readonly #name: string;
  /** The scope whose parameters it uses, as it is a repetition of it. */
  readonly #first: string | undefined;

  constructor(tracer: Tracer, name = '', first?: string) {
    this.#tracer = tracer;
    this.#name = name;
    this.#first = first;
  }

  /** A trained tensor. It is named in the layer that uses it first: in scope `gate`, `gate.weight`. */
  parameter(name: string, shape: Shape, initializer: Initializer): Node {
    if (this.#first !== undefined) return this.#tracer.madeParameter(this.#first, name, shape);
    return this.#tracer.makeParameter(this.#name, name, shape, initializer);
  }

  /**
   * While training, the batch's value, which is also what the parameter `name` follows; otherwise that parameter: the mean and variance of
   * batch normalization are two of these.
   */
  statistic(name: string, value: Node, { initial, rate = 0.1 }: StatisticOptions): Node {
    if (this.#first !== undefined) throw new ModelError([], `${this.#first}: ${noStatistics}`);
    const followed = this.#tracer.makeParameter(this.#name, name, value.shape, initial, rate);
    return layerNode('statistic', [value, followed], {}, value.shape);
  }

  /** Dropout while training: numbers are 0 with probability `rate`, the others are multiplied by 1 / (1 - rate). */
  dropout(x: Node, rate: number): Node {
    return layerNode('dropout', [x], { rate }, x.shape);
  }

  /** Normally distributed numbers [samples, ...shape] while training, 0 otherwise. The same on every machine for a sample, epoch and seed. */
  normal(shape: Shape): Node {
    const whole = [this.#tracer.samples, ...shape];
    return layerNode('normal', [], { shape: whole }, whole);
  }

  /** One value while training, another one otherwise. */
  whenTraining(training: Node, otherwise: Node): Node {
    checkAlike('whenTraining', training, otherwise);
    return layerNode('phase', [training, otherwise], {}, training.shape);
  }

  /** A layer that job files have, or a custom one. Returns its output: [samples, ...]. */
  layer<T extends LayerTypeName>(
    type: T,
    options: LayerOptions<T> & { readonly from?: never; readonly tied?: never },
    ...inputs: readonly Node[]
  ): Node;
  layer<O extends object>(
    type: OwnLayer<O>,
    options: O & { readonly name?: string },
    ...inputs: readonly Node[]
  ): Node;
  layer(
    type: string | OwnLayer<never>,
    options: { readonly name?: string },
    ...inputs: readonly Node[]
  ): Node {
    const { name: given, ...stated } = options;
    const kind = typeof type === 'string' ? type : type.type;
    const plain = given ?? `${kind}${this.#tracer.ordinal(`${this.#name} ${kind}`)}`;
    const name = this.#within(plain);
    for (const [i, input] of inputs.entries()) checkNode(input, `layer ${name}: input ${i + 1}`);
    if (typeof type !== 'string')
      return this.#run(plain, kind, (scope) => type.build(scope, inputs, stated as never));
    const from = inputs.map((node) => this.#source(node));
    const { outputShape, parameters } = this.#naming(name, () =>
      planOf(
        type as LayerTypeName,
        options,
        inputs.map((node) => node.shape.slice(1)),
      ),
    );
    const tied = this.#tiesOf(plain, parameters);
    this.#tracer.addLayer({ name, from, given: { type, ...stated, ...tied } });
    const output = inputLeaf(name, [this.#tracer.samples, ...outputShape]);
    this.#tracer.stand(output, name);
    return output;
  }

  /** The name of the layer that gives a value; undefined: none does. */
  nameOf(node: Node): string | undefined {
    return this.#tracer.nameOf(node);
  }

  /** Names a part: what `body` returns is the layer of that name, and layers in it begin with the name and a dash. */
  scope(name: string, body: (scope: ModelScope) => Node): Node {
    return this.#run(name, kindOf(name), body);
  }

  /**
   * A part that is used several times, with the same parameters each time: what is returned calls `body` in a scope of its own, `name`,
   * then `name2` and so on, whose layers have the parameters of those in the first.
   */
  shared(
    name: string,
    body: (scope: ModelScope, ...inputs: readonly Node[]) => Node,
  ): (...inputs: readonly Node[]) => Node {
    let times = 0;
    return (...inputs) => {
      times++;
      const again = times === 1 ? undefined : this.#within(name, this.#first ?? this.#name);
      return this.#run(
        times === 1 ? name : `${name}${times}`,
        kindOf(name),
        (scope) => body(scope, ...inputs),
        again,
      );
    };
  }

  /** @param first the scope whose parameters it uses; default: where this one repeats another, the one of that name there */
  #run(plain: string, type: string, body: (scope: ModelScope) => Node, first = this.#firstOf(plain)): Node {
    const name = this.#within(plain);
    const found = this.#naming(name, () => body(new ModelScope(this.#tracer, name, first)));
    checkNode(found, `scope ${name}: what it returns`);
    this.#tracer.sourceOf(found, name, type);
    return found;
  }

  /** What is computed between layers becomes a layer too. */
  #source(node: Node): string {
    checkNode(node, this.#name || 'the model');
    const known = this.#tracer.nameOf(node);
    if (known !== undefined) return known;
    const name = this.#within(`ops${this.#tracer.ordinal(`${this.#name} ops`)}`);
    return this.#tracer.sourceOf(node, name, 'ops');
  }

  readonly #within = (name: string, scope = this.#name): string => (scope === '' ? name : `${scope}-${name}`);

  /** In a repetition: what the layer or scope of this name is called where it was first. */
  readonly #firstOf = (name: string): string | undefined =>
    this.#first === undefined ? undefined : this.#within(name, this.#first);

  /** In a repetition: the parameters of a layer are those of the layer that it repeats. */
  #tiesOf(plain: string, parameters: readonly ParameterPlan[]): { tied?: Readonly<Record<string, string>> } {
    const first = this.#firstOf(plain);
    if (first === undefined || parameters.length === 0) return {};
    if (parameters.some(({ statistic }) => statistic))
      throw new ModelError([], `layer ${this.#within(plain)}: ${noStatistics}`);
    return { tied: Object.fromEntries(parameters.map(({ name }) => [name, `${first}.${name}`])) };
  }

  #naming<T>(name: string, body: () => T): T {
    try {
      return body();
    } catch (cause) {
      if (cause instanceof LayerError || cause instanceof OpError)
        throw new ModelError([], `layer ${name}: ${cause.message}`, { cause });
      throw cause;
    }
  }
}

/** Values by their names. */
export type Values = Readonly<Record<string, Node>>;

/** A custom loss. Values: `output`, the other outputs that `build` returns, the inputs, and `target`. */
export interface OwnLossDefinition {
  /** What the data has for each sample. */
  readonly target: { readonly dtype: 'f32' | 'i32'; readonly shape: Shape };
  /** One number for each sample: [samples]. */
  of(values: Values, m: ModelScope): Node;
  /** Default: the loss, as an error. */
  readonly metric?: {
    /** accuracy: a fraction of 1, the higher the better. error: the lower the better. */
    readonly kind: 'accuracy' | 'error';
    of(values: Values, m: ModelScope): Node;
  };
}

interface Common {
  /** For a classifier: the number of classes. */
  readonly classes?: number;
  readonly loss?: OwnLossDefinition;
}

/** What is returned: the output, or `output` and others for the loss. */
export type Built = Node | (Values & { readonly output: Node });

/** A model whose samples have one shape. */
export interface WholeDefinition extends Common {
  readonly input: Shape;
  build(m: ModelScope, x: Node): Built;
}

/** A model whose samples have parts, each with a name. */
export interface PartsDefinition extends Common {
  readonly inputs: Readonly<Record<string, Shape>>;
  build(m: ModelScope, inputs: Values): Built;
}

/** Layers as a job file lists them, some of custom types. */
export interface ListDefinition extends Common {
  readonly input: Shape;
  readonly layers: readonly ({ readonly type: string } & Readonly<Record<string, unknown>>)[];
  readonly using?: readonly OwnLayer<never>[];
}

export type ModelDefinition = WholeDefinition | PartsDefinition | ListDefinition;

/** Declares a custom layer; infers the type of its options. */
export function defineLayer<O extends object>(layer: OwnLayer<O>): OwnLayer<O> {
  checkLayerDefinition(layer);
  if (layerNamed(layer.type))
    throw new ModelError([], `there is a layer ${layer.type} already; choose another type`);
  return layer;
}

/**
 * Runs `build` with several numbers of samples and describes what it makes, as a job takes it.
 * @throws ModelError naming the layer, and why it cannot be
 */
export function defineModel(definition: WholeDefinition): ModelDescription;
export function defineModel(definition: PartsDefinition): ModelDescription;
export function defineModel(definition: ListDefinition): ModelDescription;
export function defineModel(definition: ModelDefinition): ModelDescription {
  checkDefinition(definition);
  return describeTraces(TRACED.map((samples) => trace(definition, samples)));
}

function trace(definition: ModelDefinition, samples: number): Traced {
  const tracer = new Tracer(samples);
  const m = new ModelScope(tracer);
  const { classes, loss } = definition;
  const inputs =
    'inputs' in definition ? partsOf(tracer, definition.inputs) : wholeOf(tracer, definition.input);
  const built =
    'layers' in definition
      ? layersOf(m, definition, inputs.input!)
      : 'inputs' in definition
        ? definition.build(m, inputs)
        : definition.build(m, inputs.input!);
  const isNamed = typeof built === 'object' && built !== null && 'output' in built;
  if (!isNamed) checkNode(built, 'what build returns');
  const outputs: Values & { readonly output: Node } = isNode(built) ? { output: built } : built;
  const { output, ...others } = outputs;
  for (const [name, node] of Object.entries(others)) {
    checkNode(node, `${name}, which build returns`);
    tracer.sourceOf(node, name, name);
  }
  checkNode(output, 'output, which build returns');
  const given = tracer.sourceOf(output!, 'output', 'output');
  const described = loss && traceLoss(tracer, m, loss, { ...inputs, ...outputs });
  // The loss may have layers that take the output, too.
  const last = tracer.isRead(given) ? tracer.passOn(output!, 'output') : given;
  tracer.checkParameters();
  return {
    ...('input' in definition && { input: [...definition.input] }),
    ...(classes === undefined ? { output: output!.shape.slice(1) } : { classes }),
    layers: tracer.layers,
    last,
    ...(described && { loss: described }),
  };
}

function wholeOf(tracer: Tracer, shape: Shape): Values {
  const x = inputLeaf('input', [tracer.samples, ...shape]);
  tracer.stand(x, 'input');
  return { input: x };
}

function partsOf(tracer: Tracer, shapes: Readonly<Record<string, Shape>>): Values {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      tracer.addLayer({ name, from: [], given: { type: 'input', shape: [...shape] } });
      const leaf = inputLeaf(name, [tracer.samples, ...shape]);
      tracer.stand(leaf, name);
      return [name, leaf];
    }),
  );
}

/** The output of the last of them. */
function layersOf(m: ModelScope, { layers, using = [] }: ListDefinition, input: Node): Node {
  const made = new Map<string, Node>([['input', input]]);
  let last = input;
  for (const { type, from, ...options } of layers) {
    const names = from === undefined ? [] : [from].flat();
    const inputs = names.length === 0 ? [last] : names.map((name) => made.get(String(name)));
    const missing = inputs.indexOf(undefined);
    if (missing >= 0)
      throw new ModelError([], `${type}: from: no layer '${String(names[missing])}' before this one`);
    const own = using.find((each) => each.type === type);
    last = m.layer((own ?? type) as LayerTypeName, options as never, ...(inputs as Node[]));
    const name = m.nameOf(last);
    if (name !== undefined) made.set(name, last);
  }
  return last;
}

function traceLoss(tracer: Tracer, m: ModelScope, loss: OwnLossDefinition, values: Values): LossGraph {
  const { dtype, shape } = loss.target;
  const target = inputLeaf('target', [tracer.samples, ...shape], dtype);
  const all = namedValues({ ...values, target }, 'loss');
  const ofLoss = loss.of(all, m);
  const ofMetric = loss.metric?.of(all, m);
  checkNode(ofLoss, 'what loss.of returns');
  if (loss.metric) checkNode(ofMetric, 'what loss.metric.of returns');
  try {
    const outputs = [ofLoss, ...(ofMetric ? [ofMetric] : [])];
    const { inputs, nodes, once, numberOf } = tracer.encodeLoss(outputs, target, values.output!);
    tracer.claim(once, 'loss');
    return {
      version: GRAPH_VERSION,
      from: inputs.slice(0, -1).map((node) => tracer.nameOf(node)!),
      target: { dtype, shape: [...shape] },
      nodes,
      loss: numberOf(ofLoss),
      ...(loss.metric && { metric: { kind: loss.metric.kind, value: numberOf(ofMetric!) } }),
    };
  } catch (cause) {
    if (cause instanceof LayerError) throw new ModelError([], `loss: ${cause.message}`, { cause });
    throw cause;
  }
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'op' in value && 'inputs' in value && 'shape' in value;

function checkNode(value: unknown, what: string): asserts value is Node {
  if (isNode(value)) return;
  throw new ModelError([], `${what}: is ${whatIs(value)}; expected the value of an operation or a layer`);
}
