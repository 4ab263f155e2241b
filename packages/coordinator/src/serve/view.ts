/** Jobs as the protocol shows them: what the store knows, and for a running one what the run knows. */
import type { EpochResult, Job as JobMessage } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { JobSpec } from '@kasane/protocol/job';
import { metricOf } from '@kasane/tensor/objective';
import type { Run } from '../jobs/run.ts';
import type { JobRecord } from '../jobs/store.ts';

/** What the store knows of a job. */
export function viewJob(record: JobRecord, history: readonly EpochResult[]): JobMessage {
  const { training, objective } = JSON.parse(record.spec) as Pick<JobSpec, 'training' | 'objective'>;
  const last = history.at(-1);
  return {
    id: record.id,
    name: record.name,
    state: record.state,
    error: record.error,
    waitingFor: '',
    submittedAt: record.submittedAt,
    startedAt: record.startedAt,
    endedAt: record.endedAt,
    epoch: history.length,
    epochs: training.epochs,
    step: record.step,
    steps: record.steps,
    trainLoss: last?.trainLoss ?? 0,
    trainMetric: last?.trainMetric ?? 0,
    samplesPerSecond: 0,
    history: [...history],
    workers: record.workers,
    digest: record.digest,
    model: record.model,
    priority: record.priority,
    metric: metricOf[objective?.type ?? 'classification'],
  };
}

/** A job that runs: the run knows more than was kept. */
export function viewRun(kept: JobMessage, { progress }: Run): JobMessage {
  const { loss, metric } = progress.running;
  return {
    ...kept,
    epoch: progress.epoch,
    step: progress.step,
    steps: progress.steps,
    trainLoss: loss,
    trainMetric: metric,
    samplesPerSecond: progress.samplesPerSecond,
    history: [...progress.history],
    workers: progress.workers.length,
  };
}
