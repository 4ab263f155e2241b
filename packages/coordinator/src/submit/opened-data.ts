/**
 * Data that is already open. Data opened to check a job is reused when the job starts, and trials of a sweep share data that they read
 * alike. Other jobs open theirs again, since it may have changed.
 */
import type { DataParts } from '@kasane/data/dataset';
import type { Access } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import type { Job } from '@kasane/protocol/job';
import { type DataIdentity, identityOf } from './data-identity.ts';
import { loadData } from './load-data.ts';

/** Number of jobs whose submitted data is remembered. */
const KNOWN = 10_000;

/** Data opened for the trials of one sweep. */
interface Shared {
  /** By the data section of the job. Released when no trial uses it any more, except for the last. */
  readonly opened: Map<string, WeakRef<DataParts>>;
  last: DataParts | undefined;
}

export class OpenedData {
  readonly #open: typeof openData;
  /** Data of the job submitted last. */
  #checked: { readonly job: string; readonly data: DataParts } | undefined;
  readonly #shared = new Map<string, Shared>();
  /** Identity of the data that jobs were checked with, until they start; undefined if it could not be computed. */
  readonly #identities = new Map<string, Promise<DataIdentity | undefined>>();

  constructor(open: typeof openData = openData) {
    this.#open = open;
  }

  /** Keeps the data that a job was checked with, so that it need not be read again. */
  keep(job: string, data: DataParts): void {
    this.#checked = { job, data };
    this.#identities.set(
      job,
      identityOf(data).catch(() => undefined),
    );
    if (this.#identities.size > KNOWN) this.#identities.delete(this.#identities.keys().next().value!);
  }

  /** Whether a starting job has different data than it was checked with. Answers only once. */
  async hasChanged(job: string, data: DataParts): Promise<boolean> {
    const then = await this.#identities.get(job);
    this.#identities.delete(job);
    return then !== undefined && then.digest !== (await identityOf(data)).digest;
  }

  /** Takes the data kept for a job. */
  take(job: string): DataParts | undefined {
    if (this.#checked?.job !== job) return undefined;
    const { data } = this.#checked;
    this.#checked = undefined;
    return data;
  }

  /** @param sweep the sweep that the job is a trial of, or '' @throws KasaneError DATA_INVALID */
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

  /** Call when a sweep has ended. */
  forget(sweep: string): void {
    this.#shared.delete(sweep);
  }
}
