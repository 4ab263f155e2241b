/** A job's course as it arrives: layers, job file, points, snapshots. Views read it; it knows nothing of them. */
import type {
  LayerInfo,
  LayerMetrics,
  LayerSnapshot,
  Snapshot,
  StepMetrics,
  WatchMetricsResponse,
} from '@kasane/protocol/gen/kasane/v1/jobs';

/** What the page keeps: more than the coordinator sends at first, so that a page that stays open loses little. */
const POINTS = 10_000;
const SNAPSHOTS = 200;

export class Course {
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
    append(this.points, message.points, POINTS);
    append(this.gradients, message.gradients, SNAPSHOTS);
    append(this.activations, message.activations, SNAPSHOTS);
    this.version++;
  }

  get last(): StepMetrics | undefined {
    return this.points.at(-1);
  }

  /** One number a point of a layer that has parameters; null where it was not seen. */
  ofLayer(layer: string, pick: (metrics: LayerMetrics) => number): (number | null)[] {
    const index = this.last?.layers.findIndex((one) => one.layer === layer) ?? -1;
    return this.points.map(({ layers }) => {
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

function append<T>(list: T[], more: readonly T[], most: number): void {
  for (const one of more) list.push(one);
  if (list.length > most) list.splice(0, list.length - most);
}
