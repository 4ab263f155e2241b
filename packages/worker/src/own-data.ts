/**
 * A job's data as this worker reads it itself, where it can: packed data at a path or URL that the coordinator names, files of
 * the MNIST family in a folder that it names, or MNIST as it comes with Kasane.
 */
import { DataError, type Dataset } from '@kasane/data/dataset';
import { openIdx } from '@kasane/data/idx';
import { mnistDirectory } from '@kasane/data/mnist';
import { openPacked } from '@kasane/data/packed';
import { messageOf } from '@kasane/protocol/errors';
import type { TaskData } from '@kasane/protocol/queue';
import type { SampleFormat } from '@kasane/protocol/sample-format';
import { sameField } from '@kasane/tensor/field';

/** Tells the coordinator whether this worker reads the data, and otherwise why not. */
export type ReportReach = (able: boolean, why: string) => void;

type Own = NonNullable<SampleFormat['own']>;
type Parts = Record<'train' | 'test', Dataset>;

export class OwnData {
  readonly #opened: Promise<Parts | undefined>;
  readonly #report: ReportReach;

  /** Opens the data at once, and reports; without a word where the format names none. */
  constructor(format: SampleFormat, report: ReportReach) {
    this.#report = report;
    this.#opened = format.own ? this.#open(format, format.own) : Promise.resolve(undefined);
  }

  /** The part that tasks of this kind take their samples from; undefined when it is out of reach. */
  async part(kind: TaskData['kind']): Promise<Dataset | undefined> {
    const opened = await this.#opened;
    return kind === 'train' ? opened?.train : opened?.test;
  }

  /** Reading has failed after all: from now on samples are to be staged. */
  lost(why: string): void {
    this.#report(false, why);
  }

  async #open({ input, target }: SampleFormat, own: Own): Promise<Parts | undefined> {
    try {
      const parts = await openOwn(own);
      if (!sameField(parts.train.input, input) || !sameField(parts.train.target, target))
        throw new Error(`${own.place}: its samples are not those of the job`);
      this.#report(true, '');
      return parts;
    } catch (error) {
      this.#report(false, messageOf(error));
      return undefined;
    }
  }
}

/** @throws DataError */
async function openOwn(own: Own): Promise<Parts> {
  if (own.format === 'packed') return openPacked(own.place, own.digest);
  const { place = mnistDirectory() } = own;
  const parts = openIdx(place);
  for (const name of ['train', 'test'] as const) {
    if (parts[name].digest !== own[name])
      throw new DataError(`${place}: its ${name} samples are not the coordinator's`);
  }
  return parts;
}
