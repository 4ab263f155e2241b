/** What curves of a layer's gradient, and its activations, mean. */
import type { LayerMetrics, Snapshot, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';

export type Trouble = 'diverged' | 'vanishing' | 'exploding' | 'large' | 'dead';

/** A layer whose gradient is under this part of the largest one's learns next to nothing. */
const VANISHING = 1e-3;
/** Times the median of what it was. */
const EXPLODING = 100;
/** Part of its norm by which a layer may change in one step. */
const LARGE_UPDATE = 0.1;
/** Points at the start, while everything is large, that count for nothing. */
const WARM_UP = 4;
/** Points that what is usual is taken from, at most. */
const REMEMBERED = 1000;
/** Part of a layer's units that may answer 0 to everything. */
const DEAD = 0.5;

/**
 * What is wrong with each layer at the last point; layers without trouble are not in it.
 * @param activations the last snapshot of them
 */
export function diagnose(points: readonly StepMetrics[], activations?: Snapshot): Map<string, Trouble> {
  const troubles = new Map<string, Trouble>();
  let before = false;
  for (const { layer, deadUnits, units } of activations?.layers ?? []) {
    const dead = units > 1 && deadUnits > DEAD * units;
    // What only passes zeros on is not to blame.
    if (dead && !before) troubles.set(layer, 'dead');
    before = dead;
  }
  const last = points.at(-1);
  if (!last || points.length <= WARM_UP) return troubles;
  const largest = Math.max(...last.layers.map(({ gradientNorm }) => gradientNorm));
  const usual = points.slice(WARM_UP, -1).slice(-REMEMBERED);
  for (const [index, now] of last.layers.entries()) {
    // Of deep networks not every point tells of the layers.
    const norms = usual.flatMap(({ layers }) => layers[index]?.gradientNorm ?? []);
    const trouble = troubleOf(now, largest, median(norms));
    if (trouble) troubles.set(now.layer, trouble);
  }
  return troubles;
}

function troubleOf(now: LayerMetrics, largest: number, usual: number): Trouble | undefined {
  if (!Number.isFinite(now.gradientNorm) || !Number.isFinite(now.weightNorm)) return 'diverged';
  if (usual > 0 && now.gradientNorm > EXPLODING * usual) return 'exploding';
  if (now.gradientNorm < VANISHING * largest) return 'vanishing';
  return now.updateRatio > LARGE_UPDATE ? 'large' : undefined;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
