/**
 * Data that is open already. What was opened to check a job is there when the job starts, and trials of a sweep share what they read alike.
 * Other jobs open theirs anew: it may have changed.
 */
import type { DataParts } from '@kasane/data/dataset';
import type { Access } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import type { Job } from '@kasane/protocol/job';
import { type DataIdentity, identityOf } from './data-identity.ts';
import { loadData } from './load-data.ts';

/** Jobs of which it is known what they were submitted with. */
const KNOWN = 10_000;

/** What the trials of one sweep have opened. */
interface Shared {
  /** By what the job says of it. Data goes when no trial has it any more, but for the last. */
  readonly opened: Map<string, WeakRef<DataParts>>;
  last: DataParts | undefined;
}

export class OpenedData {
  readonly #open: typeof openData;
  /** Of the job that was submitted last. */
  #checked: { readonly job: string; readonly data: DataParts } | undefined;
  readonly #shared = new Map<string, Shared>();
  /** What jobs that have not begun were checked with; undefined where that could not be told any more. */
  readonly #identities = new Map<string, Promise<DataIdentity | undefined>>();

  constructor(open: typeof openData = openData) {
    this.#open = open;
  }

  /** A job was checked with this data: it need not be read a second time. */
  keep(job: string, data: DataParts): void {
    this.#checked = { job, data };
    this.#identities.set(
      job,
      identityOf(data).catch(() => undefined),
    );
    if (this.#identities.size > KNOWN) this.#identities.delete(this.#identities.keys().next().value!);
  }

  /** Whether a job that begins has other data than it was checked with. It is told once. */
  async hasChanged(job: string, data: DataParts): Promise<boolean> {
    const then = await this.#identities.get(job);
    this.#identities.delete(job);
    return then !== undefined && then.digest !== (await identityOf(data)).digest;
  }

  /** What was kept for a job, once. */
  take(job: string): DataParts | undefined {
    if (this.#checked?.job !== job) return undefined;
    const { data } = this.#checked;
    this.#checked = undefined;
    return data;
  }

  /** @param sweep that the job is a trial of; empty for others @throws KasaneError DATA_INVALID */
  load(job: Job, access: Access, sweep: string): Promise<DataParts> {
    if (sweep === '') return loadData(job, access, { open: this.#open });
    return loadData(job, access, {
      open: async (section, access) => {
        const shared = this.#shared.get(sweep) ?? { opened: new Map(), last: undefined };
        this.#shared.set(sweep, shared);
        const key = JSON.stringify(section);
        const data = shared.opened.get(key)?.deref() ?? (await this.#open(section, access));
        shared.opened.set(key, new WeakRef(data));
        shared.last = data;
        return data;
      },
    });
  }

  /** A sweep has ended. */
  forget(sweep: string): void {
    this.#shared.delete(sweep);
  }
}
