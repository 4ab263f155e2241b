/**
 * The scalar expression language: what a pointwise operation does to one element. One expression serves every backend:
 * `evaluate.ts` runs it in float64, `backends/wasm/emit-scalar.ts` makes SIMD of it.
 */
export type UnaryOp =
  | 'neg'
  | 'abs'
  | 'sqrt'
  | 'floor'
  | 'exp'
  | 'log'
  | 'tanh'
  | 'erf'
  | 'sin'
  | 'cos'
  /** log(1 + exp(x)), x / (1 + exp(-x)), x times the normal distribution function: composed of others they would lose digits. */
  | 'softplus'
  | 'silu'
  | 'gelu'
  /** The slope of gelu. */
  | 'geluSlope';
export type BinaryOp = 'add' | 'sub' | 'mul' | 'div' | 'max' | 'min';
/** Comparisons give 1 or 0. */
export type CompareOp = 'lt' | 'le' | 'gt' | 'ge' | 'eq' | 'ne';

export type Expression =
  | { readonly kind: 'constant'; readonly value: number }
  /** The element of input number `index`. */
  | { readonly kind: 'input'; readonly index: number }
  /** A number that is known only when the kernel runs (a learning rate). */
  | { readonly kind: 'scalar'; readonly name: string }
  | { readonly kind: 'unary'; readonly op: UnaryOp; readonly a: Expression }
  | { readonly kind: 'binary'; readonly op: BinaryOp; readonly a: Expression; readonly b: Expression }
  | { readonly kind: 'compare'; readonly op: CompareOp; readonly a: Expression; readonly b: Expression }
  /** `condition` non-zero: a, else b. Both sides are computed. */
  | {
      readonly kind: 'select';
      readonly condition: Expression;
      readonly a: Expression;
      readonly b: Expression;
    }
  /**
   * A body whose inputs are `args`, with its arithmetic in float64, rounded to float32 once. For what would lose digits otherwise and is not
   * run often: exp, log, sin and cos (of up to 2^25), abs, neg, floor, binary operations, comparisons and select.
   */
  | { readonly kind: 'wide'; readonly body: Expression; readonly args: readonly Expression[] };

const unary =
  (op: UnaryOp) =>
  (a: Expression): Expression => ({ kind: 'unary', op, a });
const binary =
  (op: BinaryOp) =>
  (a: Expression, b: Expression): Expression => ({ kind: 'binary', op, a, b });
const compare =
  (op: CompareOp) =>
  (a: Expression, b: Expression): Expression => ({ kind: 'compare', op, a, b });

export const constant = (value: number): Expression => ({ kind: 'constant', value });
export const input = (index: number): Expression => ({ kind: 'input', index });
export const scalar = (name: string): Expression => ({ kind: 'scalar', name });
export const neg = unary('neg');
export const abs = unary('abs');
export const sqrt = unary('sqrt');
export const floor = unary('floor');
export const exp = unary('exp');
export const log = unary('log');
export const tanh = unary('tanh');
export const erf = unary('erf');
export const sin = unary('sin');
export const cos = unary('cos');
export const softplus = unary('softplus');
export const silu = unary('silu');
export const gelu = unary('gelu');
export const geluSlope = unary('geluSlope');
export const add = binary('add');
export const sub = binary('sub');
export const mul = binary('mul');
export const div = binary('div');
export const max = binary('max');
export const min = binary('min');
export const lt = compare('lt');
export const le = compare('le');
export const gt = compare('gt');
export const ge = compare('ge');
export const eq = compare('eq');
export const ne = compare('ne');
export const wide = (body: Expression, ...args: readonly Expression[]): Expression => ({
  kind: 'wide',
  body,
  args,
});
export const select = (condition: Expression, a: Expression, b: Expression): Expression => ({
  kind: 'select',
  condition,
  a,
  b,
});
