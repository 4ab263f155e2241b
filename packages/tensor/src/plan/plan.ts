/**
 * Makes a plan of a graph: which nodes are computed into memory, in which order, what is fused, where each lies in the
 * arena, and at which points gradients are final. Knows no instruction of any backend.
 */
import { type Node, topologicalOrder } from '../graph.ts';
import { kernelOps, pointwiseNamed, viewOps } from '../ops/index.ts';
import type { Expression } from '../scalar/expression.ts';
import { constant as constantExpression, input as inputExpression } from '../scalar/expression.ts';
import { simplify } from '../scalar/simplify.ts';
import { substitute } from '../scalar/substitute.ts';
import { sizeOf, stridesOf } from '../shape.ts';
import { accessOf, isContiguous, stretch } from './access.ts';

/** A tensor in memory as a kernel reads it; offset and strides in elements, one stride an axis of the kernel's output. */
export interface Operand {
  readonly base: Node;
  readonly offset: number;
  readonly strides: readonly number[];
}

export type PlanStep =
  /** output[e] = expression of the operands' elements. Movement is a step of this kind too. */
  | {
      readonly kind: 'pointwise';
      readonly output: Node;
      readonly expression: Expression;
      readonly operands: readonly Operand[];
    }
  /** An operation with a kernel of its own; its inputs lie row-major without gaps at these bases. */
  | { readonly kind: 'kernel'; readonly output: Node; readonly inputs: readonly Node[] };

export interface Plan {
  readonly steps: readonly PlanStep[];
  /** For each output that was asked for, the node whose memory holds it. */
  readonly outputs: readonly Node[];
}

/** Operands of one fused kernel: each takes a register for its address. */
const MAX_OPERANDS = 8;

/** Orders and fuses what `outputs` need. */
export function makePlan(outputs: readonly Node[]): Plan {
  const planner = new Planner(outputs);
  return planner.plan();
}

class Planner {
  readonly #outputs: readonly Node[];
  readonly #uses = new Map<Node, number>();
  readonly #inMemory = new Set<Node>();
  readonly #steps = new Map<Node, PlanStep>();

  constructor(outputs: readonly Node[]) {
    this.#outputs = outputs;
    for (const node of topologicalOrder(outputs)) {
      for (const input of node.inputs) this.#uses.set(input, (this.#uses.get(input) ?? 0) + 1);
    }
  }

  plan(): Plan {
    const outputs = this.#outputs.map((node) => this.#contiguous(node));
    const steps = [...this.#steps.entries()].sort(([a], [b]) => a.id - b.id).map(([, step]) => step);
    return { steps, outputs };
  }

  /** The node in whose memory `node` lies row-major without gaps; computed there if need be. */
  #contiguous(node: Node): Node {
    const access = accessOf(node);
    const isBase = !('constant' in access) && access.offset === 0 && isContiguous(access.strides, node.shape);
    const base = isBase ? access.base : node;
    this.#materialize(base);
    return base;
  }

  #materialize(node: Node): void {
    if (this.#inMemory.has(node)) return;
    this.#inMemory.add(node);
    if (node.op === 'input' || node.op === 'parameter') return;
    if (Object.hasOwn(kernelOps, node.op) && !Object.hasOwn(viewOps, node.op)) {
      const inputs = node.inputs.map((input) => this.#contiguous(input));
      this.#steps.set(node, { kind: 'kernel', output: node, inputs });
      return;
    }
    const operands: Operand[] = [];
    const expression = simplify(this.#expression(node, node, operands));
    for (const { base } of operands) this.#materialize(base);
    this.#steps.set(node, { kind: 'pointwise', output: node, expression, operands });
  }

  /** What `node` is, as an expression over memory, inside the kernel that computes `root`. */
  #expression(node: Node, root: Node, operands: Operand[]): Expression {
    const op = pointwiseNamed(node.op);
    if (op && (node === root || this.#fuses(node, root, operands))) {
      return substitute(
        op.expression,
        node.inputs.map((input) => this.#expression(input, root, operands)),
      );
    }
    const access = accessOf(node);
    if ('constant' in access) return constantExpression(access.constant);
    // A copy of its own elements would go round in circles: read what it is made of.
    const { base, offset, strides } =
      access.base === node && node === root ? (accessOf(node.inputs[0]!) as Operand) : access;
    const seen = stretch(strides, node.shape, root.shape);
    const known = operands.findIndex(
      (other) => other.base === base && other.offset === offset && sameStrides(other.strides, seen),
    );
    return inputExpression(known >= 0 ? known : operands.push({ base, offset, strides: seen }) - 1);
  }

  /** Whether a pointwise node is computed inside its only user instead of being stored. */
  #fuses(node: Node, root: Node, operands: readonly Operand[]): boolean {
    return (
      this.#uses.get(node) === 1 &&
      !this.#outputs.includes(node) &&
      !this.#inMemory.has(node) &&
      operands.length < MAX_OPERANDS - 2 &&
      sameStrides(stridesOf(node.shape), stridesOf(root.shape)) &&
      sizeOf(node.shape) === sizeOf(root.shape)
    );
  }
}

const sameStrides = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((stride, i) => stride === b[i]);
