/** A job as people and programs see it: one function shapes the record, table and JSON follow it. */

import { JobState, type Reason } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult, Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { isAccuracy, jobRecord } from '@kasane/protocol/internal/job/job-record';
import { isPassing } from '@kasane/protocol/reasons';
import { percentText } from '@kasane/tensor/internal/percent';
import { moment, table } from './table.ts';

export const percent = (fraction: number | null) => (fraction === null ? '-' : percentText(fraction));

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
