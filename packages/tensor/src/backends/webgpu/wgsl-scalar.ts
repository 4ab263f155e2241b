/**
 * Scalar expressions as WGSL. The language leaves NaN, infinity and the ends of some functions to the implementation, so
 * those that it does not define are written out here.
 */

import type { BinaryOp, CompareOp, Expression, UnaryOp } from '../../scalar/expression.ts';
import { substitute } from '../../scalar/substitute.ts';

/** How tensors of halves are held: as f16, or as f32 rounded to what f16 can hold, for devices without shader-f16. */
export type Halves = 'f16' | 'rounded';

const unary: Readonly<Record<UnaryOp, (a: string) => string>> = {
  neg: (a) => `(-${a})`,
  abs: (a) => `abs(${a})`,
  sqrt: (a) => `sqrt(${a})`,
  floor: (a) => `floor(${a})`,
  exp: (a) => `exponential(${a})`,
  log: (a) => `logarithm(${a})`,
  tanh: (a) => `hyperbolic(${a})`,
  erf: (a) => `error_function(${a})`,
  sin: (a) => `sine(${a}, 0i)`,
  cos: (a) => `sine(${a}, 1i)`,
  softplus: (a) => `soft_plus(${a})`,
  silu: (a) => `(max(${a}, -1e30f) * logistic(${a}))`,
  gelu: (a) => `(max(${a}, -1e30f) * normal_distribution(${a}))`,
  geluSlope: (a) => `gelu_slope(${a})`,
};

const binary: Readonly<Record<BinaryOp, (a: string, b: string) => string>> = {
  add: (a, b) => `(${a} + ${b})`,
  sub: (a, b) => `(${a} - ${b})`,
  mul: (a, b) => `(${a} * ${b})`,
  div: (a, b) => `(${a} / ${b})`,
  max: (a, b) => `larger(${a}, ${b})`,
  min: (a, b) => `smaller(${a}, ${b})`,
};

const compare: Readonly<Record<CompareOp, string>> = {
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
  eq: '==',
  ne: '!=',
};

/**
 * Functions that code may call, each after those that it calls itself. `special` makes what WGSL has no literal for; its second
 * argument is 0, which only the device knows.
 */
const library: readonly string[] = [
  /* wgsl */ `fn special(bits: u32, zero: u32) -> f32 { return bitcast<f32>(bits | zero); }`,
  /* wgsl */ `fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }`,
  /* wgsl */ `fn is_infinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }`,
  /* wgsl */ `fn nothing(zero: u32) -> f32 { return special(0x7fc00000u, zero); }`,
  /* wgsl */ `fn larger(a: f32, b: f32) -> f32 { if (is_nan(a)) { return a; } if (is_nan(b)) { return b; } return max(a, b); }`,
  /* wgsl */ `fn smaller(a: f32, b: f32) -> f32 { if (is_nan(a)) { return a; } if (is_nan(b)) { return b; } return min(a, b); }`,
  /* wgsl */ `fn exponential(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (x > 88.72284) { return special(0x7f800000u, at[3].w); }
  if (x < -103.97) { return 0.0; }
  return exp(x);
}`,
  /* wgsl */ `fn logarithm(x: f32) -> f32 {
  if (is_nan(x) || bitcast<u32>(x) == 0x7f800000u) { return x; }
  if (x == 0.0) { return special(0xff800000u, at[3].w); }
  if (x < 0.0) { return nothing(at[3].w); }
  return log(x);
}`,
  /* wgsl */ `fn hyperbolic(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  let z = x * x;
  if (a < 0.625) {
    return x + x * z * ((((-5.70498872745e-3 * z + 2.06390887954e-2) * z - 5.37397155531e-2) * z + 1.33314422036e-1) * z
      - 3.33332819422e-1);
  }
  return sign(x) * (1.0 - 2.0 / (exp(2.0 * min(a, 20.0)) + 1.0));
}`,
  /* wgsl */ `fn logistic(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let e = exponential(-abs(x));
  return select(1.0, e, x < 0.0) / (1.0 + e);
}`,
  /* wgsl */ `fn soft_plus(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let e = exponential(-abs(x));
  let s = e / (2.0 + e);
  let z = s * s;
  let series = (((0.2428955888 * z + 0.2143074046) * z + 0.2861659678) * z + 0.3999888835) * z + 0.666666755;
  return max(x, 0.0) + (2.0 * s + s * z * series);
}`,
  /* wgsl */ `fn normal_distribution(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let t = min(abs(x), 14.4);
  let high = bitcast<f32>(bitcast<u32>(t) & 0xfffff000u);
  let rest = (t - high) * (t + high) * 0.5;
  let p = (((4.123818826e-3 * t + 4.068371115e-2) * t + 0.1833847265) * t + 0.4384965971) * t + 0.500000003;
  let q = ((((1.033676281e-2 * t + 0.1019853193) * t + 0.4698655828) * t + 1.203124051) * t + 1.674878181) * t + 1.0;
  let tail = p / q * exponential(-0.5 * high * high) * exponential(-rest);
  return select(1.0 - tail, tail, x < 0.0);
}`,
  /* wgsl */ `fn gelu_slope(x: f32) -> f32 {
  let v = clamp(x, -15.0, 15.0);
  return normal_distribution(x) + v * 0.3989422804014327 * exponential(-0.5 * v * v);
}`,
  /* wgsl */ `fn error_function(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  let z = x * x;
  if (a < 0.9) {
    return x + x * (((((-6.090356036e-4 * z + 5.011961958e-3) * z - 2.677890824e-2) * z + 0.1128214079) * z - 0.3761252327) * z
      + 0.1283791538);
  }
  return sign(x) * (1.0 - 2.0 * normal_distribution(-1.4142135623730951 * a));
}`,
  /* wgsl */ `fn sine(x: f32, quarters: i32) -> f32 {
  if (is_nan(x) || is_infinite(x)) { return nothing(at[3].w); }
  let n = floor(x * 0.6366197723675814 + 0.5);
  let r = ((x - n * 1.5703125) - n * 4.837512969970703e-4) - n * 7.549789948768648e-8;
  let z = r * r;
  let k = i32(n) + quarters;
  var value = r + r * z * ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1);
  if ((k & 1) == 1) {
    value = 1.0 - 0.5 * z + z * z * ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2);
  }
  return select(value, -value, (k & 2) == 2);
}`,
];

