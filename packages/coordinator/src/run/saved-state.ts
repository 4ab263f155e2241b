/** The durable part of a run: checkpoints, with the shards counted since the previous one, and the trained weights. */
import { join } from 'node:path';
import type { DataParts } from '@kasane/data/dataset';
import type { Access } from '@kasane/data/internal/files/access';
import { placeOf } from '@kasane/data/open';
import { messageOf } from '@kasane/protocol/errors';
import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Reason } from '@kasane/protocol/reasons';
import { encodeModel, type Position, valuesOf } from '../params/checkpoint.ts';
import { writeWhole } from '../params/files.ts';
import type { ParameterServer } from '../params/parameter-server.ts';
import { checkDefinition } from '../params/result-definition.ts';
import { RetryingDisk } from '../store/disk.ts';
import type { LedgerRow } from '../store/ledger-rows.ts';
import type { Metrics } from '../store/metrics.ts';
import { checkIdentity, identityOf } from '../submit/data-identity.ts';
import type { StartingWeights } from '../submit/make-weights.ts';
import { startingWeights } from '../submit/starting-weights.ts';
import { VERSION } from '../version.ts';
import { Checkpoints, type CheckpointsOptions, type Passed } from './checkpoints.ts';
import type { RunOptions } from './run-options.ts';

/** What would be lost if the process of a run ended now. */
export interface Unkept {
  /** Why the disk refuses it. */
  readonly why: Reason;
  /** Whether steps continue nevertheless. */
  readonly hasBegun: boolean;
  /** Whether all steps are done, and only the disk is waited for. */
  readonly isTrained: boolean;
  readonly epochs: readonly EpochResult[];
  /** The file of the trained weights. */
  readonly model: () => Promise<Uint8Array>;
}

export interface SavedStateOptions extends CheckpointsOptions, Pick<RunOptions, 'access' | 'onChange'> {
  readonly data: DataParts;
  readonly metrics: Metrics;
}

export class SavedState {
  readonly #options: SavedStateOptions;
  readonly #checkpoints: Checkpoints;
  readonly #disk: RetryingDisk;
  /** Aborts the initialization of large or orthogonal weights, which may take minutes. */
  readonly #stopping = new AbortController();
  /** Shards counted since the last checkpoint. */
  #ledger: LedgerRow[] = [];

  constructor(options: SavedStateOptions) {
    this.#options = options;
    this.#checkpoints = new Checkpoints(options);
    this.#disk = new RetryingDisk(options.log, options.onChange);
  }

  /** Why the disk holds up the run; undefined if it does not. */
  get why(): Reason | undefined {
    return this.#disk.why;
  }

  /** Why the disk refused something that the run does not wait for; undefined if it did not. */
  get refused(): Reason | undefined {
    return this.#checkpoints.refused;
  }

  /** Adds committed shards. */
  counted(rows: readonly LedgerRow[]): void {
    this.#ledger.push(...rows);
  }

  /**
   * Fills the parameter server from the newest undamaged checkpoint, or with the job's initial weights.
   * @returns where the run resumes; undefined: at its beginning
   */
  async restore(parameters: ParameterServer): Promise<Position | undefined> {
    const { id, job, data, log, access, metrics } = this.#options;
    // Before training starts: the data that is there now is what it is trained on.
    await identityOf(data);
    const read = await this.#disk.write({ writing: 'position' }, () => this.#checkpoints.restore(parameters));
    metrics.rewind(read?.step ?? 0);
    if (read) {
      const { data: then, definition, ...position } = read;
      checkDefinition(id, position.step, definition);
      await checkIdentity(id, placeOf(job.spec.data), position.step, then, data);
      return position;
    }
    const start = await this.#starting({ ...access, signal: this.#stopping.signal });
    if (start.what) log.info(`starting from ${start.what}`);
    await parameters.reset(start.parameters);
    return undefined;
  }

  async #starting(access: Access): Promise<StartingWeights> {
    const { id, job, store } = this.#options;
    try {
      return await startingWeights(job, store.get(id)?.init ?? '', access, store);
    } catch (error) {
      throw access.signal?.aborted ? access.signal.reason : error;
    }
  }

  /** Whether to write a checkpoint after `step` steps, apart from those at the end of epochs. */
  isDue(step: number): boolean {
    return this.#checkpoints.isDue(step);
  }

  /** Writes a checkpoint while the next steps run. @param epoch the one that it completes, with its confusion matrix */
  async checkpoint(
    parameters: ParameterServer,
    position: Position,
    { epoch, confusion }: Pick<Passed, 'epoch' | 'confusion'> = {},
  ): Promise<void> {
    const data = await identityOf(this.#options.data);
    const ledger = this.#ledger;
    this.#ledger = [];
    const passed = { ledger, metrics: this.#options.metrics.history, epoch, confusion };
    await this.#checkpoints.write(this.#disk, parameters, { ...position, data }, passed);
  }

  /** The run is suspended: saves its progress, so that it is not repeated. */
  async keep(parameters: ParameterServer, position: Position): Promise<void> {
    if (this.#ledger.length === 0) return;
    try {
      await this.checkpoint(parameters, position);
      await this.#disk.hear(this.#checkpoints.settled());
    } catch (error) {
      this.#options.log.warn(`the run will resume from the previous checkpoint: ${messageOf(error)}`);
    }
  }

  /** All steps are done: resolves when the last checkpoint and the trained weights are on disk. */
  async finish(parameters: ParameterServer, position: Position): Promise<void> {
    await this.#checkpoints.finish(this.#disk, () => this.checkpoint(parameters, position));
    await this.#disk.write({ writing: 'model' }, () => this.#writeModel(parameters, position.step));
  }

  /** The file of the trained weights; if the job stops early, those of the best epoch. */
  async model(parameters: ParameterServer, step: number): Promise<Uint8Array> {
    const { job, data } = this.#options;
    const best = job.spec.training.stopEarly && (await this.#checkpoints.best(parameters, step));
    const values = valuesOf(best?.weights ?? parameters);
    return encodeModel(job, data.preparation, values, best?.step ?? step);
  }

  async #writeModel(parameters: ParameterServer, step: number): Promise<void> {
    const { id, store, directory } = this.#options;
    await store.place.folder(directory);
    const path = join(directory, 'model.safetensors');
    const digest = await writeWhole(path, await this.model(parameters, step));
    const workers = new Set(store.ledger(id).map((row) => row.worker));
    const data = JSON.stringify(await identityOf(this.#options.data));
    await store.setModel(id, path, digest, workers.size, { data, trainedBy: VERSION });
  }

  /** Rejects current and later waits. */
  stop(reason: Error): void {
    this.#disk.stop(reason);
    this.#stopping.abort(reason);
  }

  /** Resolves when no write is in progress. */
  async settled(): Promise<void> {
    // Errors were reported to whoever awaited the write.
    await this.#checkpoints.settled().catch(() => {});
  }
}
