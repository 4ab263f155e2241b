import type { LayerMetrics, ShardMetrics, Snapshot, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { defaultLimits, POINT_LAYERS, SHARD_POINTS, SNAPSHOT_LAYERS } from '@kasane/protocol/limits';
import { describe, expect, it } from 'vitest';
import { histogramOf } from '../src/params/histograms.ts';
import { inMessages, Metrics, NOTHING_YET, thinned } from '../src/store/metrics.ts';

const point = (step: number) => ({ step, workers: [], shards: [], layers: [] }) as unknown as StepMetrics;
const steps = (points: readonly StepMetrics[]) => points.map(({ step }) => step);

describe('metrics of a run', () => {
  it('keep what is recent dense and thin out what is old, within a limit', () => {
    expect(steps(thinned([1, 2, 3, 4, 5, 6, 7, 8].map(point)))).toEqual([1, 3, 5, 6, 7, 8]);
    const metrics = new Metrics();
    for (let step = 1; step <= 100_000; step++) metrics.add(point(step));
    const kept = steps(metrics.history.points);
    expect(kept.length).toBeLessThanOrEqual(defaultLimits.metricPoints);
    expect(kept.length).toBeGreaterThan(defaultLimits.metricPoints / 2);
    expect(kept[0]).toBe(1);
    expect(kept.slice(-100)).toEqual(Array.from({ length: 100 }, (_, i) => 99_901 + i));
    expect([...kept].sort((a, b) => a - b)).toEqual(kept);
  });

  it('tell who computed what of the newest points alone', () => {
    const metrics = new Metrics();
    for (let step = 1; step <= 300; step++)
      metrics.add({ ...point(step), workers: ['a'], shards: [{ attempt: 1 } as ShardMetrics] });
    const telling = metrics.history.points.filter(
      ({ shards, workers }) => shards.length + workers.length > 0,
    );
    expect(steps(telling)).toEqual(Array.from({ length: SHARD_POINTS }, (_, i) => 301 - SHARD_POINTS + i));
    expect(metrics.history.points).toHaveLength(300);
  });

  it.each([
    [5, 1000],
    [311, 52],
    [POINT_LAYERS, 3],
  ])(
    'tell of %i layers in %i points at most, the newest among them, and of the loss in all',
    (count, most) => {
      const layers = Array.from({ length: count }, (_, i) => ({ layer: `l${i}` }) as LayerMetrics);
      const metrics = new Metrics();
      for (let step = 1; step <= 1000; step++) metrics.add({ ...point(step), layers });
      const { points } = metrics.history;
      expect(points).toHaveLength(1000);
      const telling = steps(points.filter((one) => one.layers.length > 0));
      expect(telling.length).toBeLessThanOrEqual(most);
      expect(telling.length).toBeGreaterThan(most / 2);
      expect(telling[0]).toBe(1);
      expect(telling.at(-1)).toBe(1000);
    },
  );

  it('come in messages of a moderate size, however many shards there are', () => {
    const points = Array.from({ length: 250 }, (_, i) => ({
      ...point(i),
      layers: [],
      shards: new Array(i < 200 ? 0 : 1000),
    }));
    const messages = [...inMessages(points)];
    expect(messages.flat()).toEqual(points);
    expect(messages.map(({ length }) => length)).toEqual([100, 100, 10, 10, 10, 10, 10]);
  });

  it('forget what came after a checkpoint that is gone back to', () => {
    const metrics = new Metrics({ ...NOTHING_YET, points: [1, 5, 9].map(point) });
    metrics.rewind(5);
    expect(steps(metrics.history.points)).toEqual([1, 5]);
  });

  it('tell listeners until they ask no more', () => {
    const metrics = new Metrics();
    const heard: number[] = [];
    const off = metrics.onMore(({ points }) => heard.push(...steps(points)));
    metrics.add(point(1));
    off();
    metrics.add(point(2));
    expect(heard).toEqual([1]);
    expect(metrics.isDue).toBe(false);
  });

  it('are due at every step where no time is to pass between them', () => {
    const metrics = new Metrics(NOTHING_YET, { ...defaultLimits, metricIntervalMs: 0 });
    metrics.add(point(1));
    expect(metrics.isDue).toBe(true);
  });
});

describe('snapshots of layers', () => {
  const snapshot = (step: number, layers = 3) => ({ step, layers: new Array(layers) }) as unknown as Snapshot;

  it('are fewer where there are many layers, and the first stays', () => {
    const metrics = new Metrics();
    for (let step = 1; step <= 1000; step++) metrics.addActivations(snapshot(step, 200));
    const kept = metrics.history.activations.map(({ step }) => step);
    expect(kept.length).toBeLessThanOrEqual(SNAPSHOT_LAYERS / 200);
    expect([kept[0], kept.at(-1)]).toEqual([1, 1000]);
  });

  it('count numbers in equal bins, leave out what is not finite, and show a single outlier', () => {
    const values = Float32Array.from({ length: 3200 }, (_, i) => i / 100);
    expect(histogramOf(values)).toEqual({ low: 0, high: values[3199], bins: new Array(32).fill(255) });
    values[7] = Number.NaN;
    values[8] = 1000;
    const { high, bins } = histogramOf(values);
    expect(high).toBe(1000);
    expect(bins.at(-1)).toBe(1);
    expect(histogramOf(Float32Array.of(Number.NaN)).bins).toEqual([]);
    expect(histogramOf(Float32Array.of(5, 5, 5)).bins[0]).toBe(255);
  });
});
