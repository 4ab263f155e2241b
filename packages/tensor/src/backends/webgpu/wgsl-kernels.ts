/**
 * The steps of a plan as WGSL. All tensors lie in one buffer `m` of 32-bit words; where a step's tensors lie comes with each
 * dispatch (`at`), so that steps of the same shapes share a pipeline. Mostly one invocation computes one element.
 */
import type { Node } from '../../graph.ts';
import { dropoutMaskOp, dropoutScale, dropoutThreshold } from '../../ops/dropout-mask.ts';
import { rowsOf } from '../../ops/gather.ts';
import type { KernelOpName, ViewOpName } from '../../ops/index.ts';
import { iotaOp } from '../../ops/leaf.ts';
import { matmulOp, matmulSizes } from '../../ops/matmul.ts';
import { attributesOf } from '../../ops/op.ts';
import { concatOp, padOp } from '../../ops/parts.ts';
import { maxReduceOp, sumOp } from '../../ops/reduce.ts';
import { foldOp } from '../../ops/window.ts';
import type { PlanStep } from '../../plan/plan.ts';
import { type Shape, sizeOf, stridesOf } from '../../shape.ts';
import { convolutionInputGradient, convolutionWeightGradient, convolve } from './wgsl-convolution.ts';
import { libraryFor, literal, scalarCode } from './wgsl-scalar.ts';

/** One dispatch: code, workgroups, and the addresses, in words, that the code finds in `at`. */
export interface Dispatch {
  readonly code: string;
  readonly workgroups: readonly [number, number, number];
  /** At most 12. */
  readonly addresses: readonly number[];
}

/** Word of `m` where a kernel leaves an index that is out of range, plus 1, and the number of rows. */
export const FAULT_WORD = 0;

const THREADS = 64;
const MOST_GROUPS = 65535;
/** Side of a tile of the matrix product, and of the part of it that one invocation computes. */
const TILE = 32;
const PER_THREAD = 4;

/** A whole module: the bindings, what the code calls, and the code. */
const moduleOf = (code: string) => /* wgsl */ `@group(0) @binding(0) var<storage, read_write> m: array<f32>;
@group(0) @binding(1) var<uniform> at: array<vec4<u32>, 4>;
${libraryFor(code)}
${code}`;

/** Words that the step's addresses are, as WGSL: a0, a1 ... */
const address = (index: number) => `at[${index >> 2}].${'xyzw'[index & 3]}`;

/** A kernel that runs `body` for each e from 0 to `count` - 1. */
function each(count: number, addresses: readonly number[], body: string): Dispatch[] {
  if (count === 0) return [];
  const groups = Math.ceil(count / THREADS);
  const x = Math.min(groups, MOST_GROUPS);
  const code = moduleOf(`
@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let e = id.y * groups.x * ${THREADS}u + id.x;
  if (e >= ${count}u) { return; }
  ${body}
}`);
  return [{ code, workgroups: [x, Math.ceil(groups / x), 1], addresses }];
}

/** Signed words from the start of a tensor, of element e of a shape, as the strides lead: for WGSL, as i32. */
function placeOf(shape: Shape, strides: readonly number[], element = 'e'): string {
  const own = stridesOf(shape);
  const terms = shape.flatMap((extent, axis) => {
    if (extent <= 1 || strides[axis] === 0) return [];
    const coordinate =
      axis === 0 ? `(${element} / ${own[0]}u)` : `((${element} / ${own[axis]}u) % ${extent}u)`;
    return [`i32(${coordinate}) * ${strides[axis]}`];
  });
  return terms.length === 0 ? '0' : terms.join(' + ');
}

/** The dispatches of a step; none when there is nothing to compute. `place` gives a tensor's first word. */
export function dispatchesOf(step: PlanStep, place: (node: Node) => number): Dispatch[] {
  const { output } = step;
  if (step.kind === 'pointwise') {
    const names = step.operands.map((_, i) => `x${i}`);
    const reads = step.operands.map(
      ({ strides }, i) => `let x${i} = m[i32(${address(i)}) + ${placeOf(output.shape, strides)}];`,
    );
    const { statements, value } = scalarCode(step.expression, names);
    const to = `m[${address(step.operands.length)} + e] = ${value};`;
    const addresses = [...step.operands.map(({ base, offset }) => place(base) + offset), place(output)];
    return each(sizeOf(output.shape), addresses, [...reads, ...statements, to].join('\n  '));
  }
  const emit = kernels[output.op as Exclude<KernelOpName, ViewOpName>];
  return emit(output, [...step.inputs.map(place), place(output)]);
}

