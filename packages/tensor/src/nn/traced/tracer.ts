/** One run of a program that builds a model: it calls operations as layers do, and what they make becomes the layers of a description. */
import { makeNode, type Node } from '../../graph.ts';
import { parameter } from '../../ops/leaf.ts';
import { formatShape, type Shape, sameShape } from '../../shape.ts';
import { type LayerTypeName, layerNamed } from '../index.ts';
import type { Initializer, LayerPlan } from '../layer.ts';
import { LayerError } from '../layer.ts';
import { ModelError } from '../model-error.ts';
import { checkOptions } from '../options.ts';
import { type EncodedNodes, encodeNodes } from './encode.ts';
import { GRAPH_VERSION, type GraphParameter, type LayerGraph } from './format.ts';

/** A layer as it was traced: its options, or the graph that a program made. */
export interface TracedLayer {
  readonly name: string;
  readonly from: readonly string[];
  /** Of a layer that there is, as a job file writes it. */
  readonly given?: { readonly type: string } & Readonly<Record<string, unknown>>;
  /** Of a layer of the model's own, whose type will be called like that. */
  readonly own?: {
    readonly type: string;
    readonly graph: LayerGraph;
    readonly tied: Readonly<Record<string, string>>;
  };
}

interface Parameter extends GraphParameter {
  /** Name of the scope that made it. */
  readonly scope: string;
}

export class Tracer {
  readonly samples: number;
  readonly layers: TracedLayer[] = [];
  /** Names of layers, and of inputs, by what stands for their outputs. */
  readonly #sources = new Map<Node, string>();
  readonly #parameters = new Map<Node, Parameter>();
  /** Full names of parameters, once a layer has them. */
  readonly #owners = new Map<Node, string>();
  /** The same of all layers that have one of their own. */
  readonly #copies = new Map<Node, string[]>();
  /** Layers of nodes that can be part of one only. */
  readonly #claimed = new Map<Node, string>();
  readonly #ordinals = new Map<string, number>();

  constructor(samples: number) {
    this.samples = samples;
  }

