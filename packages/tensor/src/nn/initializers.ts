/**
 * Initialisers by their sources, and the numbers that they make. Everything is drawn from Philox with exact arithmetic
 * (additions, products, square roots), so that every engine starts from the same bits.
 */
import { cosineOfPi } from '../optim/exact.ts';
import { INITIALIZER_STREAM, type Key, philox4x32Into, unitInterval } from '../random.ts';
import { type Shape, sizeOf } from '../shape.ts';
import type { Following, Initializer } from './layer.ts';

/** Uniform in [-bound, bound) has variance bound^2 / 3. */
const uniformOfVariance = (variance: number): Initializer => ({
  kind: 'uniform',
  bound: Math.sqrt(3 * variance),
});

/** Variance 2 / ((1 + slope^2) fanIn), for weights in front of relu (slope 0), leakyRelu or prelu (He et al. 2015, equations 10 and 15). */
export const heUniform = (fanIn: number, slope = 0) => uniformOfVariance(2 / ((1 + slope * slope) * fanIn));
/** Variance 2 / (fanIn + fanOut) (Glorot and Bengio 2010, equation 16). */
export const xavierUniform = (fanIn: number, fanOut: number) => uniformOfVariance(2 / (fanIn + fanOut));
/** Variance 1 / fanIn (LeCun et al. 1998, section 4.6). */
export const lecunUniform = (fanIn: number) => uniformOfVariance(1 / fanIn);

/** He's in front of relu and its like, Glorot's otherwise. */
export function weightInitializer(
  fanIn: number,
  fanOut: number,
  followedBy: Following | undefined,
): Initializer {
  switch (followedBy?.type) {
    case 'relu':
      return heUniform(fanIn);
    case 'leakyRelu':
    case 'prelu':
      return heUniform(fanIn, followedBy.options.slope as number);
    default:
      return xavierUniform(fanIn, fanOut);
  }
}

/**
 * The starting values of the model's parameter number `index`. Element e comes from word e & 3 of
 * philox4x32([e >> 2, index, 0, INITIALIZER_STREAM], key).
 */
export function initialValues(initializer: Initializer, shape: Shape, index: number, key: Key): Float32Array {
  const size = sizeOf(shape);
  switch (initializer.kind) {
    case 'zeros':
      return new Float32Array(size);
    case 'ones':
      return new Float32Array(size).fill(1);
    case 'constant':
      return new Float32Array(size).fill(initializer.value);
    case 'uniform': {
      const { bound } = initializer;
      const values = new Float32Array(size);
      eachUniform(size, index, key, (e, u) => {
        values[e] = (2 * u - 1) * bound;
      });
      return values;
    }
    case 'normal': {
      const { std } = initializer;
      return Float32Array.from(normals(size, index, key), (value) => value * std);
    }
    case 'orthogonal':
      return orthogonal(shape, initializer.columns ?? shape[1]!, normals(size, index, key));
  }
}

/** Calls `take` with 0, 1, 2 ... and that element's uniform number: large networks have many millions, so none is kept here. */
function eachUniform(count: number, index: number, key: Key, take: (e: number, u: number) => void): void {
  const words = new Uint32Array(4);
  for (let e = 0; e < count; e += 4) {
    philox4x32Into(words, e >> 2, index, 0, INITIALIZER_STREAM, key[0], key[1]);
    const end = Math.min(4, count - e);
    for (let lane = 0; lane < end; lane++) take(e + lane, unitInterval(words[lane]!));
  }
}

function uniforms(count: number, index: number, key: Key): Float64Array {
  const values = new Float64Array(count);
  eachUniform(count, index, key, (e, u) => {
    values[e] = u;
  });
  return values;
}

/**
 * Normally distributed numbers by Box and Muller (1958): sqrt(-2 ln u) cos(2 pi v), one of each pair (u, v) of uniform
 * numbers.
 */
function normals(count: number, index: number, key: Key): Float64Array {
  const pairs = uniforms(2 * count, index, key);
  const values = new Float64Array(count);
  for (let e = 0; e < count; e++) {
    const v = pairs[2 * e + 1]!;
    const cosine = v <= 0.5 ? cosineOfPi(2 * v) : cosineOfPi(2 - 2 * v);
    values[e] = Math.sqrt(-2 * logarithm(1 - pairs[2 * e]!)) * cosine;
  }
  return values;
}

/** ln u for u in (0, 1]: u is halved or doubled into [1/2, 1], then ln u = 2 artanh((u - 1) / (u + 1)). */
function logarithm(u: number): number {
  let mantissa = u;
  let exponent = 0;
  for (; mantissa < 0.5; exponent--) mantissa *= 2;
  const z = (mantissa - 1) / (mantissa + 1);
  let sum = 0;
  let power = z;
  for (let n = 1; n < 40; n += 2) {
    sum += power / n;
    power *= z * z;
  }
  return 2 * sum + exponent * Math.LN2;
}

/** Gram and Schmidt on the columns of each block, twice over, which is enough (Giraud et al. 2005). */
function orthogonal([rows, columns]: Shape, block: number, values: Float64Array): Float32Array {
  if (block > rows!)
    throw new RangeError(`orthogonal: ${block} columns of ${rows} numbers cannot be orthogonal`);
  const column = (c: number) => Float64Array.from({ length: rows! }, (_, r) => values[r * columns! + c]!);
  const result = new Float32Array(values.length);
  for (let start = 0; start < columns!; start += block) {
    const basis: Float64Array[] = [];
    for (let c = start; c < Math.min(columns!, start + block); c++) {
      const vector = column(c);
      for (let round = 0; round < 2; round++) {
        for (const other of basis) {
          const along = dot(vector, other);
          for (let r = 0; r < rows!; r++) vector[r]! -= along * other[r]!;
        }
      }
      const length = Math.sqrt(dot(vector, vector));
      for (let r = 0; r < rows!; r++) vector[r]! /= length;
      basis.push(vector);
      for (let r = 0; r < rows!; r++) result[r * columns! + c] = vector[r]!;
    }
  }
  return result;
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