/** Addresses are those of the inputs, then that of the output. */
type Emit = (node: Node, addresses: readonly number[]) => Dispatch[];

const kernels: Readonly<Record<Exclude<KernelOpName, ViewOpName>, Emit>> = {
  matmul,
  conv2d: (node, addresses) => each(sizeOf(node.shape), addresses, convolve(node)),
  conv2dInputGradient: (node, addresses) =>
    each(sizeOf(node.shape), addresses, convolutionInputGradient(node)),
  conv2dWeightGradient: (node, addresses) =>
    each(sizeOf(node.shape), addresses, convolutionWeightGradient(node)),
  sum: (node, addresses) =>
    reduction(node, addresses, attributesOf(sumOp, node).axes, 0, (a, b) => `${a} + ${b}`),
  maxReduce: (node, addresses) =>
    reduction(
      node,
      addresses,
      attributesOf(maxReduceOp, node).axes,
      -Infinity,
      (a, b) => `larger(${a}, ${b})`,
    ),

  pad: (node, addresses) => {
    const { low, interior, value } = attributesOf(padOp, node);
    const { shape } = node.inputs[0]!;
    const own = stridesOf(node.shape);
    const strides = stridesOf(shape);
    const lines = node.shape.map((extent, axis) => {
      const gap = interior[axis]! + 1;
      return `let c${axis} = i32((e / ${own[axis]}u) % ${extent}u) - ${low[axis]};
  if (c${axis} < 0 || c${axis} % ${gap} != 0 || c${axis} / ${gap} >= ${shape[axis]}) { m[to] = filling; return; }`;
    });
    const from =
      shape.map((_, axis) => `(c${axis} / ${interior[axis]! + 1}) * ${strides[axis]}`).join(' + ') || '0';
    const body = `let to = ${address(1)} + e; let filling = ${literal(value)};
  ${lines.join('\n  ')}
  m[to] = m[i32(${address(0)}) + ${from}];`;
    return each(sizeOf(node.shape), addresses, body);
  },

  concat: (node, addresses) => {
    const { axis } = attributesOf(concatOp, node);
    const strides = stridesOf(node.shape);
    let to = addresses.at(-1)!;
    return node.inputs.flatMap(({ shape }, i) => {
      const start = to;
      to += shape[axis]! * strides[axis]!;
      const body = `m[i32(${address(1)}) + ${placeOf(shape, strides)}] = m[${address(0)} + e];`;
      return each(sizeOf(shape), [addresses[i]!, start], body);
    });
  },

  fold: (node, addresses) => {
    const { axis, size, stride, dilation } = attributesOf(foldOp, node);
    const windows = node.inputs[0]!.shape[axis]!;
    const inner = sizeOf(node.shape.slice(axis + 1));
    const extent = node.shape[axis]!;
    const body = `let i = e % ${inner}u; let c = i32((e / ${inner}u) % ${extent}u); let o = e / ${inner * extent}u;
  var sum = 0.0f;
  for (var place = 0; place < ${size}; place++) {
    let start = c - place * ${dilation};
    if (start >= 0 && start % ${stride} == 0 && start / ${stride} < ${windows}) {
      let w = u32(start / ${stride});
      sum += m[${address(0)} + ((o * ${windows}u + w) * ${size}u + u32(place)) * ${inner}u + i];
    }
  }
  m[${address(1)} + e] = sum;`;
    return each(sizeOf(node.shape), addresses, body);
  },

  iota: (node, addresses) => {
    const { axis } = attributesOf(iotaOp, node);
    const inner = sizeOf(node.shape.slice(axis + 1));
    return each(
      sizeOf(node.shape),
      addresses,
      `m[${address(0)} + e] = f32((e / ${inner}u) % ${node.shape[axis]}u);`,
    );
  },

  gather: (node, addresses) => {
    const [rows, row] = [rowsOf(node), sizeOf(node.inputs[0]!.shape.slice(1))];
    const body = `let index = bitcast<u32>(m[${address(1)} + e / ${row}u]);
  ${checkIndex(rows)}
  m[${address(2)} + e] = m[${address(0)} + index * ${row}u + e % ${row}u];`;
    return each(sizeOf(node.shape), addresses, body);
  },

  /** One invocation an element of the table looks through all indices: no atomic addition of floats in WGSL, and a fixed order. */
  scatterAdd: (node, addresses) => {
    const [rows, row] = [rowsOf(node), sizeOf(node.shape.slice(1))];
    const count = sizeOf(node.inputs[1]!.shape);
    const body = `let own = e / ${row}u; let column = e % ${row}u;
  var sum = 0.0f;
  for (var i = 0u; i < ${count}u; i++) {
    let index = bitcast<u32>(m[${address(1)} + i]);
    ${checkIndex(rows)}
    if (index == own) { sum += m[${address(0)} + i * ${row}u + column]; }
  }
  m[${address(2)} + e] = sum;`;
    return each(sizeOf(node.shape), addresses, body);
  },

  toIndex: (node, addresses) => {
    const body = `let x = m[${address(0)} + e];
  var index = -1;
  if (!is_nan(x) && abs(x) < 2147483648.0f && floor(x) == x) { index = i32(x); }
  m[${address(1)} + e] = bitcast<f32>(index);`;
    return each(sizeOf(node.shape), addresses, body);
  },

  argmax: (node, addresses) =>
    each(sizeOf(node.shape), addresses, `${findLargest(node)}\n  m[${address(1)} + e] = bitcast<f32>(best);`),

  argmaxEquals: (node, addresses) => {
    const equal = `bitcast<i32>(best) == bitcast<i32>(m[${address(1)} + e])`;
    return each(
      sizeOf(node.shape),
      addresses,
      `${findLargest(node)}\n  m[${address(2)} + e] = select(0.0f, 1.0f, ${equal});`,
    );
  },

  oneHot: (node, addresses) => {
    const classes = node.shape.at(-1)!;
    const equal = `bitcast<u32>(m[${address(0)} + e / ${classes}u]) == e % ${classes}u`;
    return each(sizeOf(node.shape), addresses, `m[${address(1)} + e] = select(0.0f, 1.0f, ${equal});`);
  },

  dropoutMask,
};