  /** The next of this kind: 1, 2, ... */
  ordinal(kind: string): number {
    const next = (this.#ordinals.get(kind) ?? 0) + 1;
    this.#ordinals.set(kind, next);
    return next;
  }

  stand(node: Node, name: string): void {
    this.#sources.set(node, name);
  }

  nameOf(node: Node): string | undefined {
    return this.#sources.get(node);
  }

  addLayer(layer: TracedLayer): void {
    if (layer.name === 'input' || this.layers.some(({ name }) => name === layer.name))
      throw new ModelError(
        [],
        `layer ${layer.name}: the name is taken; give each layer and scope a name of its own`,
      );
    this.layers.push(layer);
  }

  makeParameter(scope: string, name: string, shape: Shape, initializer: Initializer, rate?: number): Node {
    for (const other of this.#parameters.values())
      if (other.scope === scope && other.name === name)
        throw new ModelError([], `${scope || 'the model'}: there is a parameter '${name}' already`);
    const node = parameter(name, shape);
    const statistic = rate !== undefined && { statistic: { rate } };
    this.#parameters.set(node, { scope, name, shape: [...shape], initializer, ...statistic });
    return node;
  }

  /** The parameter that a scope has made. @throws ModelError when there is none of this shape */
  madeParameter(scope: string, name: string, shape: Shape): Node {
    for (const [node, made] of this.#parameters)
      if (made.scope === scope && made.name === name && sameShape(made.shape, shape)) return node;
    throw new ModelError(
      [],
      `${scope}: used again, it has a parameter '${name}' ${formatShape(shape)}, which it did not have at first`,
    );
  }

  /** The name of the layer that gives a value. What is no layer's output yet becomes a layer of this name. */
  sourceOf(node: Node, name: string, type: string): string {
    const known = this.#sources.get(node);
    if (known !== undefined) return known;
    try {
      this.#makeLayer(node, name, type);
    } catch (cause) {
      if (!(cause instanceof LayerError)) throw cause;
      throw new ModelError([], `layer ${name}: ${cause.message}`, { cause });
    }
    this.#sources.set(node, name);
    return name;
  }

  #makeLayer(node: Node, name: string, type: string): void {
    if (node.dtype !== 'f32' || node.shape[0] !== this.samples || node.shape.length < 2)
      throw new LayerError(
        `gives ${node.dtype} ${formatShape(node.shape)} for ${this.samples} samples; expected f32 [samples, ...] with at least two axes`,
      );
    // The samples are counted by an input: it takes one, though it may not need it.
    const [any] = this.#sources.keys();
    const { inputs, parameters, nodes, once, numberOf } = encodeNodes(
      [node],
      this.#sources,
      (each) => this.#parameters.has(each),
      (taken) => (taken.length > 0 ? taken : [any!]),
    );
    this.claim(once, name);
    const tied: Record<string, string> = {};
    const own = parameters.map((each, i): GraphParameter => {
      const { scope: _, name: plain, ...plan } = this.#parameters.get(each)!;
      const owner = this.#owners.get(each);
      const clash = parameters.findIndex((other) => this.#parameters.get(other)!.name === plain) < i;
      const unique = clash ? `${plain}${i}` : plain;
      // What nothing changes each layer has for itself.
      if (owner === undefined || plan.statistic?.rate === 0) {
        this.#owners.set(each, `${name}.${unique}`);
        this.#copies.set(each, [...(this.#copies.get(each) ?? []), `${name}.${unique}`]);
      } else tied[unique] = owner;
      return { name: unique, ...plan };
    });
    const graph: LayerGraph = {
      version: GRAPH_VERSION,
      inputs: inputs.map(({ shape }) => shape.slice(1)),
      ...(own.length > 0 && { parameters: own }),
      nodes,
      output: numberOf(node),
    };
    const from = inputs.map((each) => this.#sources.get(each)!);
    this.addLayer({ name, from, own: { type, graph, tied } });
  }

  /** Full names under which layers have a parameter. */
  namesOf(parameter: Node): readonly string[] {
    return this.#copies.get(parameter) ?? [];
  }

  /** Whether no layer of that name could be the last. */
  isRead(name: string): boolean {
    return name === 'input' || this.layers.some(({ from }) => from.includes(name));
  }

  /** A layer that gives what another one gives. */
  passOn(node: Node, name: string): string {
    const graph: LayerGraph = { version: GRAPH_VERSION, inputs: [node.shape.slice(1)], nodes: [], output: 0 };
    this.addLayer({ name, from: [this.#sources.get(node)!], own: { type: name, graph, tied: {} } });
    return name;
  }

  /** @throws LayerError where another layer computes one of them */
  claim(once: readonly Node[], name: string): void {
    for (const node of once) {
      const other = this.#claimed.get(node);
      if (other !== undefined)
        throw new LayerError(
          `uses a value of layer ${other} before its end, with ${node.op} in it: return that value from a scope of its own`,
        );
      this.#claimed.set(node, name);
    }
  }

  /** The sources of a loss are layers' outputs, `otherwise` where it takes none, and then the target; it has no parameters. */
  encodeLoss(outputs: readonly Node[], target: Node, otherwise: Node): EncodedNodes {
    const outside = { has: (node: Node) => node === target || this.#sources.has(node) };
    const isParameter = (node: Node) => {
      if (!this.#parameters.has(node)) return false;
      throw new LayerError(
        'uses a parameter, or a value that no layer gives: return it from build among the outputs, by a name',
      );
    };
    return encodeNodes(outputs, outside, isParameter, (taken) => {
      const sources = taken.filter((node) => node !== target);
      return [...(sources.length > 0 ? sources : [otherwise]), target];
    });
  }

  /** @throws ModelError for a parameter that no layer uses */
  checkParameters(): void {
    for (const [node, { scope, name }] of this.#parameters)
      if (!this.#owners.has(node))
        throw new ModelError(
          [],
          `${scope || 'the model'}: parameter '${name}' is not used by what is returned`,
        );
  }
}

/** Makes a node of what only layers have. */
export const layerNode = (
  op: 'dropout' | 'normal' | 'phase' | 'statistic',
  inputs: readonly Node[],
  attributes: Node['attributes'],
  shape: Shape,
): Node => makeNode(op, inputs, attributes, shape, 'f32');

export function checkAlike(what: string, a: Node, b: Node): void {
  if (sameShape(a.shape, b.shape) && a.dtype === 'f32' && b.dtype === 'f32') return;
  throw new ModelError(
    [],
    `${what}: got ${formatShape(a.shape)} and ${formatShape(b.shape)}; expected one shape`,
  );
}

/** What a layer that there is gives for samples of these shapes, and the parameters that it has. */
export function planOf(type: LayerTypeName, options: object, inputs: readonly Shape[]): LayerPlan {
  const layer = layerNamed(type);
  if (!layer) throw new LayerError(`no layer type '${type}'`);
  const checked = checkOptions(layer.options, { ...options }, ['name']);
  const { least, most } = layer.inputs ?? { least: 1, most: 1 };
  if (inputs.length < least || inputs.length > most)
    throw new LayerError(
      `has ${inputs.length} inputs; expected ${least === most ? least : `${least} to ${most}`}`,
    );
  return layer.plan(inputs[0] ?? [], checked as never, { followedBy: undefined, inputs });
}
