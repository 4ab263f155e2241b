/** The loss that a model defines, and its metric. */

import type { Field } from '../../field.ts';
import type { Node } from '../../graph.ts';
import { input } from '../../ops/leaf.ts';
import { sum } from '../../ops/reduce.ts';
import { formatShape, type Shape, sizeOf } from '../../shape.ts';
import { NORMAL_NODES } from '../dropout.ts';
import type { ForwardContext } from '../layer.ts';
import { suggest } from '../nearest.ts';
import { isCount, MAX_EXTENT } from '../options.ts';
import { brief } from './attributes.ts';
import { checkKeys, checkVersion, fault, nodesOf, placeOfValue, tryOut } from './check.ts';
import { type CheckedNode, expand, expansionOf } from './expand.ts';
import { type LossGraph, MOST_AXES, MOST_FLOATS, MOST_INPUTS, MOST_NODES_OF_MODEL } from './format.ts';

/** Layers have indices below 1000: the loss draws from streams of its own. */
const LOSS_INDEX = 1023;
const PATH = ['loss'] as const;

export interface OwnLoss {
  /** Indices of the layers whose outputs it takes, -1 for the model's input. */
  readonly from: readonly number[];
  /** Those of `from` that the loss itself depends on, not its metric alone. */
  readonly dependsOn: readonly number[];
  readonly target: Field;
  readonly metric: 'accuracy' | 'error';
  /** Sums of the loss and the metric over the samples. @param values what `from` says, in its order */
  scores(
    values: readonly Node[],
    target: Node,
    random: ForwardContext['random'],
  ): { readonly lossSum: Node; readonly metricSum: Node };
}

/**
 * @param names of all layers, in order
 * @param shapes of a sample of each, and of the input where the model has one as a whole
 * @throws ModelError with the path of what is wrong
 */
export function ownLoss(
  graph: LossGraph,
  names: readonly string[],
  shapes: { readonly layers: readonly Shape[]; readonly input: Shape | undefined },
): OwnLoss {
  if (typeof graph !== 'object' || graph === null || Array.isArray(graph))
    throw fault(PATH, `is ${brief(graph)}; expected a graph`);
  checkKeys(graph, PATH, ['version', 'from', 'target', 'nodes', 'loss', 'metric']);
  checkVersion(graph.version, PATH);
  const from = sourcesOf(graph.from, names, shapes.input !== undefined);
  const target = targetOf(graph.target);
  const nodes = nodesOf(graph.nodes, [...PATH, 'nodes'], from.length + 1);
  const all = nodes.reduce((sum, node) => sum + expansionOf(node), 0);
  if (all > MOST_NODES_OF_MODEL)
    throw fault(
      [...PATH, 'nodes'],
      `has ${all} nodes (a 'normal' counts as ${NORMAL_NODES}); at most ${MOST_NODES_OF_MODEL} are supported`,
    );
  const values = from.length + 1 + nodes.length;
  const loss = placeOfValue(graph.loss, [...PATH, 'loss'], values);
  const metric = metricOf(graph.metric, values);
  const sources = from.map((at) => (at < 0 ? shapes.input! : shapes.layers[at]!));
  const tried = tryOut(PATH, nodes, from.length, (samples) => [
    ...sources.map((shape, i) => input(`value${i}`, [samples, ...shape])),
    targetLeafOf(target, samples),
  ]);
  for (const { values: each, samples } of tried) {
    checkScore(each[loss]!, samples, [...PATH, 'loss']);
    if (metric) checkScore(each[metric.value]!, samples, [...PATH, 'metric', 'value']);
  }
  refuseLayerOps(nodes);
  return {
    from,
    dependsOn: leadingTo(loss, nodes, from.length + 1).flatMap((at) => from[at] ?? []),
    target,
    metric: metric?.kind ?? 'error',
    scores: (given, labels, random) => {
      const into = {
        samples: labels.shape[0]!,
        inputs: from.length,
        index: LOSS_INDEX,
        random,
        report: () => {},
      };
      const all = expand(nodes, [...given, labels], into);
      const lossSum = sum(all[loss]!);
      return { lossSum, metricSum: metric ? sum(all[metric.value]!) : lossSum };
    },
  };
}

/** Numbers of the values that lead to one. @param leaves values in front of the nodes */
function leadingTo(value: number, nodes: readonly CheckedNode[], leaves: number): number[] {
  const found = new Set([value]);
  // Nodes take earlier values only.
  for (let at = leaves + nodes.length - 1; at >= leaves; at--)
    if (found.has(at)) for (const before of nodes[at - leaves]!.inputs) found.add(before);
  return [...found];
}

function sourcesOf(value: unknown, names: readonly string[], whole: boolean): number[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_INPUTS)
    throw fault(
      [...PATH, 'from'],
      `is ${brief(value)}; expected a list of 1 to ${MOST_INPUTS} names of layers`,
    );
  return value.map((name: unknown, i) => {
    if (name === 'input' && whole) return -1;
    const found = typeof name === 'string' ? names.indexOf(name) : -1;
    if (found >= 0) return found;
    throw fault([...PATH, 'from', i], `no layer ${brief(name)}${suggest(String(name), names)}`);
  });
}

function targetOf(value: unknown): Field {
  if (typeof value !== 'object' || value === null)
    throw fault([...PATH, 'target'], `is ${brief(value)}; expected dtype and shape`);
  checkKeys(value, [...PATH, 'target'], ['dtype', 'shape']);
  const { dtype, shape } = value as { dtype?: unknown; shape?: unknown };
  if (dtype !== 'f32' && dtype !== 'i32')
    throw fault([...PATH, 'target', 'dtype'], `is ${brief(dtype)}; expected f32 or i32`);
  const sound =
    Array.isArray(shape) && shape.length < MOST_AXES && shape.every((extent) => isCount(extent, MAX_EXTENT));
  if (!sound || sizeOf(shape as Shape) > MOST_FLOATS)
    throw fault(
      [...PATH, 'target', 'shape'],
      `is ${brief(shape)}; expected the shape of a sample's target, such as [] or [10]`,
    );
  return { dtype, shape: shape as Shape };
}

function metricOf(value: unknown, values: number): LossGraph['metric'] {
  if (value === undefined) return undefined;
  const path = [...PATH, 'metric'];
  if (typeof value !== 'object' || value === null)
    throw fault(path, `is ${brief(value)}; expected kind and value`);
  checkKeys(value, path, ['kind', 'value']);
  const { kind, value: at } = value as { kind?: unknown; value?: unknown };
  if (kind !== 'accuracy' && kind !== 'error')
    throw fault([...path, 'kind'], `is ${brief(kind)}; expected accuracy or error`);
  return { kind, value: placeOfValue(at, [...path, 'value'], values) };
}

function checkScore({ shape, dtype }: Node, samples: number, path: readonly string[]): void {
  if (dtype === 'f32' && shape.length === 1 && shape[0] === samples) return;
  throw fault(
    path,
    `is ${dtype} ${formatShape(shape)} of ${samples} samples; expected one f32 number for each sample`,
  );
}

/** Only layers have parameters that statistics could be. */
function refuseLayerOps(nodes: readonly CheckedNode[]): void {
  const found = nodes.findIndex(({ op }) => op === 'statistic');
  if (found >= 0)
    throw fault([...PATH, 'nodes', found], '(statistic) belongs in a layer, which has parameters');
}

/** The leaf of a run's targets. */
export const targetLeafOf = ({ dtype, shape }: Field, samples: number): Node =>
  input('labels', [samples, ...shape], dtype === 'i32' ? 'i32' : 'f32');
