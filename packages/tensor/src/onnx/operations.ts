/**
 * Operations as ONNX nodes, for graphs that no layer has written an equivalent for. The number of samples stays open: a graph comes as it
 * is for two numbers of samples, and what differs between them follows a straight line.
 */
import type { Attributes, Node } from '../graph.ts';
import { pointwiseNamed } from '../ops/index.ts';
import type { OnnxGraph } from './graph.ts';
import { composePointwise } from './pointwise.ts';

/** An operation that has no equivalent in ONNX, or none here. */
export class OnnxError extends Error {
  override readonly name = 'OnnxError';
}

/** A node for two numbers of samples. */
export interface NodePair {
  readonly node: Node;
  readonly other: Node;
}

/** The numbers of samples that the pairs are for. */
export const PAIRED = [3, 5] as const;

/** constant + perSample samples. */
interface Line {
  readonly constant: number;
  readonly perSample: number;
}

interface Context extends NodePair {
  readonly graph: OnnxGraph;
  readonly inputs: readonly string[];
  /** A list of int64, of numbers that may follow the samples. */
  sizes(lines: readonly Line[]): string;
  /** The numbers of an attribute. */
  line(name: string): readonly Line[];
}

type Converter = (context: Context) => string;

/** Those that the standard has an operator for. */
const pointwise: Readonly<Record<string, string>> = {
  relu: 'Relu',
  sigmoid: 'Sigmoid',
  softplus: 'Softplus',
  pow: 'Pow',
  elu: 'Elu',
  hardSwish: 'HardSwish',
};

const lineOf = (a: number, b: number): Line => {
  const perSample = (b - a) / (PAIRED[1] - PAIRED[0]);
  return { constant: a - perSample * PAIRED[0], perSample };
};

const linesOf = (a: readonly number[], b: readonly number[]): Line[] =>
  a.map((each, i) => lineOf(each, b[i]!));

const isFixed = ({ perSample }: Line): boolean => perSample === 0;

/** An attribute as a list, even if it is a single number. */
const listOf = (attributes: Attributes, name: string): readonly number[] =>
  [attributes[name] as number | readonly number[]].flat();

const transposeLast = ({ graph, node }: Context, which: 0 | 1, name: string): string => {
  const rank = node.inputs[which]!.shape.length;
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  [perm[rank - 1], perm[rank - 2]] = [perm[rank - 2]!, perm[rank - 1]!];
  return graph.node('Transpose', [name], { perm });
};

const [TO_CHANNELS_FIRST, TO_CHANNELS_LAST, WEIGHT] = [
  [0, 3, 1, 2],
  [0, 2, 3, 1],
  [3, 2, 0, 1],
];

/** A convolution by the standard's operator: channels first in, channels first out. */
function convolution(
  context: Context,
  op: 'Conv' | 'ConvTranspose',
  more: Record<string, readonly number[]>,
  window: readonly number[],
): string {
  const { graph, inputs, node } = context;
  const [stride, padding, dilations] = ['stride', 'padding', 'dilation'].map((name) =>
    listOf(node.attributes, name),
  );
  const y = graph.node(
    op,
    [
      graph.node('Transpose', [inputs[0]!], { perm: TO_CHANNELS_FIRST! }),
      graph.node('Transpose', [inputs[1]!], { perm: WEIGHT! }),
    ],
    {
      kernel_shape: window,
      strides: stride!,
      dilations: dilations!,
      group: node.attributes.groups as number,
      pads: [...padding!, ...padding!],
      ...more,
    },
  );
  return graph.node('Transpose', [y], { perm: TO_CHANNELS_LAST! });
}

/** Several numbers that must not follow the samples. */
function fixed(context: Context, name: string): readonly number[] {
  const lines = context.line(name);
  if (lines.every(isFixed)) return lines.map(({ constant }) => constant);
  throw new OnnxError(
    `${name} of ${context.node.op} depends on the number of samples, which ONNX cannot say`,
  );
}

const refuse =
  (why: string): Converter =>
  ({ node }) => {
    throw new OnnxError(`${node.op} ${why}`);
  };

