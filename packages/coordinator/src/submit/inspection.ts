/** What can be inspected of a job besides its metrics: checkpoints, their weights, and test samples. */
import { readFile, stat } from 'node:fs/promises';
import { type DataParts, readSamples } from '@kasane/data/dataset';
import type { Access } from '@kasane/data/internal/files/access';
import { inputReader, readTargets } from '@kasane/data/internal/normalize';
import { placeOf } from '@kasane/data/open';
import { KasaneError } from '@kasane/protocol/errors';
import type {
  Checkpoint,
  GetConfusionResponse,
  ReadSamplesResponse,
} from '@kasane/protocol/gen/kasane/v1/jobs';
import { exchangedOf, floatsOf } from '@kasane/protocol/internal/job/job-exchange';
import { collectGarbageSoon } from '@kasane/protocol/internal/wire/garbage';
import { checkJob, type Job } from '@kasane/protocol/job';
import { CHECKING_PER_CALLER, READ_SAMPLES, READ_SAMPLES_BYTES } from '@kasane/protocol/limits';
import { fieldBytes } from '@kasane/tensor/internal/field';
import { AVERAGE } from '@kasane/tensor/optim/updater';
import { sizeOf } from '@kasane/tensor/shape';
import { encodeModel, readCheckpoint, valuesOf } from '../params/checkpoint.ts';
import type { JobRecord } from '../store/job-record.ts';
import { requireInPlace, stateError } from '../store/state-errors.ts';
import type { JobStore } from '../store/store.ts';
import { type Asker, CallerTurns } from './caller-turns.ts';
import { checkIdentity } from './data-identity.ts';
import { describeSamples } from './describe-job.ts';
import { loadData } from './load-data.ts';

/** All viewers count as one caller: they share the data that was read last. */
const VIEWER: Asker = { caller: '', signal: new AbortController().signal };

/** How long data is kept after it was last viewed, in milliseconds. */
const KEPT_MS = 30_000;

export class Inspection {
  readonly #store: JobStore;
  readonly #access: Access;
  readonly #dataOfRun: (id: string) => DataParts | undefined;
  /** Data of the last viewed job that is not running. */
  #opened: { readonly id: string; readonly data: Promise<DataParts> } | undefined;
  #forget: NodeJS.Timeout | undefined;
  /** One job's data at a time, or a client that asks for many jobs would load all their data into memory. */
  readonly #turns = new CallerTurns({
    what: 'requests for data',
    atOnce: 1,
    perCaller: CHECKING_PER_CALLER,
    all: CHECKING_PER_CALLER,
  });

  /** @param access current rules: an older job may name what is no longer allowed @param dataOfRun open data of a running job */
  constructor(store: JobStore, access: Access, dataOfRun: (id: string) => DataParts | undefined) {
    this.#store = store;
    this.#access = access;
    this.#dataOfRun = dataOfRun;
  }

  /** Newest first. Omits a checkpoint that is being removed. */
  async checkpoints(id: string): Promise<Checkpoint[]> {
    const found = this.#store.checkpoints(id).map(async ({ step, path, digest }) => {
      const file = await stat(path).catch(() => undefined);
      return file && { step, digest, bytes: file.size, writtenAt: file.mtimeMs };
    });
    return (await Promise.all(found)).filter((checkpoint) => checkpoint !== undefined);
  }

  /** Of the newest test; epoch 0 if there is none. */
  confusion(id: string): GetConfusionResponse {
    const { epoch, classes, counts } = this.#store.confusion(id) ?? { epoch: 0, classes: [], counts: [] };
    return { epoch, classes: [...classes], counts: [...counts] };
  }

  /**
   * A model file: the final weights, or those of the checkpoint at a step.
   * @throws KasaneError JOB_STATE if there are none, FILE_DAMAGED
   */
  async model(record: JobRecord, checkpoint: number | undefined): Promise<Uint8Array> {
    const { id } = record;
    if (checkpoint === undefined) {
      if (record.model) return this.#finalWeights(record.model);
      throw new KasaneError('JOB_STATE', `job ${id} has no final weights: it has not succeeded`);
    }
    const found = this.#store.checkpoints(id).find(({ step }) => step === checkpoint);
    if (!found) throw new KasaneError('JOB_STATE', `job ${id} has no checkpoint of step ${checkpoint}`);
    const job = jobOf(record);
    const floats = () => new Float32Array(floatsOf(exchangedOf(job)));
    const state = new Map(job.spec.training.ema ? [[AVERAGE, floats()]] : []);
    const weights = { parameters: floats(), state };
    const read = await readCheckpoint(found.path, found.digest, job, weights);
    if ('why' in read) {
      await requireInPlace(this.#store.place);
      throw new KasaneError('FILE_DAMAGED', read.why);
    }
    const data = await this.#data(record, job);
    // Normalization and class names are read from the data.
    await checkIdentity(id, placeOf(job.spec.data), checkpoint, read.data, data);
    return encodeModel(job, data.preparation, valuesOf(weights), checkpoint);
  }

  async #finalWeights(path: string): Promise<Uint8Array> {
    try {
      return await readFile(path);
    } catch (error) {
      await requireInPlace(this.#store.place);
      throw stateError(error, path);
    }
  }

  /** @throws KasaneError DATA_INVALID, LIMIT */
  async samples(record: JobRecord, first: number, count: number): Promise<ReadSamplesResponse> {
    const job = jobOf(record);
    const data = await this.#data(record, job);
    const { test, preparation } = data;
    const { input, mean, std } = describeSamples(job, data);
    const size = sizeOf(input.shape);
    const most = Math.max(1, Math.min(READ_SAMPLES, Math.floor(READ_SAMPLES_BYTES / (4 * size))));
    if (count > most)
      throw new KasaneError('LIMIT', `${count} samples were requested; at most ${most} are allowed`);
    const length = Math.max(0, Math.min(count, test.samples - first));
    const indices = Uint32Array.from({ length }, (_, index) => first + index);
    const read = await readSamples(test, indices);
    const x = new Float32Array(length * size);
    inputReader(input, mean, std)(read.inputs.subarray(0, length * fieldBytes(input)), x);
    return {
      total: test.samples,
      shape: [...input.shape],
      inputs: new Uint8Array(x.buffer),
      targets: new Uint8Array(Float32Array.from(readTargets(test.target, read.targets)).buffer),
      preparation: JSON.stringify(preparation),
    };
  }

  #data({ id }: JobRecord, job: Job): DataParts | Promise<DataParts> {
    const running = this.#dataOfRun(id);
    if (running) return running;
    if (this.#opened?.id !== id) {
      const data = this.#turns.run(VIEWER, () => loadData(job, this.#access));
      data.catch(() => {
        // Repaired data can be requested again.
        if (this.#opened?.data === data) this.#opened = undefined;
      });
      this.#opened = { id, data };
    }
    // Data may be large, and clients do not say when they are done.
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => {
      this.#opened = undefined;
      collectGarbageSoon();
    }, KEPT_MS).unref();
    return this.#opened.data;
  }
}

const jobOf = (record: JobRecord): Job => checkJob(JSON.parse(record.spec));
