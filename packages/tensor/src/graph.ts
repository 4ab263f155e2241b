/**
 * The graph: immutable nodes of primitive operations with static shapes. Nothing here knows a single operation;
 * operations are declared in `ops/`, gradients are graphs too (`autodiff.ts`), execution belongs to `backends/`.
 */
import type { Shape } from './shape.ts';

export type DType = 'f32' | 'i32';

/** What an operation needs beyond its inputs; plain data, compared by value. */
export type Attributes = Readonly<Record<string, string | number | boolean | readonly number[]>>;

export interface Node {
  /** Unique and ascending in order of creation: sorting by id is a topological order. */
  readonly id: number;
  readonly op: string;
  readonly inputs: readonly Node[];
  readonly attributes: Attributes;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly origin: Origin;
}

/** Which part of a model made a node: for profiles, and for what may be stored with less precision. */
export interface Origin {
  /** Name of the layer; empty outside of layers. */
  readonly layer: string;
  /** backward: made by a gradient rule. */
  readonly pass: 'forward' | 'backward';
}

let nextId = 0;
let origin: Origin = { layer: '', pass: 'forward' };

/** Runs `body`; nodes that it makes are of this origin. */
export function withOrigin<T>(part: Partial<Origin>, body: () => T): T {
  const outside = origin;
  origin = { ...outside, ...part };
  try {
    return body();
  } finally {
    origin = outside;
  }
}

/** Makes a node. Only `ops/` calls this: shapes have been checked by the operation's shape rule. */
export function makeNode(
  op: string,
  inputs: readonly Node[],
  attributes: Attributes,
  shape: Shape,
  dtype: DType,
): Node {
  return { id: nextId++, op, inputs, attributes, shape, dtype, origin };
}

/**
 * All nodes that `outputs` need, inputs before their users, in a deterministic order.
 * @param known nodes to leave out, with all that they alone need
 */
export function topologicalOrder(outputs: readonly Node[], known?: ReadonlySet<Node>): Node[] {
  const seen = new Set<Node>();
  const stack = [...outputs];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node) || known?.has(node)) continue;
    seen.add(node);
    stack.push(...node.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
