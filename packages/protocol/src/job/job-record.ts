/** A job as programs see it: what `kasane jobs --json` prints, and what `kasane runs` and the dashboard compare. */
import { readArgs } from '../events/forms.ts';
import { MetricKind, type Reason } from '../gen/kasane/v1/common.ts';
import type { Job } from '../gen/kasane/v1/jobs.ts';
import { stateNames } from './job-state.ts';

/** Whether its metric is a fraction of 1. */
export const isAccuracy = ({ metricKind }: Pick<Job, 'metricKind'>) =>
  metricKind !== MetricKind.METRIC_KIND_ERROR;

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
    models: job.models,
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
