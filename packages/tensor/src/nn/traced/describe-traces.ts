/** What a program or a file made for several numbers of samples, as one description for any number. */
import { buildModel, type ModelDescription } from '../model.ts';
import { ModelError } from '../model-error.ts';
import { describeTraced, type Traced } from './describe.ts';
import { openSamples, TRACED } from './open-samples.ts';

/**
 * @param traces one for each of the counts
 * @param counts numbers of samples
 * @throws ModelError naming the layer, and why it cannot be
 */
export function describeTraces(
  traces: readonly Traced[],
  counts: readonly number[] = TRACED,
): ModelDescription {
  const { layers } = traces[0]!;
  if (traces.some((other) => other.layers.length !== layers.length))
    throw new ModelError([], 'build makes another number of layers with another number of samples');
  const traced = openSamples<Traced>(traces, { counts, place: (path) => placeOf(path, layers) });
  const description = describeTraced(traced);
  // Checked as coordinator and workers will check it.
  buildModel(description);
  return description;
}

/** A place in a trace, for messages. */
function placeOf(path: readonly PropertyKey[], layers: Traced['layers']): string {
  const where =
    path[0] === 'layers' ? `layer ${layers[Number(path[1])]?.name ?? String(path[1])}` : String(path[0]);
  const nodes = path.indexOf('nodes');
  if (nodes < 0) return `${where}: ${String(path.at(-1))}`;
  const graph = path[0] === 'loss' ? undefined : layers[Number(path[1])]?.own?.graph;
  const op = graph?.nodes[Number(path[nodes + 1])]?.[0];
  return `${where}: ${op ?? `node ${String(path[nodes + 1])}`}: ${String(path[nodes + 3] ?? 'its values')}`;
}
