/**
 * How a run went, step by step, for people: sampled a few times a second, thinned with age, kept in the store. Reads the clock;
 * nothing here reaches weights.
 */
import type { Snapshot, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import {
  defaultLimits,
  type Limits,
  METRICS_MESSAGE_PARTS,
  METRICS_MESSAGE_POINTS,
  POINT_LAYERS,
  SHARD_POINTS,
  SNAPSHOT_LAYERS,
  SNAPSHOTS,
} from '@kasane/protocol/limits';

/** Least time between two snapshots, in milliseconds: a histogram costs two passes over a sample of the layer's numbers. */
const SNAPSHOT_INTERVAL_MS = 2000;

/** All that is kept of a run's metrics history, ascending by step. */
export interface MetricsHistory {
  readonly points: readonly StepMetrics[];
  readonly gradients: readonly Snapshot[];
  readonly activations: readonly Snapshot[];
}

export const NOTHING_YET: MetricsHistory = { points: [], gradients: [], activations: [] };

export class Metrics {
  #history: MetricsHistory;
  #sampledAt = Number.NEGATIVE_INFINITY;
  #snapshotAt = Number.NEGATIVE_INFINITY;
  readonly #limits: Pick<Limits, 'metricPoints' | 'metricIntervalMs'>;
  readonly #listeners = new Set<(more: MetricsHistory) => void>();

  /**
   * @param history of an earlier coordinator
   * @param limits points that are kept, and the least time between two of them
   */
  constructor(
    history: MetricsHistory = NOTHING_YET,
    limits: Pick<Limits, 'metricPoints' | 'metricIntervalMs'> = defaultLimits,
  ) {
    this.#history = history;
    this.#limits = limits;
  }

  get history(): MetricsHistory {
    return this.#history;
  }

  /** Whether the step under way should be looked at. */
  get isDue(): boolean {
    return performance.now() - this.#sampledAt >= this.#limits.metricIntervalMs;
  }

  /** Whether it is time for a snapshot as well. */
  get isSnapshotDue(): boolean {
    return performance.now() - this.#snapshotAt >= SNAPSHOT_INTERVAL_MS;
  }

  /** @param gradients the snapshot that was taken with it, if one was */
  add(point: StepMetrics, gradients?: Snapshot): void {
    this.#sampledAt = performance.now();
    if (gradients) this.#snapshotAt = this.#sampledAt;
    this.#extend({ points: [point], gradients: gradients ? [gradients] : [], activations: [] });
  }

  /** What came out of the layers after some step; it may be known a while later. */
  addActivations(snapshot: Snapshot): void {
    this.#extend({ ...NOTHING_YET, activations: [snapshot] });
  }

  /** The run goes on after `step`: what is later is of updates that were lost. */
  rewind(step: number): void {
    const kept = <T extends { step: number }>(list: readonly T[]) => list.filter((one) => one.step <= step);
    const { points, gradients, activations } = this.#history;
    this.#history = { points: kept(points), gradients: kept(gradients), activations: kept(activations) };
  }

  /** Calls `listener` with whatever is new until the returned function is called. */
  onMore(listener: (more: MetricsHistory) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #extend(more: MetricsHistory): void {
    const { points, gradients, activations } = this.#history;
    const all = [...points, ...more.points];
    forgetShards(all);
    forgetLayers(all);
    this.#history = {
      points: all.length > this.#limits.metricPoints ? thinned(all) : all,
      gradients: few([...gradients, ...more.gradients]),
      activations: few([...activations, ...more.activations]),
    };
    for (const listener of this.#listeners) listener(more);
  }
}

/** Who took how long is of interest while it is fresh, and with hundreds of shards most of what a point weighs. */
function forgetShards(points: StepMetrics[]): void {
  for (let index = points.length - 1 - SHARD_POINTS; index >= 0; index--) {
    const point = points[index]!;
    if (point.shards.length === 0) return;
    points[index] = { ...point, shards: [], workers: [] };
  }
}

/** Of hundreds of layers fewer points tell: every second one of the older half does not, until what is left is no more than may be kept. */
function forgetLayers(points: StepMetrics[]): void {
  const telling = points.flatMap(({ layers }, index) => (layers.length > 0 ? [index] : []));
  // Of three, thinning leaves three.
  const most = Math.max(3, Math.floor(POINT_LAYERS / Math.max(1, points.at(-1)?.layers.length ?? 0)));
  while (telling.length > most) {
    const kept = new Set(thinned(telling));
    for (const index of telling) if (!kept.has(index)) points[index] = { ...points[index]!, layers: [] };
    telling.splice(0, telling.length, ...kept);
  }
}

/** Snapshots of deep networks are large: fewer of them. */
function few(snapshots: readonly Snapshot[]): readonly Snapshot[] {
  const layers = snapshots.at(-1)?.layers.length ?? 0;
  const most = Math.max(8, Math.min(SNAPSHOTS, Math.floor(SNAPSHOT_LAYERS / Math.max(1, layers))));
  return snapshots.length > most ? thinned(snapshots) : snapshots;
}

/** Every second one of the older half. What is recent stays as dense as it was seen. */
export function thinned<T>(list: readonly T[]): T[] {
  const half = Math.floor(list.length / 2);
  return list.filter((_, index) => index >= half || index % 2 === 0);
}

/** What one message may have each; of hundreds of layers or shards fewer points. */
export function* inMessages(points: readonly StepMetrics[]): Generator<StepMetrics[]> {
  let part: StepMetrics[] = [];
  let weight = 0;
  for (const point of points) {
    part.push(point);
    weight += point.layers.length + point.shards.length;
    if (part.length < METRICS_MESSAGE_POINTS && weight < METRICS_MESSAGE_PARTS) continue;
    yield part;
    [part, weight] = [[], 0];
  }
  if (part.length > 0) yield part;
}