const checkIndex = (rows: number) =>
  `if (index >= ${rows}u) {
    m[${FAULT_WORD}] = bitcast<f32>(index); m[${FAULT_WORD + 1}] = bitcast<f32>(${rows}u); return;
  }`;

function findLargest(node: Node): string {
  const classes = node.inputs[0]!.shape.at(-1)!;
  return `let row = ${address(0)} + e * ${classes}u;
  var best = 0u;
  for (var c = 1u; c < ${classes}u; c++) { if (m[row + c] > m[row + best]) { best = c; } }`;
}

/** Tiles of C in registers, tiles of A and B in workgroup memory. */
function matmul(node: Node, addresses: readonly number[]): Dispatch[] {
  const { batch, m, n, k } = matmulSizes(node);
  const { transposeA, transposeB } = attributesOf(matmulOp, node);
  if (batch * m * n === 0) return [];
  const side = TILE / PER_THREAD;
  const threads = side * side;
  const a = transposeA ? `(p * ${m}u + row)` : `(row * ${k}u + p)`;
  const b = transposeB ? `(column * ${k}u + p)` : `(p * ${n}u + column)`;
  const code = moduleOf(`
var<workgroup> tile_a: array<f32, ${TILE * TILE}>;
var<workgroup> tile_b: array<f32, ${TILE * TILE}>;
@compute @workgroup_size(${side}, ${side})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let a = ${address(0)} + group.z * ${m * k}u;
  let b = ${address(1)} + group.z * ${k * n}u;
  let c = ${address(2)} + group.z * ${m * n}u;
  let lane = local.y * ${side}u + local.x;
  var sums: array<f32, ${PER_THREAD * PER_THREAD}>;
  for (var block = 0u; block < ${k}u; block += ${TILE}u) {
    for (var i = lane; i < ${TILE * TILE}u; i += ${threads}u) {
      let high = i / ${TILE}u;
      let low = i % ${TILE}u;
      {
        let row = group.y * ${TILE}u + high;
        let p = block + low;
        var value = 0.0f;
        if (row < ${m}u && p < ${k}u) { value = m[a + ${a}]; }
        tile_a[i] = value;
      }
      {
        let p = block + high;
        let column = group.x * ${TILE}u + low;
        var value = 0.0f;
        if (column < ${n}u && p < ${k}u) { value = m[b + ${b}]; }
        tile_b[i] = value;
      }
    }
    workgroupBarrier();
    for (var p = 0u; p < min(${TILE}u, ${k}u - block); p++) {
      for (var i = 0u; i < ${PER_THREAD}u; i++) {
        let left = tile_a[(local.y * ${PER_THREAD}u + i) * ${TILE}u + p];
        for (var j = 0u; j < ${PER_THREAD}u; j++) {
          sums[i * ${PER_THREAD}u + j] += left * tile_b[p * ${TILE}u + local.x * ${PER_THREAD}u + j];
        }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < ${PER_THREAD}u; i++) {
    for (var j = 0u; j < ${PER_THREAD}u; j++) {
      let row = group.y * ${TILE}u + local.y * ${PER_THREAD}u + i;
      let column = group.x * ${TILE}u + local.x * ${PER_THREAD}u + j;
      if (row < ${m}u && column < ${n}u) { m[c + row * ${n}u + column] = sums[i * ${PER_THREAD}u + j]; }
    }
  }
}`);
  const tiles = [Math.ceil(n / TILE), Math.ceil(m / TILE)] as const;
  if (batch <= MOST_GROUPS) return [{ code, workgroups: [...tiles, batch], addresses }];
  const [from, other, to] = addresses as readonly [number, number, number];
  return Array.from({ length: Math.ceil(batch / MOST_GROUPS) }, (_, part) => {
    const start = part * MOST_GROUPS;
    return {
      code,
      workgroups: [...tiles, Math.min(MOST_GROUPS, batch - start)],
      addresses: [from + start * m * k, other + start * k * n, to + start * m * n],
    };
  });
}

