/** A job's metrics history as it arrives: layers, job file, points, snapshots. Views read it; it knows nothing of them. */
import type {
  LayerInfo,
  LayerMetrics,
  LayerSnapshot,
  Snapshot,
  StepMetrics,
  WatchMetricsResponse,
} from '@kasane/protocol/gen/kasane/v1/jobs';

/** What the page keeps: more than most coordinators send at first, so that a page that stays open loses little. */
const POINTS = 10_000;
const SNAPSHOTS = 200;
/** Points, the newest, of which it is kept who computed which shard. */
export const SHARD_POINTS = 120;

export class MetricsHistory {
  layers: readonly LayerInfo[] = [];
  /** The job file as it was checked, as JSON. */
  spec = '';
  points: StepMetrics[] = [];
  gradients: Snapshot[] = [];
  activations: Snapshot[] = [];
  /** Counts changes: who has drawn this one need not draw again. */
  version = 0;

  /** @param whole it replaces what was there */
  take(message: WatchMetricsResponse, whole: boolean): void {
    if (whole) {
      this.layers = message.layers;
      this.spec = message.spec;
      this.points = [];
      this.gradients = [];
      this.activations = [];
    }
    this.points = extended(this.points, message.points, POINTS);
    forgetShards(this.points);
    this.gradients = extended(this.gradients, message.gradients, SNAPSHOTS);
    this.activations = extended(this.activations, message.activations, SNAPSHOTS);
    // A long metrics history begins with a hundred messages: it is drawn once, when the last of them is there.
    if (!message.more) this.version++;
  }

  get last(): StepMetrics | undefined {
    return this.points.at(-1);
  }

  /** One number a point of a layer that has parameters, of the `newest` so many; null where it was not seen. */
  ofLayer(
    layer: string,
    pick: (metrics: LayerMetrics) => number,
    newest = this.points.length,
  ): (number | null)[] {
    const index = this.last?.layers.findIndex((one) => one.layer === layer) ?? -1;
    return this.points.slice(-newest).map(({ layers }) => {
      const seen = layers[index];
      return seen && Number.isFinite(pick(seen)) ? pick(seen) : null;
    });
  }
}

/** A layer in snapshots, with the steps at which it was seen. */
export function snapshotsOf(
  snapshots: readonly Snapshot[],
  layer: string,
): { step: number; seen: LayerSnapshot }[] {
  return snapshots.flatMap(({ step, layers }) => {
    const seen = layers.find((one) => one.layer === layer);
    return seen ? [{ step, seen }] : [];
  });
}

/** Of hundreds of shards it is most of what a point weighs. */
function forgetShards(points: StepMetrics[]): void {
  for (let index = points.length - 1 - SHARD_POINTS; index >= 0; index--) {
    const point = points[index]!;
    if (point.shards.length === 0) return;
    points[index] = { ...point, shards: [], workers: [] };
  }
}

/** Of too many, every second one of the older half goes, as in the coordinator: a run keeps its beginning. */
function extended<T>(list: readonly T[], more: readonly T[], most: number): T[] {
  const all = [...list, ...more];
  const half = all.length / 2;
  return all.length > most ? all.filter((_, index) => index >= half || index % 2 === 0) : all;
}
