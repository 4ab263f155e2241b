/** A job's data as this worker reads it itself, where it can: packed data at a path or URL that the coordinator names. */
import type { Dataset } from '@kasane/data/dataset';
import { type OpenedPack, openPacked } from '@kasane/data/packed';
import { messageOf } from '@kasane/protocol/errors';
import type { TaskData } from '@kasane/protocol/queue';
import type { SampleFormat } from '@kasane/protocol/sample-format';
import { sameField } from '@kasane/tensor/field';

/** Tells the coordinator whether this worker reads the data, and otherwise why not. */
export type ReportReach = (able: boolean, why: string) => void;

export class OwnData {
  readonly #opened: Promise<OpenedPack | undefined>;
  readonly #report: ReportReach;

  /** Opens the data at once, and reports; without a word where the format names none. */
  constructor(format: SampleFormat, report: ReportReach) {
    this.#report = report;
    this.#opened = format.packed ? this.#open(format) : Promise.resolve(undefined);
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

  async #open({ packed, input, target }: SampleFormat): Promise<OpenedPack | undefined> {
    try {
      const opened = await openPacked(packed!.place, packed!.digest);
      if (!sameField(opened.index.input, input) || !sameField(opened.index.target, target))
        throw new Error(`${packed!.place}: its samples are not those of the job`);
      this.#report(true, '');
      return opened;
    } catch (error) {
      this.#report(false, messageOf(error));
      return undefined;
    }
  }
}
