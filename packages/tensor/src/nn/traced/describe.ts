/** A trace as a model's description: layers of the model's own become definitions, each kept once however often it is used. */
import { layerNamed } from '../index.ts';
import type { LayerDescription, ModelDescription } from '../model.ts';
import type { LayerGraph, LossGraph } from './format.ts';
import type { TracedLayer } from './tracer.ts';

/** A model as it was traced. */
export interface Traced {
  readonly input?: readonly number[];
  readonly output?: readonly number[];
  readonly classes?: number;
  readonly layers: readonly TracedLayer[];
  /** The layer that gives the output, which no other one takes. */
  readonly last: string;
  readonly loss?: LossGraph;
}

export function describeTraced({ input, output, classes, layers, last, loss }: Traced): ModelDescription {
  const ordered = outputLast(layers, last);
  const definitions = new Map<string, { readonly text: string; readonly graph: LayerGraph }>();
  const counts = new Map<string, number>();
  const described = ordered.map(({ name, from, given, own }, index) => {
    const type = given?.type ?? typeOf(own!.type, own!.graph, definitions);
    const ordinal = (counts.get(type) ?? 0) + 1;
    counts.set(type, ordinal);
    const before = ordered[index - 1]?.name ?? 'input';
    const isDefault = from.length === 0 || (from.length === 1 && from[0] === before);
    return {
      ...given,
      type,
      ...(name !== `${type}${ordinal}` && { name }),
      ...(!isDefault && { from: from.length === 1 ? from[0]! : from }),
      ...(own && Object.keys(own.tied).length > 0 && { tied: own.tied }),
    } as unknown as LayerDescription;
  });
  return {
    ...(input && { input }),
    ...(classes === undefined ? { output: output! } : { classes }),
    layers: described,
    ...(definitions.size > 0 && {
      definitions: Object.fromEntries([...definitions].map(([type, { graph }]) => [type, graph])),
    }),
    ...(loss && { loss }),
  };
}

/**
 * The type under which a graph is kept: that of one like it, or else the one that it asks for, with a number where that is another
 * graph's.
 */
function typeOf(
  wish: string,
  graph: LayerGraph,
  definitions: Map<string, { readonly text: string; readonly graph: LayerGraph }>,
): string {
  const text = JSON.stringify(graph);
  const like = [...definitions].filter(([, known]) => known.text === text).map(([type]) => type);
  const base = layerNamed(wish) ? `own-${wish}` : wish;
  const found = like.find((type) => type === base) ?? like[0];
  if (found !== undefined) return found;
  let type = base;
  for (let number = 2; definitions.has(type); number++) type = `${base}-${number}`;
  definitions.set(type, { text, graph });
  return type;
}

/** A model's output is its last layer's. @param last what no layer takes */
const outputLast = (layers: readonly TracedLayer[], last: string): readonly TracedLayer[] => [
  ...layers.filter(({ name }) => name !== last),
  ...layers.filter(({ name }) => name === last),
];
