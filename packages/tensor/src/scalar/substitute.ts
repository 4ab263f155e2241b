import type { Expression } from './expression.ts';

/** The expression with input i replaced by `inputs[i]`. */
export function substitute(expression: Expression, inputs: readonly Expression[]): Expression {
  switch (expression.kind) {
    case 'input':
      return inputs[expression.index]!;
    case 'constant':
    case 'scalar':
      return expression;
    case 'unary':
      return { ...expression, a: substitute(expression.a, inputs) };
    case 'wide':
      return { ...expression, args: expression.args.map((arg) => substitute(arg, inputs)) };
    case 'select':
      return {
        ...expression,
        condition: substitute(expression.condition, inputs),
        a: substitute(expression.a, inputs),
        b: substitute(expression.b, inputs),
      };
    default:
      return { ...expression, a: substitute(expression.a, inputs), b: substitute(expression.b, inputs) };
  }
}
