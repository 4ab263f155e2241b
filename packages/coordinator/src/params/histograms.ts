/** Histograms for display: equal bins, from a sample of large arrays. */
import type { Histogram } from '@kasane/protocol/gen/kasane/v1/jobs';
import { HISTOGRAM_BINS, HISTOGRAM_SAMPLES } from '@kasane/protocol/limits';

/**
 * Counts `values` from `start` to `end`, at most HISTOGRAM_SAMPLES of them at equal distances. Ignores non-finite values; without finite
 * ones there are no bins.
 */
export function histogramOf(values: Float32Array, start = 0, end = values.length): Histogram {
  const stride = Math.max(1, Math.ceil((end - start) / HISTOGRAM_SAMPLES));
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = start; i < end; i += stride) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return { low: 0, high: 0, bins: [] };
  const counts = new Array<number>(HISTOGRAM_BINS).fill(0);
  const scale = high > low ? HISTOGRAM_BINS / (high - low) : 0;
  for (let i = start; i < end; i += stride) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    const bin = Math.min(HISTOGRAM_BINS - 1, Math.floor((value - low) * scale));
    counts[bin] = counts[bin]! + 1;
  }
  const fullest = Math.max(...counts);
  // One value among thousands must not vanish: a non-empty bin is at least 1.
  return { low, high, bins: counts.map((count) => Math.ceil((255 * count) / fullest)) };
}
