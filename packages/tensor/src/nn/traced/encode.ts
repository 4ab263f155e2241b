/** Nodes that a program made, as the graph of a layer or a loss, for one number of samples. `open-samples.ts` leaves that open. */
import type { Node } from '../../graph.ts';
import { formatShape } from '../../shape.ts';
import { NORMAL_STREAMS } from '../dropout.ts';
import { LayerError } from '../layer.ts';
import type { GraphAttribute, GraphNode } from './format.ts';

export interface EncodedNodes {
  /** What comes from outside, in the order in which the nodes take it. */
  readonly inputs: readonly Node[];
  /** In the order in which they were made. */
  readonly parameters: readonly Node[];
  readonly nodes: readonly GraphNode[];
  /** Those that draw random numbers or report a statistic: they can be part of one layer only. */
  readonly once: readonly Node[];
  /** The number of a value. */
  numberOf(node: Node): number;
}

/**
 * @param outputs what is computed
 * @param outside values that are known: layers' outputs, inputs, a target
 * @param arrange which inputs there are to be, given those that are taken; default: these
 */
export function encodeNodes(
  outputs: readonly Node[],
  outside: { has(node: Node): boolean },
  isParameter: (node: Node) => boolean,
  arrange: (taken: readonly Node[]) => readonly Node[] = (taken) => taken,
): EncodedNodes {
  const made = new Set<Node>();
  const parameters = new Set<Node>();
  const stack = [...outputs];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (made.has(node) || outside.has(node)) continue;
    if (isParameter(node)) {
      parameters.add(node);
      continue;
    }
    if (node.op === 'input' || node.op === 'parameter')
      throw new LayerError(
        `uses a ${node.op} ${formatShape(node.shape)} that is not this model's: take inputs from build, and parameters from m.parameter`,
      );
    made.add(node);
    stack.push(...node.inputs);
  }
  const byId = (nodes: Iterable<Node>) => [...nodes].sort((a, b) => a.id - b.id);
  const ordered = byId(made);
  const used = [...ordered.flatMap(({ inputs }) => inputs), ...outputs];
  const inputs = arrange([...new Set(used.filter((node) => outside.has(node)))]);
  const leaves = [...inputs, ...byId(parameters)];
  const numbers = new Map([...leaves, ...ordered].map((node, index) => [node, index]));
  const numberOf = (node: Node) => numbers.get(node)!;
  let stream = 0;
  const nodes = ordered.map((node): GraphNode => {
    const attributes: Record<string, GraphAttribute> = {};
    for (const [name, value] of Object.entries(node.attributes))
      if (value !== false) attributes[name] = typeof value === 'number' ? finite(value) : value;
    if (node.op === 'dropout' || node.op === 'normal') {
      attributes.stream = stream;
      stream += node.op === 'normal' ? NORMAL_STREAMS : 1;
    }
    const stated = Object.keys(attributes).length > 0 ? [attributes] : [];
    return [node.op, ...node.inputs.map(numberOf), ...stated];
  });
  const once = ordered.filter(({ op }) => op === 'dropout' || op === 'normal' || op === 'statistic');
  return { inputs, parameters: byId(parameters), nodes, once, numberOf };
}

/** A number as JSON can have it. */
function finite(value: number): GraphAttribute {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
}
