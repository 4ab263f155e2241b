/** What a model consists of, layer by layer: for people, and as data for those who show it otherwise. */
import { type Node, topologicalOrder } from '../graph.ts';
import { input, parameter } from '../ops/leaf.ts';
import type { Shape } from '../shape.ts';
import { flopsOf } from './flops.ts';
import { forward, type Model } from './model.ts';

export interface LayerSummary {
  readonly name: string;
  readonly type: string;
  /** Names of the layers whose outputs come in, or 'input'; none of an input layer. */
  readonly from: readonly string[];
  readonly outputShape: Shape;
  /** Numbers that are trained. */
  readonly parameters: number;
  /** Floating-point operations of one sample's forward pass: products and sums apart, other functions as one. */
  readonly flops: number;
}

/** One entry a layer, input side first. */
export function summarizeLayers(model: Model): LayerSummary[] {
  const leaves = model.parameters.map((spec) => parameter(spec.name, spec.shape));
  const { outputs } = forward(model, input('x', [1, ...model.sampleShape]), leaves, undefined);
  const seen = new Set<Node>();
  return model.layers.map((layer, index) => {
    const own = topologicalOrder([outputs[index]!], seen);
    for (const node of own) seen.add(node);
    return {
      name: layer.name,
      type: layer.type,
      from: layer.from.map((at) => (at < 0 ? 'input' : model.layers[at]!.name)),
      outputShape: layer.outputShape,
      parameters: layer.parameters.reduce((sum, { size, statistic }) => sum + (statistic ? 0 : size), 0),
      flops: own.reduce((sum, node) => sum + flopsOf(node), 0),
    };
  });
}

const grouped = (count: number) => count.toLocaleString('en');

/** A table of the layers with totals, for a terminal. */
export function summary(model: Model): string {
  const layers = summarizeLayers(model);
  const branches = layers.some(
    ({ from }, i) => from.length !== 1 || from[0] !== (layers[i - 1]?.name ?? 'input'),
  );
  const rows = layers.map((layer) => [
    layer.name,
    layer.type,
    ...(branches ? [layer.from.join(', ')] : []),
    layer.outputShape.join(' x '),
    grouped(layer.parameters),
    grouped(layer.flops),
  ]);
  const total = (pick: (layer: LayerSummary) => number) =>
    grouped(layers.reduce((sum, layer) => sum + pick(layer), 0));
  const table = [
    ['layer', 'type', ...(branches ? ['from'] : []), 'output', 'parameters', 'FLOPs'],
    ...rows,
    ['total', '', ...(branches ? [''] : []), '', total((l) => l.parameters), total((l) => l.flops)],
  ];
  const numbers = table[0]!.length - 2;
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column >= numbers ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd();
  return [
    `input ${model.sampleShape.join(' x ')}; FLOPs of one sample, forward pass`,
    '',
    ...table.map(line),
  ].join('\n');
}
