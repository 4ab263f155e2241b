/** What of a run outlives its process: checkpoints, with the shards counted since the one before, and the trained weights. */
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

/** What would be lost with the process of a run. */
export interface Unkept {
  /** Why the disk refuses it. */
  readonly why: Reason;
  /** Steps are taken, though this is not kept. */
  readonly hasBegun: boolean;
  /** All steps are done, and it is the disk alone that is waited for. */
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
  /** Ends what may take minutes: the drawing of large or orthogonal weights. */
  readonly #stopping = new AbortController();
  /** Shards that counted since the last checkpoint. */
  #ledger: LedgerRow[] = [];

  constructor(options: SavedStateOptions) {
    this.#options = options;
    this.#checkpoints = new Checkpoints(options);
    this.#disk = new RetryingDisk(options.log, options.onChange);
  }

  /** Why the disk holds the run up; undefined when it does not. */
  get why(): Reason | undefined {
    return this.#disk.why;
  }

  /** Why the disk has refused something that the run does not wait for; undefined when it has not. */
  get refused(): Reason | undefined {
    return this.#checkpoints.refused;
  }

  /** These shards have counted. */
  counted(rows: readonly LedgerRow[]): void {
    this.#ledger.push(...rows);
  }

  /**
   * Fills the parameter server from the newest checkpoint that is whole, or with what the job begins with.
   * @returns where the run goes on; undefined: at its beginning
   */
  async restore(parameters: ParameterServer): Promise<Position | undefined> {
    const { id, job, data, log, access, metrics } = this.#options;
    // Before anything is trained: what is there now is what it is trained on.
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

  /** Whether a checkpoint should be written after `step` steps, which do not end an epoch. */
  isDue(step: number): boolean {
    return this.#checkpoints.isDue(step);
  }

  /** Writes a checkpoint beside the steps that follow. @param epoch the one that it ends, with the matrix of its test */
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

  /** The run is suspended: what has been done is not done again when it goes on. */
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

  /** The file of the trained weights: those of the best epoch, where the job stops early. */
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

  /** Nothing is waited for any longer. */
  stop(reason: Error): void {
    this.#disk.stop(reason);
    this.#stopping.abort(reason);
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    // Whoever waited for it has heard of it.
    await this.#checkpoints.settled().catch(() => {});
  }
}
