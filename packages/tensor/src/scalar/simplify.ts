/**
 * Rewrites an expression into a shorter one with the same float32 bits for every input, infinities, NaN and -0 included.
 * So x + 0 stays (-0 + 0 is 0) and x * 0 stays; constants are folded with the rounding that they would meet at run time.
 */

import { evaluateScalar } from './evaluate.ts';
import { constant, type Expression, neg } from './expression.ts';

/** Correctly rounded in IEEE 754, hence the same folded or computed; exp, log and tanh belong to the backend. */
const EXACT = new Set(['neg', 'abs', 'sqrt', 'floor']);

export const simplify = (expression: Expression): Expression => simplifyIn(expression, new Map());

/** @param made what parts have become: one that occurs several times is the same wherever it occurs, and is looked at once */
function simplifyIn(expression: Expression, made: Map<Expression, Expression>): Expression {
  const known = made.get(expression);
  if (known) return known;
  const simpler = shorter(expression, (part) => simplifyIn(part, made));
  made.set(expression, simpler);
  return simpler;
}

function shorter(expression: Expression, inside: (part: Expression) => Expression): Expression {
  switch (expression.kind) {
    case 'constant':
    case 'input':
    case 'scalar':
      return expression;
    case 'unary': {
      const a = inside(expression.a);
      if (EXACT.has(expression.op) && a.kind === 'constant') return fold({ ...expression, a });
      if (expression.op === 'neg' && a.kind === 'unary' && a.op === 'neg') return a.a;
      if (expression.op === 'abs' && a.kind === 'unary' && a.op === 'neg') return { ...expression, a: a.a };
      return { ...expression, a };
    }
    case 'binary': {
      const [a, b] = [inside(expression.a), inside(expression.b)];
      if (a.kind === 'constant' && b.kind === 'constant') return fold({ ...expression, a, b });
      if (expression.op === 'mul' && is(a, 1)) return b;
      if ((expression.op === 'mul' || expression.op === 'div') && is(b, 1)) return a;
      if ((expression.op === 'mul' || expression.op === 'div') && is(b, -1)) return neg(a);
      if (expression.op === 'sub' && is(b, 0)) return a;
      return { ...expression, a, b };
    }
    case 'compare': {
      const [a, b] = [inside(expression.a), inside(expression.b)];
      return a.kind === 'constant' && b.kind === 'constant'
        ? fold({ ...expression, a, b })
        : { ...expression, a, b };
    }
    // The constants of a body are float64.
    case 'wide':
      return { ...expression, args: expression.args.map(inside) };
    case 'select': {
      const [a, b] = [inside(expression.a), inside(expression.b)];
      const condition = inside(expression.condition);
      if (condition.kind === 'constant') return condition.value !== 0 ? a : b;
      return { ...expression, condition, a, b };
    }
  }
}

/** True for a constant of exactly this value; 0 does not stand for -0. */
function is(expression: Expression, value: number): boolean {
  return expression.kind === 'constant' && Object.is(expression.value, value);
}

/** Float64 is wide enough that rounding once more to float32 gives the float32 result of + - * / and sqrt. */
function fold(expression: Expression): Expression {
  return constant(Math.fround(evaluateScalar(rounded(expression), [])));
}

/** Its constants as float32, which they are at run time. */
function rounded(expression: Expression): Expression {
  switch (expression.kind) {
    case 'constant':
      return constant(Math.fround(expression.value));
    case 'unary':
      return { ...expression, a: rounded(expression.a) };
    case 'binary':
    case 'compare':
      return { ...expression, a: rounded(expression.a), b: rounded(expression.b) };
    default:
      return expression;
  }
}
