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
/** Operations of one fused kernel that each take what the one before gives. There may be thousands: more than calls can be nested. */
const MAX_DEPTH = 128;

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
    const outputs = this.#outputs.map(heldBy);
    for (const node of outputs) this.#materialize(node);
    const steps = [...this.#steps.entries()].sort(([a], [b]) => a.id - b.id).map(([, step]) => step);
    return { steps, outputs };
  }

  /** Computes a node into memory, and before it what it reads; each on the way before whatever else it reads. */
  #materialize(node: Node): void {
    const waiting = [node];
    while (waiting.length > 0) {
      const next = waiting.pop()!;
      if (this.#inMemory.has(next)) continue;
      this.#inMemory.add(next);
      waiting.push(...this.#step(next).toReversed());
    }
  }

  /** Makes the step that computes a node. Returns what it reads, in order. */
  #step(node: Node): readonly Node[] {
    if (node.op === 'input' || node.op === 'parameter') return [];
    if (Object.hasOwn(kernelOps, node.op) && !Object.hasOwn(viewOps, node.op)) {
      const inputs = node.inputs.map(heldBy);
      this.#steps.set(node, { kind: 'kernel', output: node, inputs });
      return inputs;
    }
    const operands: Operand[] = [];
    const expression = simplify(this.#expression(node, node, operands, 0));
    this.#steps.set(node, { kind: 'pointwise', output: node, expression, operands });
    return operands.map(({ base }) => base);
  }

  /** What `node` is, as an expression over memory, inside the kernel that computes `root`. @param depth operations between the two */
  #expression(node: Node, root: Node, operands: Operand[], depth: number): Expression {
    const op = pointwiseNamed(node.op);
    if (op && (node === root || (depth < MAX_DEPTH && this.#fuses(node, root, operands)))) {
      return substitute(
        op.expression,
        node.inputs.map((input) => this.#expression(input, root, operands, depth + 1)),
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

/** The node in whose memory `node` lies row-major without gaps: another one's, or its own. */
function heldBy(node: Node): Node {
  const access = accessOf(node);
  const isBase = !('constant' in access) && access.offset === 0 && isContiguous(access.strides, node.shape);
  return isBase ? access.base : node;
}

const sameStrides = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((stride, i) => stride === b[i]);
