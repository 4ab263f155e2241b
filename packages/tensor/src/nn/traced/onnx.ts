/** A layer's graph as ONNX nodes, as it is when it is not trained. */
import { type Node, topologicalOrder } from '../../graph.ts';
import type { NamedTensor } from '../../named-tensor.ts';
import type { OnnxGraph, OnnxValue } from '../../onnx/graph.ts';
import { addOperations, PAIRED } from '../../onnx/operations.ts';
import { input, parameter } from '../../ops/leaf.ts';
import type { CheckedGraph } from './check.ts';
import { expand } from './expand.ts';

/** @throws OnnxError naming an operation that has no equivalent */
export function onnxOfGraph(
  graph: CheckedGraph,
  onnx: OnnxGraph,
  inputs: readonly OnnxValue[],
  parameters: readonly NamedTensor[],
): OnnxValue {
  const traces = PAIRED.map((samples) => traced(graph, samples));
  const [first, second] = traces as [ReturnType<typeof traced>, ReturnType<typeof traced>];
  const names = [
    ...inputs.map((value) => onnx.plain(value)),
    ...parameters.map((each, i) =>
      graph.parameters[i]?.statistic?.rate === 0
        ? onnx.constant(each.shape, each.data)
        : onnx.parameter(each),
    ),
  ];
  const known = new Map(first.leaves.map((leaf, i) => [leaf, names[i]!]));
  const pairs = first.order.map((node, i) => ({ node, other: second.order[i]! }));
  const all = addOperations(onnx, pairs, known, names[0]!);
  return { name: all.get(first.output)!, rank: first.output.shape.length };
}

function traced({ inputs, parameters, nodes, output }: CheckedGraph, samples: number) {
  const leaves: readonly Node[] = [
    ...inputs.map((shape, i) => input(`input${i}`, [samples, ...shape])),
    ...parameters.map(({ name, shape }) => parameter(name, shape)),
  ];
  const into = { samples, inputs: inputs.length, index: 0, random: undefined, report: () => {} };
  const found = expand(nodes, leaves, into)[output]!;
  return { leaves, output: found, order: topologicalOrder([found]) };
}
