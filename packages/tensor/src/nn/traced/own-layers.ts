/** Layers that a job defines: their graphs, checked, as types of layers like any other. */

import { formatShape, sameShape } from '../../shape.ts';
import { layerNamed } from '../index.ts';
import { LayerError, type LayerType } from '../layer.ts';
import { isName, NAME_FORM } from '../options.ts';
import { type CheckedGraph, checkLayerGraph, fault } from './check.ts';
import { expand, expansionOf } from './expand.ts';
import { type LayerGraph, MOST_DEFINITIONS } from './format.ts';
import { onnxOfGraph } from './onnx.ts';

/** The type of layers that a graph defines. */
export interface OwnLayerType extends LayerType {
  /** As `expansionOf` counts them. */
  readonly nodes: number;
}

/**
 * The types of layers that a model defines, by their names.
 * @throws ModelError with the path of what is wrong
 */
export function ownLayerTypes(
  definitions: Readonly<Record<string, LayerGraph>> | undefined,
): ReadonlyMap<string, OwnLayerType> {
  if (definitions === undefined) return new Map();
  if (typeof definitions !== 'object' || definitions === null || Array.isArray(definitions))
    throw fault(['definitions'], 'expected the graphs of layers by their types');
  const entries = Object.entries(definitions);
  if (entries.length > MOST_DEFINITIONS)
    throw fault(['definitions'], `has ${entries.length} entries; at most ${MOST_DEFINITIONS} are allowed`);
  return new Map(
    entries.map(([type, graph]) => {
      const path = ['definitions', type];
      if (!isName(type)) throw fault(path, `expected ${NAME_FORM}`);
      if (layerNamed(type)) throw fault(path, 'there is a layer of this type already; choose another name');
      return [type, typeOf(type, checkLayerGraph(graph, path))];
    }),
  );
}

const typeOf = (type: string, graph: CheckedGraph): OwnLayerType => ({
  type,
  summary: 'A layer that the job defines.',
  about: {
    explains: 'A layer that the job defines, as a graph of operations.',
    takes: graph.inputs.map(formatShape).join(' and '),
    gives: formatShape(graph.outputShape),
    formula: 'see the definition',
    example: { output: [], layers: [] },
  },
  options: {},
  inputs: { least: graph.inputs.length, most: graph.inputs.length },
  nodes: graph.nodes.reduce((sum, node) => sum + expansionOf(node), 0),
  plan: (_, __, { inputs }) => {
    const wrong = graph.inputs.findIndex((shape, i) => !sameShape(shape, inputs[i]!));
    if (wrong >= 0) {
      const which = graph.inputs.length > 1 ? `input ${wrong + 1} has` : 'got';
      throw new LayerError(
        `${which} samples of shape ${formatShape(inputs[wrong]!)}, but it was defined for ${formatShape(graph.inputs[wrong]!)}`,
      );
    }
    return { outputShape: graph.outputShape, parameters: graph.parameters };
  },
  forward: (x, { inputs, parameters, index, random, report }) => {
    const into = { samples: x.shape[0]!, inputs: inputs.length, index, random, report };
    return expand(graph.nodes, [...inputs, ...parameters], into)[graph.output]!;
  },
  onnx: (onnx, inputs, { parameters }) => onnxOfGraph(graph, onnx, inputs, parameters),
});
