/** Kernels that round floats (optim/rounding.ts). Their ranges are whole vectors, or runs: what lies beyond a block is zero. */
import { FunctionBuilder, type Local } from '../../assembler.ts';
import { BLOCK, ROUNDING_STREAM, type Rounding, RUN } from '../../optim/rounding.ts';
import { philox } from './emit-philox.ts';

const LANE_BITS = 0x7fffffff;
const INFINITY = 0x7f800000;
const UPPER_HALF = -0x10000;
const QUIET = 0x00400000;
const VECTORS = RUN / 4;
/** A mantissa above that of 127 carries into the exponent with this. */
const ABOVE_127 = 0x1ffff;

/** A block's scale, its inverse, and a mask that is all ones where the block is not finite. */
interface Scale {
  readonly scale: Local;
  readonly inverse: Local;
  readonly bad: Local;
}

/**
 * (pointer, end, run, step, node, key low, key high): rounds the floats of blocks, of which the first begins at the pointer, at random; `run`
 * is the number of the first run in the flat layout.
 */
export function stochasticKernel(precision: Rounding['precision']): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32']);
  const [pointer, end, run] = [f.parameter(0), f.parameter(1), f.parameter(2)];
  const local = () => f.local('v128');
  const words = [local(), local(), local(), local()] as const;
  const keys = [local(), local()] as const;
  const rounds = philox(f, words, keys);
  const counters = local();
  f.get(run).i32(2).op('i32Shl', 'i32x4Splat').i32x4(0, 1, 2, 3).op('i32x4Add').set(counters);
  const oneRun = (round: (x: number, bits: () => void) => void) => {
    f.get(counters).set(words[0]).get(f.parameter(3)).op('i32x4Splat').set(words[1]);
    f.get(f.parameter(4))
      .op('i32x4Splat')
      .set(words[2])
      .i32x4(ROUNDING_STREAM | 0)
      .set(words[3]);
    for (const [index, key] of keys.entries())
      f.get(f.parameter(5 + index))
        .op('i32x4Splat')
        .set(key);
    rounds();
    for (let vector = 0; vector < VECTORS; vector++) {
      const word = words[vector >> 1]!;
      f.get(pointer);
      round(16 * vector, () => {
        if (vector % 2 === 0) f.get(word).i32x4(0xffff).op('v128And');
        else f.get(word).i32(16).op('i32x4ShrU');
      });
      f.memory('v128Store', 16 * vector);
    }
    f.get(counters).i32x4(4).op('i32x4Add').set(counters);
    f.advance(pointer, 4 * RUN);
  };
  if (precision === 'bf16') {
    const x = local();
    f.until(pointer, end, () =>
      oneRun((offset, bits) => {
        f.get(pointer).memory('v128Load', offset).tee(x);
        bits();
        f.op('i32x4Add');
        upperHalf(f, x);
      }),
    );
    return f;
  }
  const of = { scale: local(), inverse: local(), bad: local() };
  eachBlock(f, pointer, end, (blockEnd) => {
    const at = f.local('i32');
    f.get(pointer).set(at);
    scaleOf(f, of, at, blockEnd, VECTORS, (offset) => f.get(at).memory('v128Load', offset));
    f.until(pointer, blockEnd, () =>
      oneRun((offset, bits) => {
        f.get(pointer).memory('v128Load', offset).get(of.inverse).op('f32x4Mul');
        bits();
        f.op('f32x4ConvertS')
          .f32x4(2 ** -16)
          .op('f32x4Mul')
          .f32x4(2 ** -17)
          .op('f32x4Add');
        f.op('f32x4Add', 'f32x4Floor').get(of.scale).op('f32x4Mul').get(of.bad).op('v128Or');
      }),
    );
  });
  return f;
}

/**
 * (parameters, parameters before, residuals, changes, end of the parameters): parameters = before + the change, which is what the update
 * and the residual come to, rounded to the nearest; the residual is what is lost.
 */
