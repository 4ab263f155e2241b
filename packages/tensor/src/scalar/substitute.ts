import type { Expression } from './expression.ts';

/** The expression with input i replaced by `inputs[i]`. What occurs in it several times is made once, and the same wherever it occurs. */
export function substitute(expression: Expression, inputs: readonly Expression[]): Expression {
  return substituteIn(expression, inputs, new Map());
}

function substituteIn(
  expression: Expression,
  inputs: readonly Expression[],
  made: Map<Expression, Expression>,
): Expression {
  const known = made.get(expression);
  if (known) return known;
  const inside = (part: Expression) => substituteIn(part, inputs, made);
  const replaced = ((): Expression => {
    switch (expression.kind) {
      case 'input':
        return inputs[expression.index]!;
      case 'constant':
      case 'scalar':
        return expression;
      case 'unary':
        return { ...expression, a: inside(expression.a) };
      case 'wide':
        return { ...expression, args: expression.args.map(inside) };
      case 'select':
        return {
          ...expression,
          condition: inside(expression.condition),
          a: inside(expression.a),
          b: inside(expression.b),
        };
      default:
        return { ...expression, a: inside(expression.a), b: inside(expression.b) };
    }
  })();
  made.set(expression, replaced);
  return replaced;
}
