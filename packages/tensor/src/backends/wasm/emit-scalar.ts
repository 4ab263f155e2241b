/** Scalar expressions as SIMD code, four elements at a time. */

import type { FunctionBuilder, Local } from '../../assembler.ts';
import type { Expression, UnaryOp } from '../../scalar/expression.ts';
import {
  emitErf,
  emitExp,
  emitGelu,
  emitGeluSlope,
  emitLog,
  emitSilu,
  emitSoftplus,
  emitTanh,
} from './transcendentals.ts';
import { emitSine, emitWide } from './wide.ts';

export interface ScalarEnvironment {
  /** Pushes the four elements of an input. */
  readonly input: (index: number) => void;
  /** Pushes a number that is known only when the kernel runs, in all lanes. */
  readonly scalar: (name: string) => void;
}

/** Each takes what is on the stack. */
const unary: Readonly<Record<UnaryOp, (f: FunctionBuilder) => void>> = {
  neg: (f) => f.op('f32x4Neg'),
  abs: (f) => f.op('f32x4Abs'),
  sqrt: (f) => f.op('f32x4Sqrt'),
  floor: (f) => f.op('f32x4Floor'),
  exp: emitExp,
  log: emitLog,
  tanh: emitTanh,
  erf: emitErf,
  sin: (f) => emitSine(f, 'sin'),
  cos: (f) => emitSine(f, 'cos'),
  softplus: emitSoftplus,
  silu: emitSilu,
  gelu: emitGelu,
  geluSlope: emitGeluSlope,
};
const binaryInstructions = {
  add: 'f32x4Add',
  sub: 'f32x4Sub',
  mul: 'f32x4Mul',
  div: 'f32x4Div',
  max: 'f32x4Max',
  min: 'f32x4Min',
} as const;
const compareInstructions = {
  lt: 'f32x4Lt',
  le: 'f32x4Le',
  gt: 'f32x4Gt',
  ge: 'f32x4Ge',
  eq: 'f32x4Eq',
  ne: 'f32x4Ne',
} as const;

/** Emits expressions into one function; what several of them share is computed once. */
export class ScalarEmitter {
  readonly #f: FunctionBuilder;
  readonly #environment: ScalarEnvironment;
  readonly #done = new Map<Expression, Local>();
  readonly #shared: ReadonlySet<Expression>;

  constructor(f: FunctionBuilder, environment: ScalarEnvironment, expressions: readonly Expression[]) {
    this.#f = f;
    this.#environment = environment;
    this.#shared = usedTwice(expressions);
  }

  /** Pushes the value of an expression. */
  emit(expression: Expression): void {
    const known = this.#done.get(expression);
    if (known !== undefined) {
      this.#f.get(known);
      return;
    }
    this.#compute(expression);
    if (!this.#shared.has(expression) || expression.kind === 'constant') return;
    const local = this.#f.local('v128');
    this.#f.tee(local);
    this.#done.set(expression, local);
  }

  #compute(expression: Expression): void {
    const f = this.#f;
    switch (expression.kind) {
      case 'constant':
        f.f32x4(expression.value);
        break;
      case 'input':
        this.#environment.input(expression.index);
        break;
      case 'scalar':
        this.#environment.scalar(expression.name);
        break;
      case 'unary':
        this.emit(expression.a);
        unary[expression.op](f);
        break;
      case 'binary':
        this.emit(expression.a);
        this.emit(expression.b);
        f.op(binaryInstructions[expression.op]);
        break;
      case 'compare':
        this.#mask(expression);
        f.f32x4(1).op('v128And');
        break;
      case 'wide': {
        const args = expression.args.map((arg) => {
          const four = f.local('v128');
          this.emit(arg);
          f.set(four);
          return four;
        });
        emitWide(f, expression.body, args);
        break;
      }
      case 'select':
        this.emit(expression.a);
        this.emit(expression.b);
        this.#mask(expression.condition);
        f.op('v128Bitselect');
        break;
    }
  }

  /** Pushes all ones in the lanes where the condition is not zero. */
  #mask(condition: Expression): void {
    if (condition.kind === 'compare' && !this.#done.has(condition)) {
      this.emit(condition.a);
      this.emit(condition.b);
      this.#f.op(compareInstructions[condition.op]);
    } else {
      this.emit(condition);
      this.#f.f32x4(0).op('f32x4Ne');
    }
  }
}

/** Expressions that occur more than once, by identity. */
function usedTwice(expressions: readonly Expression[]): Set<Expression> {
  const seen = new Set<Expression>();
  const twice = new Set<Expression>();
  const visit = (expression: Expression): void => {
    if (seen.has(expression)) {
      twice.add(expression);
      return;
    }
    seen.add(expression);
    if (expression.kind === 'wide') expression.args.forEach(visit);
    for (const key of ['condition', 'a', 'b'] as const) {
      if (key in expression) visit((expression as unknown as Record<typeof key, Expression>)[key]);
    }
  };
  for (const expression of expressions) visit(expression);
  return twice;
}
