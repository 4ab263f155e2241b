/** A made-up course of a long run, thinned as a real one is: for what must stay quick whatever the length. */
import { type Course, Metrics } from '@kasane/coordinator/jobs/metrics';

/** @param steps that the run has had, of which a thousand points are left */
export function longCourse(steps: number, layers = ['dense1', 'dense2', 'dense3']): Course {
  const metrics = new Metrics();
  for (let step = 1; step <= steps; step += 10) {
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
      workers: ['a', 'b', 'a', 'b'],
      shards: Array.from({ length: 4 }, (_, shard) => ({
        ...{
          claimedMs: -5,
          answeredMs: 16 + shard,
          samplesMs: 1,
          slotMs: 0,
          computeMs: 14,
          gradientsMs: 0.5,
        },
        attempt: 1,
      })),
    });
  }
  return metrics.course;
}
