/** Jobs as users see them: what is stored, and for running jobs what the run knows. */
import { MetricKind } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult, Job as JobMessage } from '@kasane/protocol/gen/kasane/v1/jobs';
import { brief } from '@kasane/protocol/internal/events/plain-text';
import { metricKind } from '@kasane/protocol/internal/job/metric-kind';
import type { JobSpec } from '@kasane/protocol/job';
import { ERROR_TEXT, LISTED_HISTORY, SHOWN_MODELS } from '@kasane/protocol/limits';
import { isPassing, messageOfReason, type Reason } from '@kasane/protocol/reasons';
import { metricOf } from '@kasane/tensor/objective';
import type { Run } from '../run/run.ts';
import type { JobRecord } from '../store/job-record.ts';
import { selection } from '../store/pages.ts';
import type { JobStore } from '../store/store.ts';
import type { Runs } from './runs.ts';

export class JobViews {
  readonly #store: JobStore;
  readonly #runs: Runs;
  /** Views of stored jobs, valid as long as the record is the same object. */
  readonly #kept = new WeakMap<JobRecord, JobMessage>();

  constructor(store: JobStore, runs: Runs) {
    this.#store = store;
    this.#runs = runs;
  }

  /** @param most number of epochs to include */
  of(record: JobRecord, most: number): JobMessage {
    const store = this.#store;
    const run = this.#runs.get(record.id);
    let kept = this.#kept.get(record);
    if (!kept) {
      const epochs = store.lastEpoch(record.id);
      const shown = selection(epochs, LISTED_HISTORY).map((index) => index + 1);
      kept = viewJob(record, epochs, store.epochsAt(record.id, shown));
      kept.best = store.bestEpoch(record.id, kept.metricKind);
      this.#kept.set(record, kept);
    }
    const why = this.#runs.waitingFor(record);
    const now = {
      waitingFor: why && messageOfReason(why),
      models: store.models.versionsOf(record.digest).slice(0, SHOWN_MODELS),
    };
    if (run) return { ...viewRun(kept, run, most, why), ...now };
    if (most <= LISTED_HISTORY || kept.epoch <= LISTED_HISTORY) return { ...kept, ...now };
    const shown = selection(kept.epoch, most).map((index) => index + 1);
    return { ...kept, history: store.epochsAt(record.id, shown), ...now };
  }
}

/** Earlier versions stored no exchange. */
type KeptSpec = Pick<JobSpec, 'training' | 'objective' | 'description' | 'tags'> &
  Partial<Pick<JobSpec, 'exchange'>>;

/** A job as it is stored. @param epochs that it has completed @param history those of them to include */
function viewJob(record: JobRecord, epochs: number, history: readonly EpochResult[]): JobMessage {
  const { training, objective, exchange, description, tags } = JSON.parse(record.spec) as KeptSpec;
  const last = history.at(-1);
  const metric = metricOf(objective);
  return {
    id: record.id,
    name: record.name,
    description: description ?? '',
    tags: tags ?? [],
    state: record.state,
    // Earlier versions stored it at full length.
    error: brief(record.error, ERROR_TEXT),
    waitingFor: undefined,
    submittedAt: record.submittedAt,
    startedAt: record.startedAt,
    endedAt: record.endedAt,
    epoch: epochs,
    epochs: training.epochs,
    step: record.step,
    steps: record.steps,
    trainLoss: last?.trainLoss,
    trainMetric: last?.trainMetric,
    samplesPerSecond: 0,
    stalledMs: 0,
    history: [...history],
    best: undefined,
    workers: record.workers,
    digest: record.digest,
    model: record.model,
    priority: record.priority,
    metric,
    metricKind: metricKind(metric),
    localSteps: exchange?.every ?? 1,
    sweep: record.sweep,
    trial: record.trial,
    spec: '',
    models: [],
  };
}

/** A running job: the run knows more than what is stored. @param most number of epochs to include @param why it is waiting, if it is */
function viewRun(
  kept: JobMessage,
  { progress, board }: Run,
  most: number,
  why: Reason | undefined,
): JobMessage {
  const { running } = progress;
  const isHeldUp = why !== undefined && !isPassing(why);
  const stalledMs = isHeldUp ? Math.max(1, board.stillMs) : board.stalledMs;
  return {
    ...kept,
    epoch: progress.epoch,
    step: progress.step,
    steps: progress.steps,
    trainLoss: running?.loss,
    trainMetric: running?.metric,
    samplesPerSecond: stalledMs > 0 ? 0 : progress.samplesPerSecond,
    stalledMs,
    history: selection(progress.history.length, most).map((index) => progress.history[index]!),
    best: bestOf(progress.history, kept.metricKind),
    workers: progress.workers.length,
  };
}

/** The epoch with the best test metric, the first of several; undefined if none has ended. */
function bestOf(history: readonly EpochResult[], kind: MetricKind): EpochResult | undefined {
  const sign = kind === MetricKind.METRIC_KIND_ERROR ? -1 : 1;
  return history.reduce<EpochResult | undefined>(
    (best, epoch) => (best && sign * epoch.testMetric <= sign * best.testMetric ? best : epoch),
    undefined,
  );
}
