/** The steps of a plan as WGSL. Mostly one invocation computes one element. */
import type { Node } from '../../graph.ts';
import { dropoutMaskOp, dropoutScale, dropoutThreshold } from '../../ops/dropout-mask.ts';
import { rowsOf } from '../../ops/gather.ts';
import type { KernelOpName, ViewOpName } from '../../ops/index.ts';
import { checkLabelsOp, labelsPerSample } from '../../ops/labels.ts';
import { iotaOp } from '../../ops/leaf.ts';
import { matmulSizes } from '../../ops/matmul.ts';
import { attributesOf } from '../../ops/op.ts';
import { concatOp, padOp } from '../../ops/parts.ts';
import { maxReduceOp, sumOp } from '../../ops/reduce.ts';
import { foldOp } from '../../ops/window.ts';
import type { PlanStep } from '../../plan/plan.ts';
import { sizeOf, stridesOf } from '../../shape.ts';
import {
  convolutionInputGradient,
  convolutionProduct,
  convolutionWeightGradient,
  convolve,
} from './wgsl-convolution.ts';
import { matmul, productWorkspace } from './wgsl-matmul.ts';
import { type Dispatch, FAULT_WORD, Kernel, placeOf, type Target, type TensorPlace } from './wgsl-module.ts';
import { addition, maximum, reduction } from './wgsl-reduce.ts';
import { literal, scalarCode } from './wgsl-scalar.ts';
import { longSum } from './wgsl-sums.ts';

/** Bytes that a step needs for itself while it runs. */
export function workspaceOf({ kind, output }: PlanStep): number {
  if (kind === 'pointwise') return 0;
  if (output.op === 'matmul') return productWorkspace(matmulSizes(output));
  const convolution = output.op.startsWith('conv2d') ? convolutionProduct(output) : undefined;
  return convolution ? productWorkspace(convolution) : 0;
}

/**
 * The dispatches of a step; none when there is nothing to compute.
 * @param workspace first word of what `workspaceOf` asked for
 */
export function dispatchesOf(
  step: PlanStep,
  place: (node: Node) => TensorPlace,
  workspace: number | undefined,
  target: Target,
): Dispatch[] {
  const { output } = step;
  if (step.kind === 'kernel') {
    const emit = kernels[output.op as Exclude<KernelOpName, ViewOpName>];
    const own = workspace === undefined ? [] : [{ start: workspace, half: false }];
    return emit(output, new Kernel([...step.inputs.map(place), place(output), ...own], target));
  }
  const operands = step.operands.map(({ base, offset }) => {
    const { start, half } = place(base);
    return { start: start + offset, half };
  });
  const kernel = new Kernel([...operands, place(output)], target);
  const names = step.operands.map((_, i) => `x${i}`);
  const reads = step.operands.map(
    ({ strides }, i) => `let x${i} = ${kernel.readSigned(i, placeOf(output.shape, strides))};`,
  );
  const { statements, value } = scalarCode(step.expression, names);
  const body = [...reads, ...statements, kernel.write(operands.length, 'e', value)];
  return kernel.each(sizeOf(output.shape), body.join('\n  '));
}

/** The kernel's tensors are the node's inputs, then the node, then the workspace if there is one. */
type Emit = (node: Node, kernel: Kernel) => Dispatch[];

/** Sums of nothing are zero; WGSL refuses to compile a division by what would be its length. */
function unlessEmpty(emit: Emit): Emit {
  return (node, kernel) =>
    node.inputs.some(({ shape }) => sizeOf(shape) === 0)
      ? kernel.each(sizeOf(node.shape), kernel.write(node.inputs.length, 'e', '0.0f'))
      : emit(node, kernel);
}