/** By the name of the operation. What is missing is pointwise, or has no equivalent. */
const converters: Readonly<Record<string, Converter>> = {
  constant: ({ graph, node, other, sizes }) => {
    const line = lineOf(node.attributes.value as number, other.attributes.value as number);
    const shape = linesOf(node.shape, other.shape);
    if (isFixed(line) && shape.length === 0) return graph.constant([], [line.constant]);
    const one =
      isFixed(line) || Number.isNaN(line.perSample)
        ? graph.constant([1], [node.attributes.value as number])
        : graph.cast(sizes([line]), 'float');
    return shape.length === 0
      ? graph.node('Reshape', [one, graph.integers([])])
      : graph.node('Expand', [one, sizes(shape)]);
  },
  iota: ({ graph, node, other, sizes }) => {
    const axis = node.attributes.axis as number;
    const scalar = (name: string) => graph.node('Reshape', [name, graph.integers([])]);
    const shape = linesOf(node.shape, other.shape);
    const limit = scalar(sizes([shape[axis]!]));
    const range = graph.node('Range', [scalar(graph.integers([0])), limit, scalar(graph.integers([1]))]);
    const along = graph.integers(shape.map((_, i) => (i === axis ? -1 : 1)));
    return graph.node('Expand', [graph.node('Reshape', [graph.cast(range, 'float'), along]), sizes(shape)]);
  },
  reshape: ({ graph, inputs: [x], node, other, sizes }) => {
    const lines = linesOf(node.shape, other.shape);
    const open = lines.filter((line) => !isFixed(line)).length;
    // One extent may follow from the others.
    const shape =
      open === 1 ? graph.integers(lines.map((line) => (isFixed(line) ? line.constant : -1))) : sizes(lines);
    return graph.node('Reshape', [x!, shape]);
  },
  detach: ({ inputs: [x] }) => x!,
  broadcast: ({ graph, inputs: [x], node, other, sizes }) =>
    graph.node('Expand', [x!, sizes(linesOf(node.shape, other.shape))]),
  transpose: ({ graph, inputs: [x], node }) =>
    graph.node('Transpose', [x!], { perm: listOf(node.attributes, 'permutation') }),
  slice: (context) => {
    const { graph, inputs, line, sizes } = context;
    const [start, size, step] = [line('start'), line('size'), fixed(context, 'step')];
    // One behind the last that is taken.
    const end = start.map((from, i) => ({
      constant: from.constant + (size[i]!.constant - 1) * step[i]! + 1,
      perSample: from.perSample + size[i]!.perSample * step[i]!,
    }));
    const axes = graph.integers(start.map((_, axis) => axis));
    return graph.node('Slice', [inputs[0]!, sizes(start), sizes(end), axes, graph.integers(step)]);
  },
  flip: ({ graph, inputs: [x], node }) => {
    const axes = listOf(node.attributes, 'axes');
    const all = (value: number) => graph.integers(axes.map(() => value));
    return axes.length === 0
      ? x!
      : graph.node('Slice', [x!, all(-1), all(-(2 ** 31)), graph.integers(axes), all(-1)]);
  },
  window: (context) => {
    const {
      graph,
      inputs: [x],
      node,
      other,
    } = context;
    const [axis, size, stride, dilation] = ['axis', 'size', 'stride', 'dilation'].map(
      (name) => fixed(context, name)[0]!,
    ) as [number, number, number, number];
    if (node.shape[axis] !== other.shape[axis])
      throw new OnnxError('window over the samples has no equivalent in ONNX');
    const count = node.shape[axis]!;
    const places = Array.from(
      { length: count * size },
      (_, i) => Math.floor(i / size) * stride + (i % size) * dilation,
    );
    const indices = graph.node('Reshape', [graph.integers(places), graph.integers([count, size])]);
    return graph.node('Gather', [x!, indices], { axis });
  },
  matmul: (context) => {
    const {
      graph,
      inputs: [a, b],
      node,
    } = context;
    const left = node.attributes.transposeA ? transposeLast(context, 0, a!) : a!;
    const right = node.attributes.transposeB ? transposeLast(context, 1, b!) : b!;
    return graph.node('MatMul', [left, right]);
  },
  conv2d: (context) => convolution(context, 'Conv', {}, context.node.inputs[1]!.shape.slice(0, 2)),
  conv2dInputGradient: (context) => {
    const { node } = context;
    const [g, weight] = node.inputs as readonly [Node, Node];
    const [stride, padding, dilation, image] = ['stride', 'padding', 'dilation', 'image'].map((name) =>
      listOf(node.attributes, name),
    ) as [readonly number[], readonly number[], readonly number[], readonly number[]];
    const output_padding = image.map((extent, i) => {
      const reached =
        (g.shape[i + 1]! - 1) * stride[i]! - 2 * padding[i]! + dilation[i]! * (weight.shape[i]! - 1) + 1;
      return extent - reached;
    });
    return convolution(context, 'ConvTranspose', { output_padding }, weight.shape.slice(0, 2));
  },
  conv2dWeightGradient: refuse('has no equivalent in ONNX'),
  sum: ({ graph, inputs: [x], node }) => {
    const axes = listOf(node.attributes, 'axes');
    if (axes.length === 0) return x!;
    return graph.node('ReduceSum', [x!, graph.integers(axes)], {
      keepdims: node.attributes.keepDims ? 1 : 0,
    });
  },
  maxReduce: ({ graph, inputs: [x], node }) => {
    const axes = listOf(node.attributes, 'axes');
    return axes.length === 0
      ? x!
      : graph.node('ReduceMax', [x!], { axes, keepdims: node.attributes.keepDims ? 1 : 0 });
  },
  pad: ({ graph, inputs: [x], node, line, sizes }) => {
    if (listOf(node.attributes, 'interior').some((gap) => gap > 0))
      throw new OnnxError('pad between elements has no equivalent in ONNX');
    const value = graph.constant([], [node.attributes.value as number]);
    return graph.node('Pad', [x!, sizes([...line('low'), ...line('high')]), value]);
  },
  concat: ({ graph, inputs, node }) => graph.node('Concat', inputs, { axis: node.attributes.axis as number }),
  fold: refuse('has no equivalent in ONNX'),
  gather: ({ graph, inputs }) => graph.node('Gather', inputs, { axis: 0 }),
  scatterAdd: ({ graph, inputs: [values, indices], node, other, sizes }) => {
    const zeros = graph.node('Expand', [graph.constant([1], [0]), sizes(linesOf(node.shape, other.shape))]);
    const places = graph.node('Unsqueeze', [indices!, graph.integers([-1])]);
    return graph.node('ScatterND', [zeros, places, values!], { reduction: 'add' });
  },
  toIndex: ({ graph, inputs: [x], node }) => graph.indices({ name: x!, rank: node.shape.length }),
  checkLabels: ({ inputs: [x] }) => x!,
  argmax: ({ graph, inputs: [x] }) => graph.node('ArgMax', [x!], { axis: -1, keepdims: 0 }),
  oneHot: ({ graph, inputs: [x], node }) =>
    graph.node(
      'OneHot',
      [x!, graph.integers([node.attributes.classes as number]), graph.constant([2], [0, 1])],
      { axis: -1 },
    ),
  argmaxEquals: ({ graph, inputs: [scores, labels] }) =>
    graph.cast(
      graph.node('Equal', [graph.node('ArgMax', [scores!], { axis: -1, keepdims: 0 }), labels!]),
      'float',
    ),
  dropoutMask: refuse('is for training only'),
};

