import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateScalar } from '../src/scalar/evaluate.ts';
import * as s from '../src/scalar/expression.ts';
import { simplify } from '../src/scalar/simplify.ts';

const x = s.input(0);

describe('evaluateScalar', () => {
  it.each([
    [s.select(s.gt(x, s.constant(1)), s.exp(x), s.neg(x)), 0.5, -0.5],
    [s.select(s.gt(x, s.constant(1)), s.exp(x), s.neg(x)), 2, Math.exp(2)],
    [s.mul(s.scalar('rate'), s.floor(x)), 2.9, 6],
    [s.max(s.sqrt(x), s.abs(s.sub(x, s.constant(10)))), 4, 6],
  ])('%#', (expression, at, expected) => {
    expect(evaluateScalar(expression, [at], { rate: 3 })).toBe(expected);
  });

  it('names a scalar without a value', () => {
    expect(() => evaluateScalar(s.scalar('rate'), [], {})).toThrow(/scalar 'rate' has no value/);
  });
});

describe('simplify', () => {
  it('shortens', () => {
    expect(simplify(s.mul(s.constant(1), s.sub(x, s.constant(0))))).toEqual(x);
    expect(simplify(s.neg(s.neg(s.div(x, s.constant(-1)))))).toEqual(s.neg(x));
    expect(simplify(s.select(s.lt(s.constant(1), s.constant(2)), x, s.exp(x)))).toEqual(x);
    expect(simplify(s.add(s.constant(0.1), s.constant(0.2)))).toEqual(
      s.constant(Math.fround(Math.fround(0.1) + Math.fround(0.2))),
    );
  });

  it('keeps what matters to -0, NaN and infinities', () => {
    for (const kept of [
      s.add(x, s.constant(0)),
      s.mul(x, s.constant(0)),
      s.sub(x, s.constant(-0)),
      s.sub(x, x),
    ]) {
      expect(simplify(kept)).toEqual(kept);
    }
  });

  it('never changes a float32 result', () => {
    const leaf = fc.oneof(
      fc.constantFrom(0, -0, 1, -1, 2, 0.5, Infinity).map(s.constant),
      fc.constantFrom(0, 1).map(s.input),
    );
    const { tree } = fc.letrec<{ tree: s.Expression }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.constantFrom(s.neg, s.abs, s.floor).chain((op) => tie('tree').map(op)),
        fc
          .tuple(
            fc.constantFrom(s.add, s.sub, s.mul, s.div, s.max, s.min, s.lt, s.eq),
            tie('tree'),
            tie('tree'),
          )
          .map(([op, a, b]) => op(a, b)),
        fc.tuple(tie('tree'), tie('tree'), tie('tree')).map(([c, a, b]) => s.select(c, a, b)),
      ),
    }));
    const number = fc.constantFrom(0, -0, 1, -1, 3, 0.25, Infinity, -Infinity, Number.NaN);
    fc.assert(
      fc.property(tree, number, number, (expression, a, b) => {
        const before = rounded(expression, [a, b]);
        expect(rounded(simplify(expression), [a, b])).toBe(before);
      }),
    );
  });
});

/** Evaluates with every intermediate result rounded to float32, as generated code does. */
function rounded(expression: s.Expression, inputs: readonly number[]): number {
  const go = (inner: s.Expression): s.Expression => s.constant(rounded(inner, inputs));
  switch (expression.kind) {
    case 'unary':
      return Math.fround(evaluateScalar({ ...expression, a: go(expression.a) }, inputs));
    case 'binary':
    case 'compare':
      return Math.fround(evaluateScalar({ ...expression, a: go(expression.a), b: go(expression.b) }, inputs));
    case 'select':
      return rounded(rounded(expression.condition, inputs) !== 0 ? expression.a : expression.b, inputs);
    default:
      return Math.fround(evaluateScalar(expression, inputs));
  }
}