const kernels: Readonly<Record<Exclude<KernelOpName, ViewOpName>, Emit>> = {
  matmul,
  conv2d: unlessEmpty(convolve),
  conv2dInputGradient: unlessEmpty(convolutionInputGradient),
  conv2dWeightGradient: unlessEmpty(convolutionWeightGradient),
  sum: (node, kernel) => reduction(node, kernel, attributesOf(sumOp, node).axes, addition),
  maxReduce: (node, kernel) => reduction(node, kernel, attributesOf(maxReduceOp, node).axes, maximum),

  pad: (node, kernel) => {
    const { low, interior, value } = attributesOf(padOp, node);
    const { shape } = node.inputs[0]!;
    const own = stridesOf(node.shape);
    const strides = stridesOf(shape);
    const lines = node.shape.map((extent, axis) => {
      const gap = interior[axis]! + 1;
      return `let c${axis} = i32((e / ${own[axis]}u) % ${extent}u) - ${low[axis]};
  if (c${axis} < 0 || c${axis} % ${gap} != 0 || c${axis} / ${gap} >= ${shape[axis]}) { ${kernel.write(1, 'e', 'filling')} return; }`;
    });
    const from =
      shape.map((_, axis) => `(c${axis} / ${interior[axis]! + 1}) * ${strides[axis]}`).join(' + ') || '0';
    const body = `let filling = ${literal(value)};
  ${lines.join('\n  ')}
  ${kernel.write(1, 'e', kernel.readSigned(0, from))}`;
    return kernel.each(sizeOf(node.shape), body);
  },

  concat: (node, kernel) => {
    const { axis } = attributesOf(concatOp, node);
    const strides = stridesOf(node.shape);
    const whole = kernel.places[node.inputs.length]!;
    let start = whole.start;
    return node.inputs.flatMap(({ shape }, i) => {
      const part = kernel.on([kernel.places[i]!, { ...whole, start }]);
      start += shape[axis]! * strides[axis]!;
      return part.each(sizeOf(shape), part.write(1, `u32(${placeOf(shape, strides)})`, part.read(0, 'e')));
    });
  },

  fold: (node, kernel) => {
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
      sum += ${kernel.read(0, `((o * ${windows}u + w) * ${size}u + u32(place)) * ${inner}u + i`)};
    }
  }
  ${kernel.write(1, 'e', 'sum')}`;
    return kernel.each(sizeOf(node.shape), body);
  },

  iota: (node, kernel) => {
    const { axis } = attributesOf(iotaOp, node);
    const inner = sizeOf(node.shape.slice(axis + 1));
    return kernel.each(
      sizeOf(node.shape),
      kernel.write(0, 'e', `f32((e / ${inner}u) % ${node.shape[axis]}u)`),
    );
  },

  gather: (node, kernel) => {
    const [rows, row] = [rowsOf(node), sizeOf(node.inputs[0]!.shape.slice(1))];
    const body = `let index = bitcast<u32>(${kernel.read(1, `e / ${row}u`)});
  ${checkIndex(rows)}
  ${kernel.write(2, 'e', kernel.read(0, `index * ${row}u + e % ${row}u`))}`;
    return kernel.each(sizeOf(node.shape), body);
  },

  /** One invocation an element of the table looks through all indices: no atomic addition of floats in WGSL, and a fixed order. */
  scatterAdd: (node, kernel) => {
    const [rows, row] = [rowsOf(node), sizeOf(node.shape.slice(1))];
    const count = sizeOf(node.inputs[1]!.shape);
    const { declare, carry, finish } = longSum('sum', count);
    const body = `let own = e / ${row}u; let column = e % ${row}u;
  var found = 0u;
  ${declare}
  for (var i = 0u; i < ${count}u; i++) {
    let index = bitcast<u32>(${kernel.read(1, 'i')});
    ${checkIndex(rows)}
    if (index == own) { sum += ${kernel.read(0, `i * ${row}u + column`)}; ${carry('found')} found++; }
  }
  ${finish}
  ${kernel.write(2, 'e', 'sum')}`;
    return kernel.each(sizeOf(node.shape), body);
  },

  toIndex: (node, kernel) => {
    const body = `let x = ${kernel.read(0, 'e')};
  var index = -1;
  if (!is_nan(x) && abs(x) < 2147483648.0f && floor(x) == x) { index = i32(x); }
  ${kernel.write(1, 'e', 'bitcast<f32>(index)')}`;
    return kernel.each(sizeOf(node.shape), body);
  },

  checkLabels: (node, kernel) => {
    const { classes } = attributesOf(checkLabelsOp, node);
    const body = `let label = ${kernel.read(0, 'e')};
  if (bitcast<u32>(label) >= ${classes}u) {
    m[${FAULT_WORD}] = label; m[${FAULT_WORD + 1}] = bitcast<f32>(${classes}u);
    m[${FAULT_WORD + 2}] = bitcast<f32>(e); m[${FAULT_WORD + 3}] = bitcast<f32>(${labelsPerSample(node)}u); return;
  }
  ${kernel.write(1, 'e', 'label')}`;
    return kernel.each(sizeOf(node.shape), body);
  },

  argmax: (node, kernel) =>
    kernel.each(
      sizeOf(node.shape),
      `${findLargest(node, kernel)}\n  ${kernel.write(1, 'e', 'bitcast<f32>(best)')}`,
    ),

  argmaxEquals: (node, kernel) => {
    const equal = `bitcast<i32>(best) == bitcast<i32>(${kernel.read(1, 'e')})`;
    const result = kernel.write(2, 'e', `select(0.0f, 1.0f, ${equal} && !is_nan(most))`);
    return kernel.each(sizeOf(node.shape), `${findLargest(node, kernel)}\n  ${result}`);
  },

  oneHot: (node, kernel) => {
    const classes = node.shape.at(-1)!;
    const equal = `bitcast<u32>(${kernel.read(0, `e / ${classes}u`)}) == e % ${classes}u`;
    return kernel.each(sizeOf(node.shape), kernel.write(1, 'e', `select(0.0f, 1.0f, ${equal})`));
  },

  dropoutMask,
};

const checkIndex = (rows: number) =>
  `if (index >= ${rows}u) {
    m[${FAULT_WORD}] = bitcast<f32>(index); m[${FAULT_WORD + 1}] = bitcast<f32>(${rows}u); m[${FAULT_WORD + 3}] = 0.0; return;
  }`;

function findLargest(node: Node, kernel: Kernel): string {
  const classes = node.inputs[0]!.shape.at(-1)!;
  return `let row = e * ${classes}u;
  var best = 0u;
  var most = ${kernel.read(0, 'row')};
  for (var c = 1u; c < ${classes}u; c++) {
    let score = ${kernel.read(0, 'row + c')};
    if (!is_nan(most) && (is_nan(score) || score > most)) { best = c; most = score; }
  }`;
}

/** Philox 4x32-10; one invocation makes four elements. */
function dropoutMask(node: Node, kernel: Kernel): Dispatch[] {
  const { layer, rate, shape } = attributesOf(dropoutMaskOp, node);
  const size = sizeOf(shape);
  const quads = Math.ceil(size / 4);
  const word = (i: number) => `bitcast<u32>(${kernel.read(1, `${i}u`)})`;
  const factor = `select(0.0f, ${literal(dropoutScale(rate))}, (c[i] >> 8u) >= ${dropoutThreshold(rate)}u)`;
  const body = `let sample = e / ${quads}u; let group = e % ${quads}u;
  var c = vec4<u32>(group, bitcast<u32>(${kernel.read(0, 'sample')}), ${word(2)}, ${layer}u);
  var key = vec2<u32>(${word(0)}, ${word(1)});
  for (var round = 0; round < 10; round++) {
    let a = c.x; let b = c.z;
    c = vec4<u32>(high_word(0xcd9e8d57u, b) ^ c.y ^ key.x, 0xcd9e8d57u * b, high_word(0xd2511f53u, a) ^ c.w ^ key.y, 0xd2511f53u * a);
    key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  for (var i = 0u; i < 4u; i++) {
    let element = group * 4u + i;
    if (element < ${size}u) { ${kernel.write(2, `sample * ${size}u + element`, factor)} }
  }`;
  const highWord = `
fn high_word(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let carry = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (carry >> 16u);
}
`;
  return kernel.each(node.shape[0]! * quads, body, highWord);
}