export function feedbackKernel(precision: Rounding['precision']): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32', 'i32']);
  const [parameter, before, residual, change, end] = [0, 1, 2, 3, 4].map((index) => f.parameter(index)) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const [wanted, rounded] = [f.local('v128'), f.local('v128')];
  /** What the update of the vectors at these pointers, and their residual, come to. */
  const sum = ([p, b, r]: readonly [Local, Local, Local]) =>
    f
      .get(p)
      .memory('v128Load')
      .get(b)
      .memory('v128Load')
      .op('f32x4Sub')
      .get(r)
      .memory('v128Load')
      .op('f32x4Add');
  /** `rounded` is that of `wanted`. */
  const finish = () => {
    f.get(change).get(rounded).memory('v128Store');
    f.get(residual).get(wanted).get(rounded).op('f32x4Sub').memory('v128Store');
    f.get(parameter).get(before).memory('v128Load').get(rounded).op('f32x4Add').memory('v128Store');
    for (const pointer of [parameter, before, residual, change]) f.advance(pointer, 16);
  };
  if (precision === 'bf16') {
    f.until(parameter, end, () => {
      sum([parameter, before, residual]);
      f.tee(wanted).i32x4(0x7fff).op('i32x4Add').get(wanted).i32(16).op('i32x4ShrU').i32x4(1);
      f.op('v128And', 'i32x4Add');
      upperHalf(f, wanted);
      f.set(rounded);
      finish();
    });
    return f;
  }
  const of = { scale: f.local('v128'), inverse: f.local('v128'), bad: f.local('v128') };
  eachBlock(f, parameter, end, (blockEnd) => {
    const [p, b, r] = [f.local('i32'), f.local('i32'), f.local('i32')] as const;
    f.get(parameter).set(p).get(before).set(b).get(residual).set(r);
    scaleOf(f, of, p, blockEnd, 1, () => {
      sum([p, b, r]);
      f.set(wanted).get(r).get(wanted).memory('v128Store').get(wanted);
      f.advance(b, 16).advance(r, 16);
    });
    f.until(parameter, blockEnd, () => {
      f.get(residual).memory('v128Load').tee(wanted).get(of.inverse).op('f32x4Mul', 'f32x4Nearest');
      // Whole numbers have one zero.
      f.f32x4(0).op('f32x4Add');
      f.get(of.scale).op('f32x4Mul').get(of.bad).op('v128Or').set(rounded);
      finish();
    });
  });
  return f;
}

/** Runs `body` for each block; it moves the pointer to the block's end. */
function eachBlock(f: FunctionBuilder, pointer: Local, end: Local, body: (blockEnd: Local) => void): void {
  const blockEnd = f.local('i32');
  f.until(pointer, end, () => {
    f.get(pointer)
      .i32(4 * BLOCK)
      .op('i32Add')
      .tee(blockEnd)
      .get(end);
    f.get(blockEnd).get(end).op('i32LtU', 'select').set(blockEnd);
    body(blockEnd);
  });
}

/**
 * Finds the scale of a block by its largest magnitude.
 * @param load pushes the vector at so many bytes after `at`, which is moved here
 */
function scaleOf(
  f: FunctionBuilder,
  { scale, inverse, bad }: Scale,
  at: Local,
  blockEnd: Local,
  vectors: number,
  load: (offset: number) => void,
): void {
  const [largest, exponent] = [f.local('v128'), f.local('v128')];
  f.i32x4(0).set(largest);
  f.until(at, blockEnd, () => {
    for (let vector = 0; vector < vectors; vector++) {
      load(16 * vector);
      f.i32x4(LANE_BITS).op('v128And').get(largest).op('i32x4MaxS').set(largest);
    }
    f.advance(at, 16 * vectors);
  });
  f.get(largest).get(largest).shuffle32(2, 3, 0, 1).get(largest).op('i32x4MaxS').tee(largest);
  f.get(largest).shuffle32(1, 0, 3, 2).get(largest).op('i32x4MaxS').set(largest);
  f.get(largest)
    .i32x4(INFINITY - 1)
    .op('i32x4GtS')
    .set(bad);
  f.get(largest).i32x4(ABOVE_127).op('i32x4Add').i32(23).op('i32x4ShrU').i32x4(6).op('i32x4Sub');
  f.i32x4(1).op('i32x4MaxS').tee(exponent).i32(23).op('i32x4Shl').set(scale);
  f.i32x4(254).get(exponent).op('i32x4Sub').i32(23).op('i32x4Shl').set(inverse);
}

/** Leaves the upper half of the bits on the stack, or of `x` where that is not finite. */
function upperHalf(f: FunctionBuilder, x: Local): void {
  f.get(x);
  f.get(x).get(x).op('f32x4Ne').i32x4(QUIET).op('v128And', 'v128Or');
  f.get(x).i32x4(INFINITY).op('v128And').i32x4(INFINITY).op('i32x4Eq', 'v128Not');
  f.op('v128Bitselect').i32x4(UPPER_HALF).op('v128And');
}
