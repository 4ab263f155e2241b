/** Jobs as the protocol shows them: what the store knows, and for a running one what the run knows. */
import type { EpochResult, Job as JobMessage } from '@kasane/protocol/gen/kasane/v1/jobs';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { metricKind } from '@kasane/protocol/internal/job/metric-kind';
import type { JobSpec } from '@kasane/protocol/job';
import { ERROR_TEXT } from '@kasane/protocol/limits';
import { metricOf } from '@kasane/tensor/objective';
import type { Run } from '../run/run.ts';
import type { JobRecord } from '../store/job-record.ts';
import { selection } from '../store/pages.ts';

/** What the store knows of a job. @param epochs that it has done @param history those of them that are shown */
export function viewJob(record: JobRecord, epochs: number, history: readonly EpochResult[]): JobMessage {
  const { training, objective } = JSON.parse(record.spec) as Pick<JobSpec, 'training' | 'objective'>;
  const last = history.at(-1);
  const metric = metricOf[objective?.type ?? 'classification'];
  return {
    id: record.id,
    name: record.name,
    state: record.state,
    // Earlier versions kept it as long as it came.
    error: brief(record.error, ERROR_TEXT),
    waitingFor: undefined,
    submittedAt: record.submittedAt,
    startedAt: record.startedAt,
    endedAt: record.endedAt,
    epoch: epochs,
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
    metric,
    metricKind: metricKind(metric),
  };
}

/** A job that runs: the run knows more than was kept. @param most epochs that are shown */
export function viewRun(kept: JobMessage, { progress }: Run, most: number): JobMessage {
  const { loss, metric } = progress.running;
  return {
    ...kept,
    epoch: progress.epoch,
    step: progress.step,
    steps: progress.steps,
    trainLoss: loss,
    trainMetric: metric,
    samplesPerSecond: progress.samplesPerSecond,
    history: selection(progress.history.length, most).map((index) => progress.history[index]!),
    workers: progress.workers.length,
  };
}
