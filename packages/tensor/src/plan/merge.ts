/**
 * Puts pointwise steps of a plan together: steps over the same elements become one loop that computes several tensors, in which
 * what one of them writes the next has in a register, and what nobody else reads is never stored. A tensor that is only read
 * to be put beside others is written where it is put. The arithmetic on each element stays what it was, and so do the bits.
 */
import type { Node } from '../graph.ts';
import { attributesOf } from '../ops/op.ts';
import { concatOp } from '../ops/parts.ts';
import { type Expression, input } from '../scalar/expression.ts';
import { type Shape, sizeOf, stridesOf } from '../shape.ts';
import type { Operand, PlanStep } from './plan.ts';

/** One tensor that a loop computes, and where it is written. */
export interface Result {
  readonly output: Node;
  readonly expression: Expression;
  /** Its own memory, or a part of a tensor that it is a piece of. */
  readonly into: Operand;
}

/** For each element of `shape`, all results; strides of operands and results are along its axes. */
export interface LoopStep {
  readonly kind: 'loop';
  /** The last of the results: what the step is called after. */
  readonly output: Node;
  readonly shape: Shape;
  readonly results: readonly Result[];
  readonly operands: readonly Operand[];
}

export type KernelStep = Extract<PlanStep, { kind: 'kernel' }>;
export type MergedStep = LoopStep | KernelStep;

/** Steps that a loop may go ahead of when it is put into an earlier one: more would keep tensors alive for longer. */
const REACH = 12;
/** Different ways of walking through memory in one loop: each takes a general register. */
const MOST_WALKS = 8;
/** Operands and results of one loop: values wait in vector registers, or on the stack. */
const MOST_TENSORS = 32;

/** @param kept tensors that must be in memory in the end */
export function mergeSteps(steps: readonly PlanStep[], kept: ReadonlySet<Node>): MergedStep[] {
  const placed = placePieces(steps, kept);
  const items: (Loop | KernelStep)[] = [];
  /** Index of the last item that writes a tensor. */
  const writtenAt = new Map<Node, number>();
  for (const step of placed) {
    if (step.kind === 'kernel') {
      writtenAt.set(step.output, items.push(step) - 1);
      continue;
    }
    const earliest = Math.max(0, ...step.operands.map(({ base }) => writtenAt.get(base) ?? 0));
    let at = items.length - 1;
    for (; at >= Math.max(earliest, items.length - REACH); at--) {
      const item = items[at]!;
      if (item instanceof Loop && item.takes(step)) break;
    }
    const found = items[at];
    if (found instanceof Loop && at >= Math.max(earliest, items.length - REACH)) found.add(step);
    else at = items.push(Loop.of(step)) - 1;
    for (const { into } of step.results) {
      writtenAt.set(into.base, Math.max(at, writtenAt.get(into.base) ?? 0));
    }
  }
  const read = new Set<Node>();
  for (const item of items) {
    for (const node of item instanceof Loop ? item.operands.map(({ base }) => base) : item.inputs)
      read.add(node);
  }
  return items.map((item) =>
    item instanceof Loop ? item.step((node) => read.has(node) || kept.has(node)) : item,
  );
}

