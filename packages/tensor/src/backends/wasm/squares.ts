/** Sums of squares over an update, for people: how long gradient, parameters and change of each parameter are. Nothing here reaches weights. */

import { FunctionBuilder } from '../../assembler.ts';
import type { ParameterSpec } from '../../nn/model.ts';
import { firstAfter } from '../../optim/rounding.ts';
import type { Squares } from '../../optim/updater.ts';

/** Floats that a round of the kernel takes. */
const ROUND = 4;

/**
 * Makes a function that adds the squares of floats [start, end) to what there is: gradient and parameters begin at these addresses,
 * `before` is where the floats from `start` on, as they were before the update, have been copied to. Leaves its sums in the first
 * 48 bytes of the memory.
 */
export function squareSums(
  memory: WebAssembly.Memory,
  instantiate: (f: FunctionBuilder) => (...numbers: number[]) => void,
  parameters: readonly ParameterSpec[],
  addresses: { readonly gradient: number; readonly parameters: number; readonly before: number },
): (squares: Squares, start: number, end: number) => void {
  const run = instantiate(kernel());
  const lanes = new Float64Array(memory.buffer, 0, 6);
  const trained = parameters.flatMap(({ offset, size, statistic }, index) =>
    statistic ? [] : [{ index, offset, end: offset + size }],
  );
  return ({ gradient, parameter, change }, start, end) => {
    for (let at = firstAfter(trained, start); at < trained.length && trained[at]!.offset < end; at++) {
      const { index, offset, end: last } = trained[at]!;
      const from = Math.max(start, offset);
      const count = Math.min(end, last) - from;
      const [g, p, b] = [
        addresses.gradient + 4 * from,
        addresses.parameters + 4 * from,
        addresses.before + 4 * (from - start),
      ];
      const whole = count - (count % ROUND);
      run(g, p, b, g + 4 * whole);
      gradient[index]! += lanes[0]! + lanes[1]!;
      parameter[index]! += lanes[2]! + lanes[3]!;
      change[index]! += lanes[4]! + lanes[5]!;
      if (whole === count) continue;
      const rest = (address: number) => new Float32Array(memory.buffer, address + 4 * whole, count - whole);
      const [gs, ps, bs] = [rest(g), rest(p), rest(b)];
      for (const [i, value] of ps.entries()) {
        gradient[index]! += gs[i]! ** 2;
        parameter[index]! += value ** 2;
        change[index]! += Math.fround(value - bs[i]!) ** 2;
      }
    }
  };
}

/**
 * (gradient, parameters, before, end of the gradient): two sums in float64 of each square, for squares of small gradients are below
 * the least float32.
 */
function kernel(): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32']);
  const [gradient, parameter, before, end] = [f.parameter(0), f.parameter(1), f.parameter(2), f.parameter(3)];
  const [four, two] = [f.local('v128'), f.local('v128')];
  const sums = Array.from({ length: 3 }, () => [f.local('v128'), f.local('v128')] as const);
  /** Adds the squares of the vector on the stack. */
  const add = ([low, high]: readonly [typeof four, typeof four]) => {
    f.tee(four).op('f64x2PromoteLow').tee(two).get(two).op('f64x2Mul').get(low).op('f64x2Add').set(low);
    f.get(four).get(four).shuffle32(2, 3, 2, 3).op('f64x2PromoteLow').tee(two).get(two).op('f64x2Mul');
    f.get(high).op('f64x2Add').set(high);
  };
  f.until(gradient, end, () => {
    f.get(gradient).memory('v128Load');
    add(sums[0]!);
    f.get(parameter).memory('v128Load');
    add(sums[1]!);
    f.get(parameter).memory('v128Load').get(before).memory('v128Load').op('f32x4Sub');
    add(sums[2]!);
    for (const pointer of [gradient, parameter, before]) f.advance(pointer, 4 * ROUND);
  });
  const zero = f.local('i32');
  for (const [index, [low, high]] of sums.entries())
    f.get(zero)
      .get(low)
      .get(high)
      .op('f64x2Add')
      .memory('v128Store', 16 * index);
  return f;
}
