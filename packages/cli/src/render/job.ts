/** A job as people and programs see it: one function shapes the record, table and JSON follow it. */

import { JobState, MetricKind, type Reason } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { readArgs } from '@kasane/protocol/internal/events/forms';
import { stateNames } from '@kasane/protocol/job-state';
import { isPassing } from '@kasane/protocol/reasons';
import { moment, table } from './table.ts';

/** What `--json` prints of a job. Times are ISO 8601 or null. */
export function jobRecord(job: Job) {
  const time = (ms: number) => (ms > 0 ? new Date(ms).toISOString() : null);
  const last = job.history.at(-1);
  return {
    job: job.id,
    name: job.name,
    description: job.description || null,
    tags: job.tags,
    state: stateNames[job.state],
    error: job.error || null,
    waitingFor: job.waitingFor?.text || null,
    waitingReason: reasonRecord(job.waitingFor),
    epoch: job.epoch,
    epochs: job.epochs,
    priority: job.priority,
    step: job.step,
    steps: job.steps,
    localSteps: job.localSteps,
    trainLoss: job.trainLoss ?? null,
    metric: job.metric || 'accuracy',
    trainMetric: job.trainMetric ?? null,
    testLoss: last?.testLoss ?? null,
    testMetric: last?.testMetric ?? null,
    bestMetric: job.best?.testMetric ?? null,
    bestEpoch: job.best?.epoch ?? null,
    // The metric by its own name, where it is this one.
    trainAccuracy: isAccuracy(job) ? (job.trainMetric ?? null) : null,
    testAccuracy: isAccuracy(job) ? (last?.testMetric ?? null) : null,
    // Further metrics of the same test: precision, recall, f1, ...
    testMetrics: last?.testMetrics ?? {},
    samplesPerSecond: Math.round(job.samplesPerSecond),
    workers: job.workers,
    submittedAt: time(job.submittedAt),
    startedAt: time(job.startedAt),
    endedAt: time(job.endedAt),
    digest: job.digest || null,
    model: job.model || null,
    sweep: job.sweep || null,
    trial: job.trial || null,
  };
}

/** What `--json` prints of a reason, beside its sentence. */
export const reasonRecord = (reason: Reason | undefined): ReasonRecord | null =>
  reason ? { code: reason.code, args: readArgs(reason.args) } : null;

export interface ReasonRecord {
  readonly code: string;
  readonly args: Readonly<Record<string, unknown>>;
}

export const percent = (fraction: number | null) =>
  fraction === null ? '-' : `${(100 * fraction).toFixed(2)} %`;

const isAccuracy = ({ metricKind }: Pick<Job, 'metricKind'>) => metricKind !== MetricKind.METRIC_KIND_ERROR;

/** The metric of a job, for people: 98.23 %, or 0.1234 where it is an error. */
export function formatMetric(job: Pick<Job, 'metricKind'>, value: number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  return isAccuracy(job) ? percent(value) : value.toPrecision(4);
}

/** What it is called. */
export const metricName = (job: Pick<Job, 'metricKind'>): string => (isAccuracy(job) ? 'accuracy' : 'error');

/**
 * What keeps a job from going on until somebody does something about it: no worker, a full disk, jobs that go first. Undefined where it
 * goes on, and where it is paused, which its state says.
 */
export function heldUpBy({ state, waitingFor }: Pick<Job, 'state' | 'waitingFor'>): Reason | undefined {
  if (!waitingFor || state === JobState.JOB_STATE_PAUSED || isPassing(waitingFor)) return undefined;
  return waitingFor;
}

/** Jobs as a table. */
export function jobTable(jobs: readonly Job[]): string {
  const head = ['JOB', 'STATE', 'PRIORITY', 'EPOCH', 'LOSS', 'TEST', 'SUBMITTED', 'WAITS FOR'];
  const rows = jobs.map((job) => {
    const { state, testMetric, submittedAt, waitingFor } = jobRecord(job);
    return [
      job.id,
      state,
      String(job.priority),
      `${job.epoch}/${job.epochs}`,
      job.trainLoss?.toFixed(4) ?? '-',
      formatMetric(job, testMetric),
      submittedAt ? moment(submittedAt) : '-',
      waitingFor ?? '',
    ];
  });
  return table(head, rows);
}

/** One line about a finished epoch. */
export function epochLine(job: Pick<Job, 'epochs' | 'metricKind'>, epoch: EpochResult): string {
  return (
    `epoch ${String(epoch.epoch).padStart(String(job.epochs).length)}/${job.epochs}  loss ${epoch.trainLoss.toFixed(4)}  ` +
    `${metricName(job)} ${formatMetric(job, epoch.trainMetric)}  test loss ${epoch.testLoss.toFixed(4)}  ` +
    `test ${metricName(job)} ${formatMetric(job, epoch.testMetric)}  ` +
    `${epoch.seconds.toFixed(1)} s`
  );
}
