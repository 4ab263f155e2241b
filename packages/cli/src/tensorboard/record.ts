/** Writes what a coordinator tells of a job into event files for TensorBoard: a folder for each job below the one given. */
import { join } from 'node:path';
import type { CoordinatorClient } from '@kasane/protocol/client';
import type { Job, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { testMetricNames } from '@kasane/tensor/internal/test-metrics';
import { EventFile, type Scalars } from './event-file.ts';

export interface Recording {
  /** Path of the event file. */
  readonly path: string;
  /** Hears each state of the job: tests come with it. */
  update(job: Job): void;
  /** Resolves when all that was told is written. @param hasEnded more of a job that has not is not waited for. Default true. */
  close(hasEnded?: boolean): Promise<void>;
}

/** Records until the job has ended and `close` is called. @param say hears once that the disk refuses to */
export function recordJob(
  client: CoordinatorClient,
  job: string,
  folder: string,
  say: (line: string) => void,
): Recording {
  const file = new EventFile(join(folder, job), Date.now(), (what) =>
    say(`Note: ${what}; the TensorBoard logs have a gap there, and training continues`),
  );
  let step = 0;
  let tests = 0;
  let stepsPerEpoch = 0;
  let metric = 'metric';
  /** Steps that came before the metric's name was known. */
  let early: StepMetrics[] | undefined = [];
  const write = (point: StepMetrics) => {
    // After a coordinator has come back steps are told again: the first telling stays.
    if (point.step <= step) return;
    step = point.step;
    file.scalars(point.step, point.time, scalarsOf(point, metric));
  };
  let cancel = () => {};
  const ended = new Promise<void>((resolve) => {
    cancel = client.watchMetrics(
      job,
      ({ points }) => {
        if (early) early.push(...points);
        else points.forEach(write);
      },
      resolve,
    );
  });
  return {
    path: file.path,
    update(now) {
      if (early) {
        metric = now.metric.replaceAll(' ', '_') || metric;
        early.forEach(write);
        early = undefined;
      }
      // A job that has ended does not say any more how many steps it was to have.
      if (now.steps > 0) stepsPerEpoch = now.steps / now.epochs;
      else if (stepsPerEpoch === 0 && now.epoch > 0) stepsPerEpoch = now.step / now.epoch;
      for (const { epoch, testLoss, testMetric, testMetrics, endedAt } of now.history) {
        if (epoch <= tests) continue;
        file.scalars(Math.round(stepsPerEpoch * epoch), endedAt || Date.now(), {
          'test/loss': testLoss,
          [`test/${metric}`]: testMetric,
          ...Object.fromEntries(
            testMetricNames.flatMap((name) => {
              const value = testMetrics?.[name];
              return value === undefined ? [] : [[`test/${name}`, value]];
            }),
          ),
        });
      }
      tests = now.history.at(-1)?.epoch ?? tests;
    },
    async close(hasEnded = true) {
      if (!hasEnded) cancel();
      await ended;
      file.close();
    },
  };
}

function scalarsOf(point: StepMetrics, metric: string): Scalars {
  const layers = point.layers.flatMap(({ layer, gradientNorm, weightNorm, updateRatio }) => [
    [`gradient_norm/${layer}`, gradientNorm],
    [`weight_norm/${layer}`, weightNorm],
    [`update_ratio/${layer}`, updateRatio],
  ]);
  return {
    'train/loss': point.loss,
    [`train/${metric}`]: point.metric,
    learning_rate: point.learningRate,
    gradient_norm: point.gradientNorm,
    samples_per_second: point.samplesPerSecond,
    'step_ms/whole': point.stepMs,
    'step_ms/compute': point.computeMs,
    ...Object.fromEntries(layers),
  };
}
