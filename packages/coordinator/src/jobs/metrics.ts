/**
 * How a run went, step by step, for people: sampled a few times a second, thinned with age, kept in the store. Reads the clock;
 * nothing here reaches weights.
 */
import type { StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { METRICS_POINTS } from '@kasane/protocol/limits';

/** Least time between two points, in milliseconds. */
const INTERVAL_MS = 250;

export class Metrics {
  #points: StepMetrics[];
  #sampledAt = Number.NEGATIVE_INFINITY;
  readonly #listeners = new Set<(point: StepMetrics) => void>();

  /** @param points of an earlier coordinator, ascending */
  constructor(points: readonly StepMetrics[] = []) {
    this.#points = [...points];
  }

  get points(): readonly StepMetrics[] {
    return this.#points;
  }

  /** Whether the step under way should be looked at. */
  get isDue(): boolean {
    return performance.now() - this.#sampledAt >= INTERVAL_MS;
  }

  add(point: StepMetrics): void {
    this.#sampledAt = performance.now();
    this.#points.push(point);
    if (this.#points.length > METRICS_POINTS) this.#points = thinned(this.#points);
    for (const listener of this.#listeners) listener(point);
  }

  /** The run goes on after `step`: later points are of updates that were lost. */
  rewind(step: number): void {
    this.#points = this.#points.filter((point) => point.step <= step);
  }

  /** Calls `listener` with each new point until the returned function is called. */
  onPoint(listener: (point: StepMetrics) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Every second point of the older half. What is recent stays as dense as it was seen. */
export function thinned(points: readonly StepMetrics[]): StepMetrics[] {
  const half = Math.floor(points.length / 2);
  return points.filter((_, index) => index >= half || index % 2 === 0);
}