/** A workgroup an output: its invocations take every 64th element each, then combine what they have as a tree. */
function reduction(
  node: Node,
  addresses: readonly number[],
  axes: readonly number[],
  start: number,
  combine: (a: string, b: string) => string,
): Dispatch[] {
  const { shape } = node.inputs[0]!;
  const strides = stridesOf(shape);
  const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const pick = (list: readonly number[], of: readonly number[]) => of.map((axis) => list[axis]!);
  const from = placeOf(pick(shape, kept), pick(strides, kept));
  const along = placeOf(pick(shape, axes), pick(strides, axes), 'i');
  const [outputs, length] = [sizeOf(node.shape), sizeOf(pick(shape, axes))];
  if (length < THREADS) {
    const body = `let source = i32(${address(0)}) + ${from};
  var total = ${literal(start)};
  for (var i = 0u; i < ${length}u; i++) { total = ${combine('total', `m[source + ${along}]`)}; }
  m[${address(1)} + e] = total;`;
    return each(outputs, addresses, body);
  }
  if (outputs === 0) return [];
  const x = Math.min(outputs, MOST_GROUPS);
  const code = moduleOf(`
var<workgroup> parts: array<f32, ${THREADS}>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let e = group.y * groups.x + group.x;
  let source = i32(${address(0)}) + ${from};
  var total = ${literal(start)};
  if (e < ${outputs}u) {
    for (var i = lane; i < ${length}u; i += ${THREADS}u) { total = ${combine('total', `m[source + ${along}]`)}; }
  }
  parts[lane] = total;
  workgroupBarrier();
  for (var half = ${THREADS / 2}u; half > 0u; half = half / 2u) {
    if (lane < half) { parts[lane] = ${combine('parts[lane]', 'parts[lane + half]')}; }
    workgroupBarrier();
  }
  if (lane == 0u && e < ${outputs}u) { m[${address(1)} + e] = parts[0]; }
}`);
  return [{ code, workgroups: [x, Math.ceil(outputs / x), 1], addresses }];
}

/** Philox 4x32-10; one invocation makes four elements. */
function dropoutMask(node: Node, addresses: readonly number[]): Dispatch[] {
  const { layer, rate, shape } = attributesOf(dropoutMaskOp, node);
  const size = sizeOf(shape);
  const quads = Math.ceil(size / 4);
  const body = `let sample = e / ${quads}u; let group = e % ${quads}u;
  var c = vec4<u32>(group, bitcast<u32>(m[${address(0)} + sample]), bitcast<u32>(m[${address(1)} + 2u]), ${layer}u);
  var key = vec2<u32>(bitcast<u32>(m[${address(1)}]), bitcast<u32>(m[${address(1)} + 1u]));
  for (var round = 0; round < 10; round++) {
    let a = c.x; let b = c.z;
    c = vec4<u32>(high_word(0xcd9e8d57u, b) ^ c.y ^ key.x, 0xcd9e8d57u * b, high_word(0xd2511f53u, a) ^ c.w ^ key.y, 0xd2511f53u * a);
    key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  for (var i = 0u; i < 4u; i++) {
    let element = group * 4u + i;
    if (element < ${size}u) {
      m[${address(2)} + sample * ${size}u + element] =
        select(0.0f, ${literal(dropoutScale(rate))}, (c[i] >> 8u) >= ${dropoutThreshold(rate)}u);
    }
  }`;
  const highWord = `
fn high_word(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let carry = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (carry >> 16u);
}
`;
  return each(node.shape[0]! * quads, addresses, body).map((dispatch) => ({
    ...dispatch,
    code: dispatch.code.replace('@compute', `${highWord}@compute`),
  }));
}
