/** The checkpoints of one run: written in the background, the newest and the best kept, read again on resume. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { JobEvent } from '@kasane/protocol/internal/events/events';
import type { Job } from '@kasane/protocol/job';
import { at, type Reason, sentenceOf } from '@kasane/protocol/reasons';
import type { Logger } from 'pino';
import { encodeCheckpoint, type Position, readCheckpoint, type Weights } from '../params/checkpoint.ts';
import { writeWhole } from '../params/files.ts';
import type { ConfusionRecord } from '../store/confusions.ts';
import { clockTime, diskReason, type RetryingDisk } from '../store/disk.ts';
import type { LedgerRow } from '../store/ledger-rows.ts';
import type { MetricsHistory } from '../store/metrics.ts';
import type { JobStore } from '../store/store.ts';
import { rankEpochs, type StopCriterion, stopCriterionOf } from './best-epoch.ts';

export interface CheckpointsOptions {
  readonly id: string;
  readonly job: Job;
  readonly store: JobStore;
  /** Folder of the files. */
  readonly directory: string;
  readonly stepsPerEpoch: number;
  readonly log: Logger;
  readonly record: (event: JobEvent) => void;
}

/** What is stored together with a checkpoint. */
export interface Passed {
  /** Shards counted since the previous checkpoint. */
  readonly ledger: readonly LedgerRow[];
  readonly metrics: MetricsHistory;
  /** The epoch that it completes, if any. */
  readonly epoch?: EpochResult | undefined;
  /** From the epoch's test. */
  readonly confusion?: ConfusionRecord | undefined;
}

interface Owed {
  ledger: LedgerRow[];
  epochs: EpochResult[];
  confusion?: ConfusionRecord;
}

/** Time after which a refused checkpoint is retried, in milliseconds, if none is due before. */
const RETRY_MS = 2_000;

