/** Steps that go row by row, some rows at a time: each a function of the first row, and a loop that calls them in turns. */

import { FunctionBuilder } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { attributesOf } from '../../ops/op.ts';
import { maxReduceOp, sumOp } from '../../ops/reduce.ts';
import { type BlockStep, leadingAxes, rowStride, SIDE_BY_SIDE } from '../../plan/blocks.ts';
import type { KernelStep, LoopStep } from '../../plan/merge.ts';
import type { Operand } from '../../plan/plan.ts';
import { type Shape, sizeOf } from '../../shape.ts';
import { type Address, ownAddress } from './address.ts';
import { type Cut, cutOf, emitParts, pushFirst } from './cut.ts';
import { oneHot } from './emit-index.ts';
import type { KernelContext } from './emit-kernels.ts';
import { emitPointwise } from './emit-loops.ts';
import { maxReduction } from './emit-reduce.ts';
import { sumReduction } from './emit-sum.ts';

export function buildBlock(block: BlockStep, context: KernelContext): FunctionBuilder {
  const { rows, together } = block;
  const f = new FunctionBuilder();
  const first = f.local('i32');
  const run = (count: number) => {
    const steps = block.steps.map((step) => context.add(new Rows(block, count, context).build(step)));
    return () => {
      for (const step of steps) f.get(first).call(step);
      f.advance(first, count);
    };
  };
  const runs = new Map<number, () => void>();
  const take = (count: number) => {
    const known = runs.get(count) ?? run(count);
    runs.set(count, known);
    return known;
  };
  const all = (of: number, each: number) => {
    const whole = Math.floor(of / each);
    if (whole > 0) f.repeat(whole, take(each));
    if (of > whole * each) take(of - whole * each)();
  };
  const cut = context.team && cutBlock(block, context.team.threads);
  if (!cut) {
    all(rows, together);
    return f;
  }
  pushFirst(f, cut).set(first);
  // As many blocks as there must be, all of the same size where that is possible.
  const each = SIDE_BY_SIDE * Math.ceil(cut.each / Math.ceil(cut.each / together) / SIDE_BY_SIDE);
  emitParts(f, cut, context.team!.threads, (count) => all(count, Math.min(each, together)));
  return f;
}

/** How the rows of a block are cut for several threads; undefined where one thread computes it alone. */
export function cutBlock({ rows }: BlockStep, threads: number): Cut | undefined {
  const cut = cutOf(rows, threads, SIDE_BY_SIDE);
  return cut.each < rows ? cut : undefined;
}

/** Makes the function that takes one step of a block for `count` rows; its argument is the first of them. */
class Rows {
  readonly #block: BlockStep;
  readonly #count: number;
  readonly #place: KernelContext['place'];
  readonly #scratch: Address;
  readonly #f = new FunctionBuilder(['i32']);
  /** Where a thread has the first of what is the block's own: all of it moves together. */
  readonly #own: (at: number) => Address;

  constructor(block: BlockStep, count: number, { place, scratch, localBytes }: KernelContext) {
    this.#block = block;
    this.#count = count;
    this.#place = place;
    this.#scratch = ownAddress(this.#f, scratch);
    this.#own = (at) => ownAddress(this.#f, { at, apart: localBytes(block) });
  }

  build(step: LoopStep | KernelStep): FunctionBuilder {
    if (step.kind === 'loop') this.#loop(step);
    else this.#kernel(step);
    return this.#f;
  }

  #loop({ shape, results, operands }: LoopStep): void {
    const { rows } = this.#block;
    const lead = leadingAxes(shape, rows)!;
    const into = results.map((result) => result.into);
    const at = (operand: Operand) => this.#at(operand.base, rowStride(operand, shape, rows)!, operand.offset);
    const cut = (operand: Operand) => [rowStride(operand, shape, rows)!, ...operand.strides.slice(lead)];
    emitPointwise(
      this.#f,
      [this.#count, ...shape.slice(lead)],
      results.map(({ expression }) => expression),
      operands.map(at),
      operands.map(cut),
      into.map(at),
      { strides: into.map(cut) },
    );
  }

  #kernel({ output, inputs }: KernelStep): void {
    const read = output.inputs[0]!;
    const [x, y] = [inputs[0]!, output].map((node) =>
      this.#at(node, sizeOf(node.shape) / this.#block.rows),
    ) as [Address, Address];
    const cut: Node = {
      ...output,
      shape: this.#cut(output.shape),
      inputs: [{ ...read, shape: this.#cut(read.shape) }],
    };
    const shift = leadingAxes(read.shape, this.#block.rows)! - 1;
    const own = (axis: number) => axis - shift;
    if (output.op === 'oneHot') oneHot(cut, x, y, this.#f);
    else if (output.op === 'sum')
      sumReduction(cut, attributesOf(sumOp, output).axes.map(own), [x, y], this.#scratch, this.#f);
    else maxReduction(cut, attributesOf(maxReduceOp, output).axes.map(own), [x, y], this.#f);
  }

  #cut(shape: Shape): Shape {
    return [this.#count, ...shape.slice(leadingAxes(shape, this.#block.rows)!)];
  }

  /** Where a tensor's first row of those at hand begins. @param stride elements from one row to the next */
  #at(node: Node, stride: number, offset = 0): Address {
    const at = this.#place(node) + 4 * offset;
    if (this.#block.local.has(node)) return this.#own(at);
    if (stride === 0) return at;
    const f = this.#f;
    const push = () => {
      f.get(f.parameter(0))
        .i32(4 * stride)
        .op('i32Mul');
    };
    return { at, by: `${stride} a row`, push };
  }
}
