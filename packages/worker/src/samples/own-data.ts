/**
 * A job's data as this worker reads it, if it can: packed data at a path or URL from the coordinator, files of the MNIST family in a
 * given folder, or the MNIST that is included in Kasane.
 */

import { DataError, type Dataset } from '@kasane/data/dataset';
import { type Access, checkPath } from '@kasane/data/internal/files/access';
import { openIdxApart } from '@kasane/data/internal/idx/open-idx';
import { mnistDirectory } from '@kasane/data/mnist';
import { SampleOrder } from '@kasane/data/shuffle';
import { messageOf } from '@kasane/protocol/errors';
import type { SampleFormat } from '@kasane/protocol/internal/job/sample-format';
import type { TaskData } from '@kasane/protocol/internal/queue/queue';
import { fieldBytes, sameField } from '@kasane/tensor/internal/field';
import { SampleBuffers } from './sample-buffers.ts';

/**
 * Until a worker has reported that it reads the data, samples of the first tasks are staged, so the first task need not wait: the data is
 * opened after it, or this many milliseconds after the job if there is none.
 */
const OPEN_MS = 1_000;

/** Reports whether this worker reads the data, or why not. */
export type ReportReach = (able: boolean, why: string) => void;

type Own = NonNullable<SampleFormat['own']>;
type Parts = Record<'train' | 'test', Dataset>;
type Opened = Parts & { readonly order: SampleOrder };

/** Consecutive samples, as bytes of the two fields. */
export interface OwnSamples {
  /** Their indices. */
  readonly ids: Uint32Array;
  readonly inputs: Uint8Array;
  readonly targets: Uint8Array;
  /** Call when the inputs have been read, because the buffer is reused. Default: they stay. */
  readonly release?: () => void;
}

export class OwnData {
  #opened: Promise<Opened | undefined> | undefined;
  readonly #format: SampleFormat;
  readonly #seed: number;
  readonly #report: ReportReach;
  readonly #access: Access;
  readonly #later: NodeJS.Timeout;
  readonly #buffers = new SampleBuffers((bytes) => new Uint8Array(bytes));

  /** @param access what this worker may read, whatever the coordinator names */
  constructor(format: SampleFormat, seed: number, report: ReportReach, access: Access) {
    this.#seed = seed;
    this.#report = report;
    this.#access = access;
    this.#format = format;
    this.#later = setTimeout(() => void this.open(), OPEN_MS).unref();
  }

  /** Opens the data, once, and reports; does not report if the format names no data. */
  open(): Promise<Opened | undefined> {
    this.close();
    const { own } = this.#format;
    this.#opened ??= own ? this.#open(this.#format, own) : Promise.resolve(undefined);
    return this.#opened;
  }

  /** Call when the job ends. */
  close(): void {
    clearTimeout(this.#later);
  }

  /**
   * The samples of a task, as `Dataset.gather` gives them, and their indices. If reading fails, the coordinator is asked to stage them
   * from now on.
   * @throws Error if they cannot be read
   */
  async read({ kind, epoch, first, samples }: TaskData): Promise<OwnSamples> {
    const opened = await this.open();
    if (!opened) throw new Error('no samples are staged, and this worker cannot reach the data');
    const ids = opened.order.indices(kind, epoch, first, samples);
    const part = kind === 'train' ? opened.train : opened.test;
    const inputs = this.#buffers.take(samples * fieldBytes(part.input));
    const targets = new Uint8Array(samples * fieldBytes(part.target));
    try {
      await part.gather(ids, inputs, targets);
      return { ids, inputs, targets, release: () => this.#buffers.give(inputs) };
    } catch (error) {
      this.#report(false, messageOf(error));
      throw error;
    }
  }

  async #open({ input, target }: SampleFormat, own: Own): Promise<Opened | undefined> {
    try {
      const parts = await openOwn(own, this.#access);
      if (!sameField(parts.train.input, input) || !sameField(parts.train.target, target))
        throw new Error(`${own.place}: its samples are not those of the job`);
      this.#report(true, '');
      return { ...parts, order: new SampleOrder(parts.train.samples, this.#seed) };
    } catch (error) {
      this.#report(false, messageOf(error));
      return undefined;
    }
  }
}

/** @throws DataError */
async function openOwn(own: Own, access: Access): Promise<Parts> {
  if (own.format === 'packed') {
    // Loaded only for packed data, so that the first step of other jobs does not wait for it.
    const { openPacked } = await import('@kasane/data/packed');
    return openPacked(own.place, own.digest, access);
  }
  if (own.place !== undefined) checkPath(own.place, access, 'data.path');
  // Included data may be read wherever Kasane is installed.
  const { place = mnistDirectory() } = own;
  const parts = await openIdxApart(place, own.place === undefined ? { ...access, roots: 'any' } : access);
  for (const name of ['train', 'test'] as const) {
    if (parts[name].digest !== own[name])
      throw new DataError(`${place}: its ${name} samples are not the coordinator's`);
  }
  return parts;
}