export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #criterion: StopCriterion;
  /** What belongs to checkpoints that could not be written; stored with the next one. */
  #owed: Owed = { ledger: [], epochs: [] };
  /** Why the last one is not on disk, if it is not. */
  #refusal: Error | undefined;
  #writtenAt = performance.now();
  /** The write in progress, */
  #writing: Promise<void> = Promise.resolve();
  /** and when it began. */
  #since = new Date();

  constructor(options: CheckpointsOptions) {
    this.#options = options;
    this.#criterion = stopCriterionOf(options.job);
  }

  /** Fills `weights` from the newest undamaged checkpoint. Undefined: there is none. */
  async restore(weights: Weights): Promise<Position | undefined> {
    const { id, job, store, stepsPerEpoch, log, record } = this.#options;
    for (const { step, path, digest } of store.checkpoints(id)) {
      let read = await readCheckpoint(path, digest, job, weights);
      if ('why' in read) {
        // If the state directory is missing altogether, the checkpoints are not lost.
        await store.place.require();
        read = await readCheckpoint(path, digest, job, weights);
      }
      if ('why' in read) {
        log.warn(`cannot use the checkpoint of step ${step}, trying the previous one: ${read.why}`);
        continue;
      }
      await store.rewind(id, step, Math.floor(step / stepsPerEpoch));
      log.info(`resuming from the checkpoint of step ${step}`);
      record({ code: 'restored', args: { step } });
      return read;
    }
    await store.rewind(id, 0, 0);
    return undefined;
  }

  /** Whether to write one after `step` steps, apart from those at the end of epochs. */
  isDue(step: number): boolean {
    const { checkpoint, exchange } = this.#options.job.spec;
    const { everySteps, everySeconds } = checkpoint;
    // With local steps, a version exists only after each round.
    const rounds = everySteps && Math.ceil(everySteps / exchange.every);
    const sinceMs = performance.now() - this.#writtenAt;
    return (
      (rounds !== undefined && step % rounds === 0) ||
      (everySeconds !== undefined && sinceMs >= 1000 * everySeconds) ||
      (this.#refusal !== undefined && sinceMs >= RETRY_MS)
    );
  }

  /**
   * Writes a checkpoint while the next steps run; waits only for the previous one. If the disk refuses it, training continues, and its
   * rows are stored with the next one. @param disk reports a long wait
   */
  async write(
    disk: Pick<RetryingDisk, 'hear'>,
    weights: Weights,
    position: Position,
    { ledger, metrics, epoch, confusion }: Passed,
  ): Promise<void> {
    await disk.hear(this.#writing, {}, this.#since);
    const { id, job, store, directory, log, record } = this.#options;
    const path = join(directory, `checkpoint-${String(position.step).padStart(9, '0')}.safetensors`);
    this.#owed.ledger.push(...ledger);
    if (epoch) this.#owed.epochs.push(epoch);
    if (confusion) this.#owed.confusion = confusion;
    this.#writtenAt = performance.now();
    // The next steps change the weights, so copy them first.
    const bytes = await encodeCheckpoint(job, weights, position);
    const keep = async () => {
      await store.place.folder(directory);
      const digest = await writeWhole(path, bytes);
      await store.addCheckpoint(
        id,
        { step: position.step, path, digest },
        this.#owed.ledger,
        this.#owed.epochs,
        this.#owed.confusion,
      );
      this.#owed = { ledger: [], epochs: [] };
      const { step } = position;
      if (this.#refusal) log.info(`checkpoints can be written again: step ${step} is on disk`);
      record({ code: this.#refusal ? 'checkpoint-accepted' : 'checkpoint', args: { step } });
      this.#refusal = undefined;
      await store.setMetrics(id, metrics);
      const best = new Set(this.#bestSteps());
      for (const old of store.checkpoints(id).slice(job.spec.checkpoint.keep)) {
        if (best.has(old.step)) continue;
        await store.removeCheckpoint(id, old.step);
        await rm(old.path, { force: true });
      }
    };
    this.#since = new Date();
    this.#writing = keep().catch((error: unknown) => {
      const disk = diskReason(error, clockTime());
      if (!disk) throw error;
      const why = at(disk, { writing: 'checkpoint', of: String(position.step) });
      if (!this.#refusal) {
        record({ code: 'checkpoint-refused', args: {}, reason: why });
        log.warn(
          why,
          `${sentenceOf(why)}; training continues, and another checkpoint will be attempted soon`,
        );
      }
      this.#refusal = error as Error;
    });
    // Reported where it is awaited: before the next checkpoint or at the end.
    this.#writing.catch(() => {});
  }

  /** Why the disk refused the last one, if it did. */
  get refused(): Reason | undefined {
    return this.#refusal && diskReason(this.#refusal, clockTime());
  }

  /** Resolves when no write is in progress. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /** Resolves when the newest is on disk; `again` writes it once more if the disk refused it. */
  async finish(disk: RetryingDisk, again: () => Promise<void>): Promise<void> {
    await disk.hear(this.#writing, {}, this.#since);
    await disk.write({ writing: 'last-checkpoint' }, async () => {
      if (!this.#refusal) return;
      await again();
      await this.#writing;
      if (this.#refusal) throw this.#refusal;
    });
  }

  /** The weights of the best epoch and its step; undefined if they are the current ones, or their checkpoint is lost. */
  async best(present: Weights, step: number): Promise<{ weights: Weights; step: number } | undefined> {
    const { id, job, store, log } = this.#options;
    const [best] = this.#bestSteps();
    if (best === undefined || best === step) return undefined;
    const found = store.checkpoints(id).find((checkpoint) => checkpoint.step === best);
    const state = new Map([...present.state].map(([name, values]) => [name, values.slice()]));
    const weights = { parameters: present.parameters.slice(), state };
    const read = found
      ? await readCheckpoint(found.path, found.digest, job, weights)
      : { why: `the checkpoint of step ${best} is missing` };
    if (!('why' in read)) return { weights, step: best };
    log.warn(`using the last weights instead of the best ones: ${read.why}`);
    return undefined;
  }

  /** Steps of the epochs whose checkpoints are kept, best first. */
  #bestSteps(): number[] {
    const { id, job, store, stepsPerEpoch } = this.#options;
    const { best = 0 } = job.spec.checkpoint;
    const count = Math.max(best, this.#criterion.stopEarly ? 1 : 0);
    if (count === 0) return [];
    const list = rankEpochs([...store.epochs(id), ...this.#owed.epochs], this.#criterion);
    return list.slice(0, count).map(({ epoch }) => epoch * stepsPerEpoch);
  }
}
