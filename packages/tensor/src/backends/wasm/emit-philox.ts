/** Philox 4x32-10 (random.ts) in SIMD: four counters at a time, one a lane. */
import type { FunctionBuilder, Local } from '../../assembler.ts';

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/**
 * Prepares the rounds, and returns what emits them: they leave the words in place of the counters, and change the keys.
 * @param counters word by word
 */
export function philox(
  f: FunctionBuilder,
  counters: readonly [Local, Local, Local, Local],
  keys: readonly [Local, Local],
): () => void {
  const local = () => f.local('v128');
  const [low, high, next0, next2] = [local(), local(), local(), local()];
  // Constants stand in locals: V8 would build them anew at each use.
  const constantLocal = (value: number) => {
    const constant = local();
    f.i32x4(value).set(constant);
    return constant;
  };
  const multipliers = MULTIPLIERS.map(constantLocal) as [Local, Local];
  const weyl = WEYL.map(constantLocal) as [Local, Local];
  /** high and low halves of the products of four lanes with a constant */
  const multiply = (lanes: Local, multiplier: Local) => {
    f.get(lanes).get(multiplier).op('i64x2ExtmulLowU').set(low);
    f.get(lanes).get(multiplier).op('i64x2ExtmulHighU').set(high);
    f.get(low).get(high).shuffle32(0, 2, 4, 6);
    f.get(low).get(high).shuffle32(1, 3, 5, 7).set(high);
    f.set(low);
  };
  return () => {
    for (let round = 0; round < ROUNDS; round++) {
      multiply(counters[2], multipliers[1]);
      f.get(high).get(counters[1]).op('v128Xor').get(keys[0]).op('v128Xor').set(next0);
      f.get(low).set(counters[1]);
      multiply(counters[0], multipliers[0]);
      f.get(high).get(counters[3]).op('v128Xor').get(keys[1]).op('v128Xor').set(next2);
      f.get(low).set(counters[3]);
      f.get(next0).set(counters[0]).get(next2).set(counters[2]);
      for (const word of [0, 1] as const) f.get(keys[word]).get(weyl[word]).op('i32x4Add').set(keys[word]);
    }
  };
}
