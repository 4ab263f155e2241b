/** The reference backend: computes graphs and programs node by node, in float64. It judges the other backends. */
import { type Node, topologicalOrder } from '../../graph.ts';
import { aliasOps, type KernelOpName, opNamed, pointwiseNamed } from '../../ops/index.ts';
import { constantOp } from '../../ops/leaf.ts';
import { attributesOf } from '../../ops/op.ts';
import { formatShape, sizeOf } from '../../shape.ts';
import { outputNodes, type Program } from '../../training.ts';
import { pointwise, referenceKernels, type Values } from './kernels.ts';

/** Values of the leaves by name; of i32 inputs the lower 32 bits count, so a Uint32Array does. */
export type Feeds = Readonly<Record<string, ArrayLike<number>>>;

/** Computes the outputs. Every input and parameter that they need must be fed. */
export function evaluateGraph(outputs: readonly Node[], feeds: Feeds): Float64Array[] {
  const results = new Map<Node, Values>();
  for (const node of topologicalOrder(outputs)) {
    results.set(
      node,
      compute(
        node,
        node.inputs.map((input) => results.get(input)!),
        feeds,
      ),
    );
  }
  return outputs.map((node) => results.get(node)!.slice());
}

function compute(node: Node, inputs: readonly Values[], feeds: Feeds): Values {
  const op = pointwiseNamed(node.op);
  if (op) return pointwise(op, node, inputs);
  switch (node.op) {
    case 'parameter':
    case 'input':
      return leafValues(node, feeds);
    case 'constant':
      return new Float64Array(sizeOf(node.shape)).fill(attributesOf(constantOp, node).value);
    default:
      if (Object.hasOwn(aliasOps, node.op)) return inputs[0]!;
      // Throws when the operation is not in the list.
      return referenceKernels[opNamed(node.op).name as KernelOpName](node, inputs);
  }
}

function leafValues(node: Node, feeds: Feeds): Values {
  const { name } = node.attributes as { name: string };
  const values = Object.hasOwn(feeds, name) ? feeds[name] : undefined;
  if (values?.length !== sizeOf(node.shape)) {
    const came = values ? `${values.length} numbers` : 'nothing';
    throw new Error(`${node.op} '${name}': fed ${came}; expected ${node.dtype} ${formatShape(node.shape)}`);
  }
  return Float64Array.from(values, (value) => (node.dtype === 'i32' ? value | 0 : value));
}

export interface ReferenceResult {
  readonly lossSum?: number;
  readonly metricSum?: number;
  readonly counted?: number;
  readonly weight?: number;
  readonly logits: Float64Array;
  /** One for each of the model's parameters, in order. */
  readonly gradients?: readonly Float64Array[];
}

/**
 * Runs a program.
 * @param feeds of its inputs: x, and labels, sampleIds, key where the program has them
 * @param parameters in the model's flat layout
 */
export function runReference(program: Program, feeds: Feeds, parameters: ArrayLike<number>): ReferenceResult {
  const { model } = program;
  if (parameters.length !== model.parameterCount) {
    throw new Error(`got ${parameters.length} parameters; the model has ${model.parameterCount}`);
  }
  const all = Float64Array.from(parameters);
  const named = Object.fromEntries(
    model.parameters.map(({ name, offset, size }) => [name, all.subarray(offset, offset + size)]),
  );
  const nodes = outputNodes(program);
  const values = evaluateGraph(nodes, { ...named, ...feeds });
  const resultOf = (node: Node) => values[nodes.indexOf(node)]!;
  const { lossSum, metricSum, counted, weight, logits, gradients } = program.outputs;
  return {
    ...(lossSum ? { lossSum: resultOf(lossSum)[0]! } : {}),
    ...(metricSum ? { metricSum: resultOf(metricSum)[0]! } : {}),
    ...(counted ? { counted: resultOf(counted)[0]! } : {}),
    ...(weight ? { weight: resultOf(weight)[0]! } : {}),
    logits: resultOf(logits),
    ...(gradients ? { gradients: gradients.map(resultOf) } : {}),
  };
}
