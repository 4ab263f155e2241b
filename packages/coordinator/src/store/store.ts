/**
 * What the coordinator knows for good: jobs, epochs, checkpoints and the ledger of counted shards, in one SQLite file
 * of the state directory. A checkpoint's row and the ledger rows of the steps that it covers are one transaction, so
 * after a crash the ledger says exactly what the checkpoint contains.
 */
import { join, relative, resolve } from 'node:path';
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { JobState, MetricKind } from '@kasane/protocol/gen/kasane/v1/common';
import type { EpochResult, Event, Snapshot, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { type ConfusionRecord, confusionDeletion, confusionInsertion, confusionOf } from './confusions.ts';
import { eventOfRow, insertionOf } from './event-rows.ts';
import { deletionOf, detailsDeletion, ENDED_LONG_AGO } from './forgetting.ts';
import {
  type CheckpointRecord,
  epochInsertion,
  epochOfRow,
  type JobRecord,
  jobOfRow,
  number,
  setting,
  type TrialPlace,
  text,
} from './job-record.ts';
import { type LedgerRow, ledgerInsertion, ledgerOfRow } from './ledger-rows.ts';
import { type MetricsHistory, NOTHING_YET } from './metrics.ts';
import { makePathsRelative, migrate, PATHS } from './migrations.ts';
import { MlflowStore } from './mlflow-store.ts';
import { fileOfModel, ModelStore } from './model-store.ts';
import type { Place } from './pages.ts';
import { DATABASE, openStateDatabase } from './state-database.ts';
import { stateError } from './state-errors.ts';
import { StatePlace } from './state-place.ts';
import { type Statement, type StateWriter, ThreadWriter, writesAtOnce } from './state-writer.ts';
import { SweepStore } from './sweep-store.ts';

/** Which jobs are listed. */
export interface JobSelection {
  /** The job before the first of these; without it they are the newest. */
  readonly after?: Place | undefined;
  /** Only trials of this sweep; without it, or if it is empty, all jobs. */
  readonly sweep?: string;
  /** Characters of all specs together, unless a single one is longer. Default: no limit. */
  readonly specs?: number;
}

export interface JobPage {
  readonly jobs: readonly JobRecord[];
  /** Of the last of these; undefined: no others follow. */
  readonly last: Place | undefined;
}

export interface JobStoreOptions {
  /** Of what is a copy: where paths began that an earlier version wrote whole. Default: where it is. */
  readonly origin?: string;
  /** Write in a thread: whoever answers others meanwhile must not stand on a disk. Default false: at once. */
  readonly inThread?: boolean;
}

/** Records that are kept as they were read: more than one list of jobs has. */
const MOST_READ = 2_000;

export class JobStore {
  readonly #db: DatabaseSync;
  readonly #directory: string;
  /** Jobs as they were read: most of hundreds stay as they are while they are listed again and again. */
  readonly #read = new Map<string, JobRecord>();

  readonly #writer: StateWriter;
  /** Where it is, as long as it is there. */
  readonly place: StatePlace;
  /** Sweeps, and what they have decided. */
  readonly sweeps: SweepStore;
  /** Registered models. */
  readonly models: ModelStore;
  /** What has been sent to MLflow. */
  readonly mlflow: MlflowStore;

  /**
   * @param directory of a coordinator's state
   * @throws KasaneError STATE_UNUSABLE, STATE_IN_USE or FILE_DAMAGED
   */
  constructor(directory: string, { origin = directory, inThread = false }: JobStoreOptions = {}) {
    this.#directory = resolve(directory);
    this.#db = openStateDatabase(directory, (database) => {
      migrate(database, this.#directory);
      makePathsRelative(database, origin);
    });
    try {
      this.place = StatePlace.of(join(this.#directory, DATABASE));
      this.#writer = inThread ? new ThreadWriter(this.place) : writesAtOnce(this.#db);
      const write = (...statements: readonly Statement[]) => this.#write(...statements);
      this.sweeps = new SweepStore(this.#db, write);
      this.models = new ModelStore(this.#db, this.#directory, write);
      this.mlflow = new MlflowStore(this.#db, write);
    } catch (error) {
      this.#db.close();
      throw stateError(error, join(directory, DATABASE));
    }
  }

  /** Jobs of every state. */
  get count(): number {
    return number(this.#db.prepare('SELECT count(*) AS count FROM jobs').get()!.count);
  }

  /** Every checkpoint and every file of weights, of jobs and of registered models, relative to the state directory. */
  files(): string[] {
    const ofJobs = PATHS.flatMap(([table, column]) =>
      this.#db
        .prepare(`SELECT ${column} AS path FROM ${table} WHERE ${column} <> '' ORDER BY ${column}`)
        .all()
        .map(({ path }) => text(path)),
    );
    return [...ofJobs, ...this.models.digests().map(fileOfModel)];
  }

  #toStore(path: string): string {
    return relative(this.#directory, path);
  }

  /** Where a file is; '' stays that. */
  #toPath(stored: SQLOutputValue | undefined): string {
    return stored === '' ? '' : resolve(this.#directory, text(stored));
  }

  /** What was to be written before is written. */
  async close(): Promise<void> {
    const written = this.#writer.close();
    this.#db.close();
    await written;
  }

  /** Writes all or nothing. */
  #write(...statements: readonly Statement[]): Promise<void> {
    return this.#writer.write(statements);
  }

  /**
   * @param init SHA-256 of the weights that it begins with, if it names a file of them
   * @param trial if it is one of a sweep: its number there, and what is written with it
   * @param source where its file came from, JSON
   */
  add(
    id: string,
    name: string,
    spec: string,
    submittedAt: number,
    priority = 0,
    init = '',
    trial?: TrialPlace,
    source = '',
  ): Promise<void> {
    const columns = 'id, name, spec, state, submittedAt, priority, init, sweep, trial, source';
    const { sweep = '', number = 0, decision = [] } = trial ?? {};
    return this.#write(
      {
        sql: `INSERT INTO jobs (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        values: [
          id,
          name,
          spec,
          JobState.JOB_STATE_QUEUED,
          submittedAt,
          priority,
          init,
          sweep,
          number,
          source,
        ],
      },
      ...decision,
    );
  }

  setSteps(id: string, steps: number): Promise<void> {
    return this.#change(id, 'steps = ?', steps);
  }

  /** How the job went. */
  metricsHistory(id: string): MetricsHistory {
    const row = this.#db.prepare('SELECT points FROM metrics WHERE job = ?').get(id);
    if (!row) return NOTHING_YET;
    const kept = JSON.parse(text(row.points)) as MetricsHistory | StepMetrics[];
    // An earlier version kept the points alone, and less in each.
    if (!Array.isArray(kept)) return { ...kept, activations: kept.activations.map(numbersOf) };
    const absent = { reduceMs: 0, applyMs: 0, publishMs: 0, shards: [] };
    return { ...NOTHING_YET, points: kept.map((point) => ({ ...absent, ...point })) };
  }

  setMetrics(id: string, history: MetricsHistory): Promise<void> {
    return this.#write({
      sql: 'INSERT OR REPLACE INTO metrics (job, points) VALUES (?, ?)',
      values: [id, JSON.stringify(history)],
    });
  }

  /** The same object as before while nothing of the job, nor of its epochs, has changed. */
  get(id: string): JobRecord | undefined {
    const known = this.#read.get(id);
    if (known) return known;
    const row = this.#db.prepare('SELECT * FROM jobs WHERE id = ?').get(id);
    if (!row) return undefined;
    const [oldest] = this.#read.keys();
    if (this.#read.size >= MOST_READ) this.#read.delete(oldest!);
    const record = jobOfRow(row, this.#toPath(row.model));
    this.#read.set(id, record);
    return record;
  }

  /** Changes a job; what was read of it is read anew. */
  #change(id: string, set: string, ...values: readonly SQLInputValue[]): Promise<void> {
    return this.#changeWith([], id, set, ...values);
  }

  /** The same. @param others are written with it */
  async #changeWith(
    others: readonly Statement[],
    id: string,
    set: string,
    ...values: readonly SQLInputValue[]
  ): Promise<void> {
    await this.#writeOf(id, setting(id, set, ...values), ...others);
  }

  /** Writes what changes a job all or nothing. */
  async #writeOf(id: string, ...statements: readonly Statement[]): Promise<void> {
    const written = this.#write(...statements);
    this.#read.delete(id);
    await written.finally(() => this.#read.delete(id));
  }

  /** Newest first. */
  list(limit: number, { after, sweep = '', specs = Number.POSITIVE_INFINITY }: JobSelection = {}): JobPage {
    const from = after ? ' AND (submittedAt, rowid) < (?, ?)' : '';
    // The index of trials is used only where it is seen that they are trials.
    const of = sweep === '' ? 'TRUE' : "sweep = ? AND sweep <> ''";
    const rows = this.#db
      .prepare(
        `SELECT id, submittedAt, rowid FROM jobs WHERE ${of}${from} ORDER BY submittedAt DESC, rowid DESC LIMIT ?`,
      )
      .all(...(sweep === '' ? [] : [sweep]), ...(after ? [after.submittedAt, after.row] : []), limit + 1);
    const jobs: JobRecord[] = [];
    let characters = 0;
    for (const { id } of rows.slice(0, limit)) {
      const job = this.get(text(id))!;
      characters += job.spec.length;
      if (jobs.length > 0 && characters > specs) break;
      jobs.push(job);
    }
    const last = rows[jobs.length - 1];
    const more = rows.length > jobs.length && last !== undefined;
    return {
      jobs,
      last: more ? { submittedAt: number(last.submittedAt), row: number(last.rowid) } : undefined,
    };
  }

  /** How many jobs there are in each state. */
  states(): ReadonlyMap<JobState, number> {
    const rows = this.#db.prepare('SELECT state, count(*) AS count FROM jobs GROUP BY state').all();
    return new Map(rows.map(({ state, count }) => [number(state) as JobState, number(count)]));
  }

  /** Jobs that wait or run, in the order in which they come: by priority, then oldest first. */
  open(states: readonly JobState[] = [JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING]): JobRecord[] {
    const order = 'priority DESC, submittedAt, rowid';
    return this.#db
      .prepare(`SELECT id FROM jobs WHERE state IN (${states.join()}) ORDER BY ${order}`)
      .all()
      .map(({ id }) => this.get(text(id))!);
  }

  /** A job that was paused meanwhile stays that. */
  start(id: string, now: number): Promise<void> {
    const { JOB_STATE_QUEUED, JOB_STATE_RUNNING } = JobState;
    const set = `state = CASE state WHEN ? THEN ? ELSE state END, startedAt = CASE startedAt WHEN 0 THEN ? ELSE startedAt END`;
    return this.#change(id, set, JOB_STATE_QUEUED, JOB_STATE_RUNNING, now);
  }

  /** Queues a job that is paused or has ended once more, in the place of one that was submitted at that time. @param others are written with it */
  reopen(id: string, spec: string, submittedAt: number, others: readonly Statement[] = []): Promise<void> {
    const set = "state = ?, spec = ?, submittedAt = ?, error = '', endedAt = 0";
    return this.#changeWith(others, id, set, JobState.JOB_STATE_QUEUED, spec, submittedAt);
  }

  pause(id: string): Promise<void> {
    return this.#change(id, 'state = ?', JobState.JOB_STATE_PAUSED);
  }

  /** Its run made room for another: it waits again, if it has not been paused meanwhile. */
  requeue(id: string): Promise<void> {
    const { JOB_STATE_QUEUED, JOB_STATE_RUNNING } = JobState;
    return this.#change(
      id,
      'state = CASE state WHEN ? THEN ? ELSE state END',
      JOB_STATE_RUNNING,
      JOB_STATE_QUEUED,
    );
  }

  setPriority(id: string, priority: number): Promise<void> {
    return this.#change(id, 'priority = ?', priority);
  }

  end(id: string, end: { state: JobState; error: string; endedAt: number; step: number }): Promise<void> {
    const { state, error, endedAt, step } = end;
    const set = 'state = ?, error = ?, endedAt = ?, step = ?, ended = (SELECT MAX(ended) + 1 FROM jobs)';
    return this.#change(id, set, state, error, endedAt, step);
  }

  /** Forgets everything of a job, if it has ended; otherwise nothing changes. */
  delete(id: string): Promise<void> {
    return this.#writeOf(id, ...deletionOf(id));
  }

  /** @param trained on what (JSON), and by which version of Kasane */
  setModel(
    id: string,
    path: string,
    digest: string,
    workers: number,
    trained: Pick<JobRecord, 'data' | 'trainedBy'> = { data: '', trainedBy: '' },
  ): Promise<void> {
    const set = 'model = ?, digest = ?, workers = ?, data = ?, trainedBy = ?';
    return this.#change(id, set, this.#toStore(path), digest, workers, trained.data, trained.trainedBy);
  }

  /** Jobs with these final weights, newest first. */
  jobsOf(digest: string, most: number): string[] {
    return this.#db
      .prepare(
        "SELECT id FROM jobs WHERE digest = ? AND digest <> '' ORDER BY submittedAt DESC, rowid DESC LIMIT ?",
      )
      .all(digest, most)
      .map(({ id }) => text(id));
  }

  /** Records a checkpoint, the ledger of the steps since the one before, and the epochs that ended since, all or nothing. */
  async addCheckpoint(
    job: string,
    checkpoint: CheckpointRecord,
    ledger: readonly LedgerRow[],
    epochs: readonly EpochResult[] = [],
    confusion?: ConfusionRecord,
  ): Promise<void> {
    await this.#writeOf(
      job,
      {
        sql: 'INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)',
        values: [job, checkpoint.step, this.#toStore(checkpoint.path), checkpoint.digest],
      },
      ...ledger.map((row) => ledgerInsertion(job, row)),
      ...epochs.map((result) => epochInsertion(job, result)),
      ...(confusion ? [confusionInsertion(job, confusion)] : []),
      setting(job, 'step = ?', checkpoint.step),
    );
  }

  /** Newest first. */
  checkpoints(job: string): CheckpointRecord[] {
    const rows = this.#db
      .prepare('SELECT step, path, digest FROM checkpoints WHERE job = ? ORDER BY step DESC')
      .all(job);
    return rows.map((row) => ({
      step: number(row.step),
      path: this.#toPath(row.path),
      digest: text(row.digest),
    }));
  }

  removeCheckpoint(job: string, step: number): Promise<void> {
    return this.#write({ sql: 'DELETE FROM checkpoints WHERE job = ? AND step = ?', values: [job, step] });
  }

  /** Takes back everything that happened after `step`: the run goes on from a checkpoint there. */
  async rewind(job: string, step: number, epochsDone: number): Promise<void> {
    await this.#writeOf(
      job,
      { sql: 'DELETE FROM ledger WHERE job = ? AND step >= ?', values: [job, step] },
      { sql: 'DELETE FROM epochs WHERE job = ? AND epoch > ?', values: [job, epochsDone] },
      confusionDeletion(job, epochsDone),
      { sql: 'DELETE FROM checkpoints WHERE job = ? AND step > ?', values: [job, step] },
    );
  }

  /** Forgets the checkpoints of a job. @returns their files, which are to be removed */
  async removeCheckpoints(job: string): Promise<string[]> {
    const files = this.checkpoints(job).map(({ path }) => path);
    if (files.length > 0) await this.#write({ sql: 'DELETE FROM checkpoints WHERE job = ?', values: [job] });
    return files;
  }

  /**
   * Of jobs that ended before the last `keep`, forgets metrics, ledger, checkpoints and most events; not record, epochs and weights.
   * @returns the checkpoints' files, which are to be removed
   */
  async forget(keep: number): Promise<string[]> {
    const files = this.#db.prepare(`SELECT path FROM checkpoints WHERE job IN (${ENDED_LONG_AGO})`).all(keep);
    await this.#write(...detailsDeletion(keep));
    return files.map(({ path }) => this.#toPath(path));
  }

  /** @param after epochs up to this one are left out @param most how many at most */
  epochs(job: string, after = 0, most = -1): EpochResult[] {
    return this.#db
      .prepare('SELECT * FROM epochs WHERE job = ? AND epoch > ? ORDER BY epoch LIMIT ?')
      .all(job, after, most)
      .map(epochOfRow);
  }

  /** The confusion matrix of its newest test, where it has one. */
  confusion(job: string): ConfusionRecord | undefined {
    return confusionOf(this.#db, job);
  }

  /** Number of the last epoch. */
  lastEpoch(job: string): number {
    return number(
      this.#db.prepare('SELECT max(epoch) AS last FROM epochs WHERE job = ?').get(job)?.last ?? 0,
    );
  }

  /** The epoch with the best test metric, the first of several. */
  bestEpoch(job: string, kind: MetricKind): EpochResult | undefined {
    const order = kind === MetricKind.METRIC_KIND_ERROR ? 'ASC' : 'DESC';
    const row = this.#db
      .prepare(`SELECT * FROM epochs WHERE job = ? ORDER BY testAccuracy ${order}, epoch LIMIT 1`)
      .get(job);
    return row && epochOfRow(row);
  }

  /** These epochs alone: reading all of a long job takes a while. */
  epochsAt(job: string, numbers: readonly number[]): EpochResult[] {
    // They are asked for in ascending order: without gaps, one query gives them all.
    const [first = 1, last = 0] = [numbers[0], numbers.at(-1)];
    if (last - first === numbers.length - 1) return this.epochs(job, first - 1, numbers.length);
    const one = this.#db.prepare('SELECT * FROM epochs WHERE job = ? AND epoch = ?');
    return numbers.flatMap((epoch) => {
      const row = one.get(job, epoch);
      return row ? [epochOfRow(row)] : [];
    });
  }

  /** Oldest first. */
  events(job: string): Event[] {
    return this.#db.prepare('SELECT * FROM events WHERE job = ? ORDER BY number').all(job).map(eventOfRow);
  }

  /** The newest events of all jobs, oldest first. */
  newestEvents(most: number): Event[] {
    const rows = this.#db.prepare('SELECT * FROM events ORDER BY number DESC LIMIT ?').all(most);
    return rows.reverse().map(eventOfRow);
  }

  /** Records events, and forgets those of these numbers. */
  writeEvents(added: readonly Event[], removed: readonly number[]): Promise<void> {
    return this.#write(
      ...removed.map((number) => ({ sql: 'DELETE FROM events WHERE number = ?', values: [number] })),
      ...added.map(insertionOf),
    );
  }

  /** The ledger of a job, by step and shard. */
  ledger(job: string): LedgerRow[] {
    return this.#db
      .prepare('SELECT * FROM ledger WHERE job = ? ORDER BY step, shard')
      .all(job)
      .map(ledgerOfRow);
  }
}

/** A null in JSON was a number that is not finite: the outputs of a layer had overflowed. */
const numbersOf = ({ layers, ...snapshot }: Snapshot): Snapshot => ({
  ...snapshot,
  layers: layers.map((layer) => ({ ...layer, activationRms: layer.activationRms ?? Number.NaN })),
});
