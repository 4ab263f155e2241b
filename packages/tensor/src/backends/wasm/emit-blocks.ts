/** Steps that go row by row, some rows at a time: each a function of the first row, and a loop that calls them in turns. */

import { FunctionBuilder } from '../../assembler.ts';
import type { Node } from '../../graph.ts';
import { attributesOf } from '../../ops/op.ts';
import { maxReduceOp, sumOp } from '../../ops/reduce.ts';
import { type BlockStep, leadingAxes, rowStride } from '../../plan/blocks.ts';
import type { KernelStep, LoopStep } from '../../plan/merge.ts';
import type { Operand } from '../../plan/plan.ts';
import { type Shape, sizeOf } from '../../shape.ts';
import type { Address } from './address.ts';
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
  const whole = Math.floor(rows / together);
  f.repeat(whole, run(together));
  if (rows > whole * together) run(rows - whole * together)();
  return f;
}

/** Makes the function that takes one step of a block for `count` rows; its argument is the first of them. */
class Rows {
  readonly #block: BlockStep;
  readonly #count: number;
  readonly #place: KernelContext['place'];
  readonly #scratch: number;
  readonly #f = new FunctionBuilder(['i32']);

  constructor(block: BlockStep, count: number, { place, scratch }: KernelContext) {
    this.#block = block;
    this.#count = count;
    this.#place = place;
    this.#scratch = scratch;
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
    if (stride === 0 || this.#block.local.has(node)) return at;
    const f = this.#f;
    const push = () => {
      f.get(f.parameter(0))
        .i32(4 * stride)
        .op('i32Mul');
    };
    return { at, by: `${stride} a row`, push };
  }
}