/** Pointwise steps as loops of one result, and concatenations as loops that write into parts of one tensor. */
function placePieces(steps: readonly PlanStep[], kept: ReadonlySet<Node>): MergedStep[] {
  const readers = new Map<Node, number>();
  for (const step of steps) {
    const bases = step.kind === 'kernel' ? step.inputs : step.operands.map(({ base }) => base);
    for (const base of bases) readers.set(base, (readers.get(base) ?? 0) + 1);
  }
  const pointwise = new Set(steps.flatMap(({ kind, output }) => (kind === 'pointwise' ? [output] : [])));
  const intoWhole = new Map<Node, Operand>();
  const copies = new Map<PlanStep, LoopStep[]>();
  for (const step of steps) {
    if (step.kind !== 'kernel' || step.output.op !== 'concat') continue;
    const pieces = piecesOf(step);
    if (!pieces) continue;
    const own = pieces.filter(
      ({ from }) => pointwise.has(from) && readers.get(from) === 1 && !kept.has(from),
    );
    for (const { from, into } of own) intoWhole.set(from, into);
    const rest = pieces.filter((piece) => !own.includes(piece));
    copies.set(
      step,
      rest.map(({ from, into }) =>
        loopOf(
          step.output,
          from.shape,
          input(0),
          [{ base: from, offset: 0, strides: stridesOf(from.shape) }],
          into,
        ),
      ),
    );
  }
  return steps.flatMap((step): MergedStep[] => {
    if (step.kind === 'kernel') return copies.get(step) ?? [step];
    const { output, expression, operands } = step;
    const into = intoWhole.get(output) ?? { base: output, offset: 0, strides: stridesOf(output.shape) };
    return [loopOf(output, output.shape, expression, operands, into)];
  });
}

/** A loop of one result, over the axes that are longer than one. */
function loopOf(
  output: Node,
  shape: Shape,
  expression: Expression,
  operands: readonly Operand[],
  into: Operand,
): LoopStep {
  const along = ({ base, offset, strides }: Operand): Operand => ({
    base,
    offset,
    strides: strides.filter((_, axis) => shape[axis] !== 1),
  });
  return {
    kind: 'loop',
    output,
    shape: shape.filter((extent) => extent !== 1),
    results: [{ output, expression, into: along(into) }],
    operands: operands.map(along),
  };
}

/** Which part of a concatenation each of its inputs is; undefined where one can not be written there in a loop over its shape. */
function piecesOf({ output, inputs }: KernelStep): { from: Node; into: Operand }[] | undefined {
  const { axis } = attributesOf(concatOp, output);
  const strides = stridesOf(output.shape);
  const pieces: { from: Node; into: Operand }[] = [];
  let offset = 0;
  for (const [index, from] of inputs.entries()) {
    const { shape } = output.inputs[index]!;
    // A piece is rows that lie together; the input's axes must be cut where a row begins.
    const row = sizeOf(shape.slice(axis));
    const own = stridesOf(from.shape);
    const isWhole = (stride: number) => stride >= row && stride % row === 0;
    if (row === 0 || !own.every((stride, i) => isWhole(stride) || stride * from.shape[i]! <= row))
      return undefined;
    const apart = sizeOf(output.shape.slice(axis));
    const seen = own.map((stride) => (isWhole(stride) ? (stride / row) * apart : stride));
    pieces.push({ from, into: { base: output, offset, strides: seen } });
    offset += shape[axis]! * strides[axis]!;
  }
  return pieces;
}

const sameNumbers = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((value, i) => value === b[i]);

const samePlace = (a: Operand, b: Operand) =>
  a.base === b.base && a.offset === b.offset && sameNumbers(a.strides, b.strides);

/** A loop that grows. */
class Loop {
  readonly shape: Shape;
  readonly operands: Operand[] = [];
  readonly #results: Result[] = [];
  /** Results that a later one has from a register. */
  readonly #handedOn = new Set<Node>();
  /** Each expression once, by what it is made of: what several results share is computed once. */
  readonly #known = new Map<string, Expression>();
  readonly #numbers = new Map<Expression, number>();

  private constructor(shape: Shape) {
    this.shape = shape;
  }

  static of(step: LoopStep): Loop {
    const loop = new Loop(step.shape);
    loop.add(step);
    return loop;
  }

