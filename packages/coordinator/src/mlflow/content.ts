/** What MLflow is told about a job: pure functions of its record, its points and its epochs. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult, Job, Source, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { testMetricNames } from '@kasane/tensor/internal/test-metrics';
import { KEY_TEXT, type Metric, PARAM_TEXT, type Pair, type RunStatus, TAG_TEXT } from './api.ts';

/** Parameters of one run: a deep model has thousands of keys. */
const MOST_KEYS = 1000;
/** The tag with the ID of a run's job. */
export const JOB_TAG = 'kasane.job';
export const MODELS_TAG = 'kasane.models';

const statuses: Readonly<Record<JobState, RunStatus>> = {
  [JobState.JOB_STATE_UNSPECIFIED]: 'SCHEDULED',
  [JobState.JOB_STATE_QUEUED]: 'SCHEDULED',
  [JobState.JOB_STATE_RUNNING]: 'RUNNING',
  [JobState.JOB_STATE_PAUSED]: 'SCHEDULED',
  [JobState.JOB_STATE_SUCCEEDED]: 'FINISHED',
  [JobState.JOB_STATE_FAILED]: 'FAILED',
  [JobState.JOB_STATE_CANCELLED]: 'KILLED',
  [JobState.UNRECOGNIZED]: 'RUNNING',
};
export const statusOf = ({ state }: Pick<Job, 'state'>): RunStatus => statuses[state];

/** Names may only have these characters, and must not read as another path. */
const nameOf = (key: string): string =>
  key
    .replace(/[^\w.\- /]/gu, '_')
    .replace(/\/{2,}|^\/|\/$/g, '_')
    .replace(/(^|\/)\.{1,2}(?=\/|$)/g, '$1_')
    .slice(0, KEY_TEXT) || '_';

/** The keys of a job file with their values, one each: training.batch, model.layers.0.units. */
export function paramsOf(spec: string): Pair[] {
  const found = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    if (found.size >= MOST_KEYS) return;
    if (typeof value === 'object' && value !== null) {
      for (const [key, below] of Object.entries(value)) walk(below, path === '' ? key : `${path}.${key}`);
      return;
    }
    found.set(nameOf(path), String(value).slice(0, PARAM_TEXT));
  };
  walk(JSON.parse(spec), '');
  return [...found].map(([key, value]) => ({ key, value }));
}

/** The tags of a run. */
export function tagsOf(job: Job, source: Source | undefined): Pair[] {
  const tags: readonly (readonly [string, string])[] = [
    [JOB_TAG, job.id],
    ['kasane.name', job.name],
    ['kasane.tags', job.tags.join(' ')],
    ['kasane.sweep', job.sweep],
    ['kasane.trial', job.trial > 0 ? String(job.trial) : ''],
    // MLflow shows these itself.
    ['mlflow.note.content', job.description],
    ['mlflow.source.name', source?.file ?? ''],
    ['mlflow.source.git.commit', source?.revision ?? ''],
  ];
  return tags.flatMap(([key, value]) => (value === '' ? [] : [{ key, value: value.slice(0, TAG_TEXT) }]));
}

/** The metrics of a step, without those that are not finite, which JSON cannot express. @param metric name of the job's metric */
export function metricsOfStep(point: StepMetrics, metric: string): Metric[] {
  return metricsAt(point.step, point.time, {
    'train/loss': point.loss,
    [`train/${nameOf(metric)}`]: point.metric,
    learning_rate: point.learningRate,
    gradient_norm: point.gradientNorm,
    samples_per_second: point.samplesPerSecond,
    'step_ms/whole': point.stepMs,
    'step_ms/compute': point.computeMs,
  });
}

/** The metrics of an epoch, whose number is the step. @param now for an epoch whose end an earlier version did not record */
export function metricsOfEpoch(result: EpochResult, metric: string, now: number): Metric[] {
  const { epoch, trainLoss, trainMetric, testLoss, testMetric, testMetrics, seconds, endedAt } = result;
  const name = nameOf(metric);
  const others = testMetricNames.map((other) => [`test/${other}`, testMetrics?.[other] ?? Number.NaN]);
  return metricsAt(epoch, endedAt || now, {
    'epoch/loss': trainLoss,
    [`epoch/${name}`]: trainMetric,
    'epoch/seconds': seconds,
    'test/loss': testLoss,
    [`test/${name}`]: testMetric,
    ...Object.fromEntries(others),
  });
}

const metricsAt = (step: number, time: number, values: Readonly<Record<string, number>>): Metric[] =>
  Object.entries(values).flatMap(([key, value]) =>
    Number.isFinite(value) ? [{ key, value, timestamp: Math.round(time), step }] : [],
  );
