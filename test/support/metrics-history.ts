/** A made-up metrics history of a long run, thinned as a real one is: for what must stay quick whatever the length. */

import { Metrics, type MetricsHistory, NOTHING_YET } from '@kasane/coordinator/internal/store/metrics';
import { defaultLimits } from '@kasane/protocol/limits';

export interface LongMetricsOptions {
  /** Default: three, of which every point tells. */
  readonly layers?: readonly string[];
  /** By shard, who computed it. Default: four, by two workers. */
  readonly workers?: readonly string[];
  /** Points that are kept. Default: what a coordinator keeps. */
  readonly points?: number;
}

/** @param steps that the run has had; every tenth of them was looked at, and the last */
export function longMetrics(steps: number, options: LongMetricsOptions = {}): MetricsHistory {
  const { layers = ['dense1', 'dense2', 'dense3'], workers = ['a', 'b', 'a', 'b'], points } = options;
  const metrics = new Metrics(NOTHING_YET, {
    ...defaultLimits,
    ...(points !== undefined && { metricPoints: points }),
  });
  const add = (step: number) => {
    const falls = 1 / (1 + step / 500);
    metrics.add({
      ...{
        step,
        time: 1e12 + 100 * step,
        loss: 0.05 + 2 * falls + 0.02 * Math.sin(step),
        metric: 1 - 0.9 * falls,
      },
      ...{
        learningRate: 0.001,
        gradientNorm: falls + 0.01,
        samplesPerSecond: 5000 + 100 * Math.sin(step / 70),
      },
      ...{ stepMs: 20, computeMs: 15, reduceMs: 1, applyMs: 1, publishMs: 1 },
      layers: layers.map((layer, i) => ({
        layer,
        gradientNorm: falls / (1 + i),
        weightNorm: 10 + i,
        updateRatio: 1e-3,
      })),
      workers: [...workers],
      shards: workers.map((_, shard) => ({
        ...{
          claimedMs: -5,
          answeredMs: 16 + shard / 7,
          samplesMs: 1,
          slotMs: 0,
          computeMs: 14,
          gradientsMs: 0.5,
        },
        attempt: 1,
      })),
    });
  };
  for (let step = 1; step < steps; step += 10) add(step);
  add(steps);
  return metrics.history;
}