/**
 * Adds the nodes that compute a graph.
 * @param pairs inputs before their users, each for both of `PAIRED`
 * @param known names of what is there already
 * @param samples name of a value whose first axis is the samples
 * @returns names by nodes
 * @throws OnnxError naming an operation that has no equivalent
 */
export function addOperations(
  graph: OnnxGraph,
  pairs: readonly NodePair[],
  known: ReadonlyMap<Node, string>,
  samples: string,
): ReadonlyMap<Node, string> {
  const names = new Map(known);
  let counted: string | undefined;
  const count = () => {
    counted ??= graph.node('Shape', [samples], { start: 0, end: 1 });
    return counted;
  };
  const sizes = (lines: readonly Line[]): string => {
    if (lines.every(isFixed)) return graph.integers(lines.map(({ constant }) => constant));
    const parts = lines.map(({ constant, perSample }) => {
      if (perSample === 0) return graph.integers([constant]);
      const many = perSample === 1 ? count() : graph.node('Mul', [count(), graph.integers([perSample])]);
      return constant === 0 ? many : graph.node('Add', [many, graph.integers([constant])]);
    });
    return parts.length === 1 ? parts[0]! : graph.node('Concat', parts, { axis: 0 });
  };
  for (const { node, other } of pairs) {
    if (names.has(node)) continue;
    const inputs = node.inputs.map((input) => names.get(input)!);
    const line = (name: string) => linesOf(listOf(node.attributes, name), listOf(other.attributes, name));
    names.set(node, convert({ graph, node, other, inputs, sizes, line }));
  }
  return names;
}

function convert(context: Context): string {
  const { graph, node, inputs } = context;
  const own = Object.hasOwn(converters, node.op) ? converters[node.op] : undefined;
  if (own) return own(context);
  const standard = Object.hasOwn(pointwise, node.op) ? pointwise[node.op] : undefined;
  if (standard) return graph.node(standard, inputs);
  const { expression } = pointwiseNamed(node.op) ?? {};
  if (expression) return composePointwise(graph, expression, inputs);
  throw new OnnxError(`${node.op} has no equivalent in ONNX`);
}
