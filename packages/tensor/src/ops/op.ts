/**
 * What the declaration of an operation is, and the one function that makes nodes of it. The operations themselves are
 * in the files beside this one and listed in `index.ts`; how they are computed belongs to `backends/`.
 */
import { type Attributes, type DType, makeNode, type Node } from '../graph.ts';
import { formatShape, type Shape } from '../shape.ts';

/** What a node of the operation will be. */
export interface Signature {
  readonly shape: Shape;
  readonly dtype: DType;
}

/**
 * Gradients of the inputs, one an input, from the node and the gradient of its output; null: none flows there.
 * Written with ordinary operations, so that every backend and second derivatives come with it. An operation that
 * broadcasts returns gradients of its output's shape: `autodiff.ts` sums them back.
 */
export type GradientRule = (node: Node, upstream: Node) => readonly (Node | null)[];

/** The operation counts as a constant in every gradient, for the reason given. */
export interface NoGradient {
  readonly none: string;
}

/** An example of use: the suites of all backends make graphs and gradients of these. */
export interface OpCase<A extends Attributes = Attributes> {
  readonly label: string;
  readonly inputs: readonly CaseInput[];
  readonly attributes: A;
}

export interface CaseInput {
  readonly shape: Shape;
  /** Default f32. */
  readonly dtype?: DType;
  /** Values are drawn uniformly from [from, to). Default [-2, 2). */
  readonly domain?: readonly [from: number, to: number];
  /** Only whole numbers of the domain, so that values repeat. i32 inputs are whole anyway. */
  readonly whole?: boolean;
  /** Or exactly these. */
  readonly values?: readonly number[];
}

export interface Op<A extends Attributes = Attributes> {
  readonly name: string;
  /** Checks inputs and attributes and says what comes out. Throws OpError through `fail`. */
  readonly signature: (inputs: readonly Node[], attributes: A) => Signature;
  readonly gradient: GradientRule | NoGradient;
  /** True: inputs are stretched to the output's shape, and gradients come back in that shape. */
  readonly broadcasts?: boolean;
  readonly cases: readonly OpCase<A>[];
}

/** Inputs or attributes that an operation cannot take. */
export class OpError extends Error {
  override readonly name = 'OpError';
}

/** Makes a node after the operation's own checks. */
export function apply<A extends Attributes>(op: Op<A>, inputs: readonly Node[], attributes: A): Node {
  const { shape, dtype } = op.signature(inputs, attributes);
  return makeNode(op.name, inputs, attributes, shape, dtype);
}

/** The attributes of a node of this operation, with their types. */
export function attributesOf<A extends Attributes>(op: Op<A>, node: Node): A {
  if (node.op !== op.name) throw new OpError(`node ${node.id} is '${node.op}', not '${op.name}'`);
  return node.attributes as A;
}

/** Throws an OpError that names the operation, what came and what was expected. */
export function fail(op: string, inputs: readonly Node[], expected: string): never {
  const came = inputs.map((node) => `${node.dtype} ${formatShape(node.shape)}`).join(' and ') || 'no inputs';
  throw new OpError(`${op}: got ${came}; ${expected}`);
}

/** Checks number and types of the inputs. */
export function expectInputs(op: string, inputs: readonly Node[], dtypes: readonly DType[]): void {
  if (inputs.length !== dtypes.length || inputs.some((node, i) => node.dtype !== dtypes[i])) {
    fail(
      op,
      inputs,
      `expected ${dtypes.length} input${dtypes.length === 1 ? '' : 's'}: ${dtypes.join(', ')}`,
    );
  }
}
