import type { StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { METRICS_POINTS } from '@kasane/protocol/limits';
import { describe, expect, it } from 'vitest';
import { Metrics, thinned } from '../src/jobs/metrics.ts';

const point = (step: number) => ({ step }) as StepMetrics;
const steps = (points: readonly StepMetrics[]) => points.map(({ step }) => step);

describe('metrics of a run', () => {
  it('keep what is recent dense and thin out what is old, within a limit', () => {
    expect(steps(thinned([1, 2, 3, 4, 5, 6, 7, 8].map(point)))).toEqual([1, 3, 5, 6, 7, 8]);
    const metrics = new Metrics();
    for (let step = 1; step <= 100_000; step++) metrics.add(point(step));
    const kept = steps(metrics.points);
    expect(kept.length).toBeLessThanOrEqual(METRICS_POINTS);
    expect(kept.length).toBeGreaterThan(METRICS_POINTS / 2);
    expect(kept[0]).toBe(1);
    expect(kept.slice(-100)).toEqual(Array.from({ length: 100 }, (_, i) => 99_901 + i));
    expect([...kept].sort((a, b) => a - b)).toEqual(kept);
  });

  it('forget what came after a checkpoint that is gone back to', () => {
    const metrics = new Metrics([1, 5, 9].map(point));
    metrics.rewind(5);
    expect(steps(metrics.points)).toEqual([1, 5]);
  });

  it('tell listeners until they ask no more', () => {
    const metrics = new Metrics();
    const heard: number[] = [];
    const off = metrics.onPoint(({ step }) => heard.push(step));
    metrics.add(point(1));
    off();
    metrics.add(point(2));
    expect(heard).toEqual([1]);
    expect(metrics.isDue).toBe(false);
  });
});
