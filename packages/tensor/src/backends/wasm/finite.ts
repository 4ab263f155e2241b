/** Whether floats in a memory are finite. */
import { FunctionBuilder } from '../../assembler.ts';
import type { Instantiate } from './updater-loops.ts';

/**
 * Makes a function that says whether `count` floats at an address are finite: x * 0 is NaN for infinities and NaN alone, and a NaN
 * outlives every sum. Leaves its sums in the first 16 bytes of the memory.
 */
export function finiteCheck(
  memory: WebAssembly.Memory,
  instantiate: Instantiate,
): (address: number, count: number) => boolean {
  const f = new FunctionBuilder(['i32', 'i32']);
  const [pointer, end] = [f.parameter(0), f.parameter(1)];
  const sums = Array.from({ length: 4 }, () => f.local('v128'));
  f.until(pointer, end, () => {
    for (const [index, sum] of sums.entries()) {
      f.get(pointer).memory('v128Load', 16 * index);
      f.f32x4(0).op('f32x4Mul').get(sum).op('f32x4Add').set(sum);
    }
    f.advance(pointer, 16 * sums.length);
  });
  const zero = f.local('i32');
  f.get(zero);
  for (const [index, sum] of sums.entries()) {
    f.get(sum);
    if (index > 0) f.op('f32x4Add');
  }
  f.memory('v128Store');
  const run = instantiate(f);
  const found = new Float32Array(memory.buffer, 0, 4);
  return (address, count) => {
    const rest = count % 16;
    const end = address + 4 * (count - rest);
    run(address, end);
    return (
      found.every((sum) => sum === 0) && new Float32Array(memory.buffer, end, rest).every(Number.isFinite)
    );
  };
}