  /** Whether a step over the same elements can be put in, and reads a tensor that is at hand, or another part of one that is read. */
  takes(step: LoopStep): boolean {
    if (!sameNumbers(this.shape, step.shape)) return false;
    const written = new Set(this.#results.map(({ into }) => into.base));
    const isWritten = ({ base }: Operand) => written.has(base);
    if (step.operands.some((operand) => isWritten(operand) && !this.#resultAt(operand))) return false;
    const atHand = step.operands.some(
      (operand) =>
        isWritten(operand) ||
        this.operands.some((own) => own.base === operand.base && sameNumbers(own.strides, operand.strides)),
    );
    const tensors = [
      ...this.operands,
      ...this.#results.map(({ into }) => into),
      ...step.operands.filter((operand) => !isWritten(operand)),
      ...step.results.map(({ into }) => into),
    ];
    const walks = new Set(tensors.map(({ strides }) => strides.join()));
    return atHand && walks.size <= MOST_WALKS && tensors.length <= MOST_TENSORS;
  }

  add({ results, operands }: LoopStep): void {
    const inputs = operands.map((operand) => {
      const result = this.#resultAt(operand);
      if (result) {
        this.#handedOn.add(result.output);
        return result.expression;
      }
      const known = this.operands.findIndex((own) => samePlace(own, operand));
      return this.#once(input(known >= 0 ? known : this.operands.push(operand) - 1));
    });
    const rebuilt = new Map<Expression, Expression>();
    for (const { output, expression, into } of results) {
      this.#results.push({ output, expression: this.#rebuilt(expression, inputs, rebuilt), into });
    }
  }

  /** @param isRead whether a step reads the tensor from memory */
  step(isRead: (node: Node) => boolean): LoopStep {
    const results = this.#results.filter(
      ({ output, into }) => !this.#handedOn.has(output) || isRead(into.base),
    );
    return {
      kind: 'loop',
      output: results.at(-1)!.output,
      shape: this.shape,
      results,
      operands: this.operands,
    };
  }

  /** The result that an operand reads element by element. */
  #resultAt(operand: Operand): Result | undefined {
    return this.#results.find(({ output, into }) => into.base === output && samePlace(into, operand));
  }

  /**
   * The expression over these inputs, of parts that the loop has already where it can be.
   * @param rebuilt what became of parts: one that occurs in several places is looked at once
   */
  #rebuilt(
    expression: Expression,
    inputs: readonly Expression[],
    rebuilt: Map<Expression, Expression>,
  ): Expression {
    const known = rebuilt.get(expression);
    if (known) return known;
    const made = this.#made(expression, inputs, (part) => this.#rebuilt(part, inputs, rebuilt));
    rebuilt.set(expression, made);
    return made;
  }

  #made(
    expression: Expression,
    inputs: readonly Expression[],
    inside: (part: Expression) => Expression,
  ): Expression {
    switch (expression.kind) {
      case 'input':
        return inputs[expression.index]!;
      case 'constant':
      case 'scalar':
        return this.#once(expression);
      case 'unary':
        return this.#once({ ...expression, a: inside(expression.a) });
      // A body is the operation's own, always the same object.
      case 'wide':
        if (!this.#numbers.has(expression.body)) this.#numbers.set(expression.body, this.#numbers.size);
        return this.#once({ ...expression, args: expression.args.map(inside) });
      case 'select':
        return this.#once({
          ...expression,
          condition: inside(expression.condition),
          a: inside(expression.a),
          b: inside(expression.b),
        });
      default:
        return this.#once({ ...expression, a: inside(expression.a), b: inside(expression.b) });
    }
  }

  /** The same expression if there has been one; its parts are known already. */
  #once(expression: Expression): Expression {
    const key = Object.values(expression)
      .map((value) => {
        if (typeof value === 'object')
          return [value as Expression | readonly Expression[]]
            .flat()
            .map((part) => `#${this.#numbers.get(part)}`);
        return Object.is(value, -0) ? '-0' : String(value);
      })
      .join(' ');
    const known = this.#known.get(key);
    if (known) return known;
    this.#known.set(key, expression);
    this.#numbers.set(expression, this.#numbers.size);
    return expression;
  }
}