/**
 * To a half: what is no number stays that, and what is too large becomes infinite, as IEEE says and WGSL leaves open. The second
 * form holds the half in an f32.
 */
const toHalf: Readonly<Record<Halves, string>> = {
  f16: /* wgsl */ `fn half(v: f32, zero: u32) -> f16 {
  if (is_nan(v)) { return bitcast<vec2<f16>>(0x7e00u | zero).x; }
  if (abs(v) >= 65520.0) { return bitcast<vec2<f16>>(select(0x7c00u, 0xfc00u, v < 0.0) | zero).x; }
  return f16(clamp(v, -65504.0, 65504.0));
}`,
  rounded: /* wgsl */ `fn half(v: f32, zero: u32) -> f32 {
  if (is_nan(v)) { return v; }
  if (abs(v) >= 65520.0) { return special(select(0x7f800000u, 0xff800000u, v < 0.0), zero); }
  return quantizeToF16(clamp(v, -65504.0, 65504.0));
}`,
};

/** The functions of the library that the code calls, and those that they call. */
export function libraryFor(code: string, halves: Halves): string {
  const taken: string[] = [];
  let text = code;
  for (const body of [...library, toHalf[halves]].reverse()) {
    const name = /^fn (\w+)/.exec(body)![1]!;
    if (!text.includes(`${name}(`)) continue;
    taken.unshift(body);
    text += body;
  }
  return taken.join('\n');
}

/** A float32 as WGSL. */
export function literal(value: number): string {
  const rounded = Math.fround(value);
  if (Number.isFinite(rounded)) {
    const text = rounded.toExponential();
    return Object.is(rounded, -0) ? '(-0.0f)' : `${rounded < 0 ? `(${text}f)` : `${text}f`}`;
  }
  const bits = new Uint32Array(Float32Array.of(rounded).buffer)[0]!;
  return `special(0x${bits.toString(16)}u, at[3].w)`;
}

/** Statements that compute an expression, and the name or literal of its value. `inputs` are names. */
export function scalarCode(
  expression: Expression,
  inputs: readonly string[],
): { readonly statements: readonly string[]; readonly value: string } {
  const statements: string[] = [];
  const done = new Map<Expression, string>();
  const visit = (node: Expression): string => {
    const known = done.get(node);
    if (known !== undefined) return known;
    const code = codeOf(node);
    if (node.kind === 'constant' || node.kind === 'input') return code;
    const name = `t${statements.length}`;
    statements.push(`let ${name} = ${code};`);
    done.set(node, name);
    return name;
  };
  const codeOf = (node: Expression): string => {
    switch (node.kind) {
      case 'constant':
        return literal(node.value);
      case 'input':
        return inputs[node.index]!;
      case 'scalar':
        throw new Error(`scalar '${node.name}' has no place in a graph`);
      // There is no float64 on a device.
      case 'wide':
        return visit(substitute(node.body, node.args));
      case 'unary':
        return unary[node.op](visit(node.a));
      case 'binary':
        return binary[node.op](visit(node.a), visit(node.b));
      case 'compare':
        return `select(0.0f, 1.0f, ${visit(node.a)} ${compare[node.op]} ${visit(node.b)})`;
      case 'select':
        return `select(${visit(node.b)}, ${visit(node.a)}, ${visit(node.condition)} != 0.0f)`;
    }
  };
  const value = visit(expression);
  return { statements, value };
}
