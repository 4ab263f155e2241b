/**
 * What each pointwise operation keeps to on the wasm backend: the distance of its float32 results from the truth, for every float32 that
 * goes in, subnormal numbers, zeros of both signs, infinities and NaN included. `test/accuracy.test.ts` holds them to it. An operation
 * without an entry does not compile.
 */
import type { PointwiseName } from './pointwise.ts';

/** |result - truth| <= ulps (units in the last place of the truth) + absolute, and infinity or NaN only where that is right. */
export interface Bound {
  readonly ulps: number;
  /** Default 0: where a result is a difference, or subnormal on its way, units of it mean nothing. */
  readonly absolute?: number;
  /** Infinity may come where the truth is that many times smaller. Default 1. */
  readonly early?: number;
  /** The bound is kept for whole inputs from 0 to this. Default: for all inputs. */
  readonly within?: number;
}

export interface Accuracy {
  readonly value: Bound;
  /** Of each input that has one, for an upstream gradient of 1; a reason instead where none is tested. */
  readonly gradients?: readonly (Bound | null)[] | string;
}

/** IEEE 754: rounded once. */
const exact: Bound = { ulps: 0.5 };
const compared: Accuracy = { value: exact };
const higher = 'it is the gradient of another operation: a second derivative, tested by central differences';

/** Half an ulp is a result rounded once from float64, by hand where a function says so. */
export const accuracy: Readonly<Record<PointwiseName, Accuracy>> = {
  add: { value: exact, gradients: [exact, exact] },
  sub: { value: exact, gradients: [exact, exact] },
  mul: { value: exact, gradients: [exact, exact] },
  div: { value: exact, gradients: [exact, { ulps: 1.5, absolute: 2 ** -148 }] },
  max: { value: exact, gradients: [exact, exact] },
  min: { value: exact, gradients: [exact, exact] },
  neg: { value: exact, gradients: [exact] },
  abs: { value: exact, gradients: [exact] },
  sqrt: { value: exact, gradients: [{ ulps: 1.5 }] },
  exp: { value: { ulps: 1 }, gradients: [{ ulps: 1 }] },
  log: { value: { ulps: 1 }, gradients: [exact] },
  // From the output, as PyTorch has it: its rounding remains of 1 - y^2.
  tanh: { value: { ulps: 1.5 }, gradients: [{ ulps: 2, absolute: 2 ** -22 }] },
  floor: compared,
  relu: { value: exact, gradients: [exact] },
  // The same of y (1 - y).
  sigmoid: { value: { ulps: 2.5 }, gradients: [{ ulps: 2, absolute: 2 ** -23 }] },
  // x^y log(x) has the rounding of both.
  pow: { value: { ulps: 0.51 }, gradients: [{ ulps: 0.51 }, { ulps: 5, absolute: 2 ** -143, early: 100 }] },
  powSlope: { value: { ulps: 0.51 }, gradients: higher },
  erf: { value: { ulps: 1.5 }, gradients: [{ ulps: 2, absolute: 2 ** -148 }] },
  gaussian: { value: { ulps: 0.51 }, gradients: higher },
  sin: { value: { ulps: 0.51 }, gradients: [{ ulps: 0.51 }] },
  cos: { value: { ulps: 0.51 }, gradients: [{ ulps: 0.51 }] },
  softplus: { value: { ulps: 2.75 }, gradients: [{ ulps: 2.5 }] },
  silu: { value: { ulps: 3 }, gradients: [{ ulps: 3, absolute: 2 ** -22 }] },
  siluSlope: { value: { ulps: 3, absolute: 2 ** -22 }, gradients: higher },
  // Below -13.2, where it is smaller than 2^-126, it is 0.
  gelu: { value: { ulps: 4.5, absolute: 2 ** -126 }, gradients: [{ ulps: 4.5, absolute: 2 ** -22 }] },
  geluSlope: { value: { ulps: 4.5, absolute: 2 ** -22 }, gradients: higher },
  geluTanh: { value: { ulps: 0.51 }, gradients: [{ ulps: 4, absolute: 2 ** -21 }] },
  // From the output: its rounding remains of y + 1.
  elu: { value: { ulps: 0.51 }, gradients: [{ ulps: 1, absolute: 2 ** -24 }] },
  hardSigmoid: { value: { ulps: 1.5 }, gradients: [exact] },
  hardSwish: { value: { ulps: 2 }, gradients: [{ ulps: 2, absolute: 2 ** -23 }] },
  // Below -87 softplus is subnormal, and x times that.
  mish: { value: { ulps: 5, absolute: 2 ** -140 }, gradients: [{ ulps: 5, absolute: 2 ** -20 }] },
  sinusoid: { value: { ulps: 0.51, absolute: 2 ** -30, within: 2 ** 24 } },
  lt: compared,
  le: compared,
  gt: compared,
  ge: compared,
  eq: compared,
  ne: compared,
  select: { value: exact, gradients: [null, exact, exact] },
};
