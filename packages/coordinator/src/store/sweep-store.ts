/**
 * Sweeps and what they have decided, in the tables beside those of jobs. A decision is written together with what it does to its trial's
 * job, and its outcome before anything follows from it: whatever a coordinator was at when it ended, the next one goes on from there.
 */
import type { DatabaseSync } from 'node:sqlite';
import { KasaneError } from '@kasane/protocol/errors';
import type { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { SweepState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import type { Assignment } from '@kasane/protocol/internal/job/search-schema';
import { number, type Row, text } from './job-record.ts';
import type { Place } from './pages.ts';
import type { Statement } from './state-writer.ts';

export interface SweepRecord {
  readonly id: string;
  readonly name: string;
  /** The checked sweep as JSON (`Sweep` of the protocol package). */
  readonly spec: string;
  readonly priority: number;
  readonly state: SweepState;
  readonly error: string;
  readonly submittedAt: number;
  readonly endedAt: number;
  /** It was cancelled; its trials may not be yet. */
  readonly isCancelled: boolean;
  /** Where its file came from: a Source of the protocol, JSON; absent or empty where nobody said. */
  readonly source?: string;
}

/** What a search decided, and what came of it. */
export interface Decision {
  readonly kind: 'start' | 'promote';
  /** Counted from 0. */
  readonly trial: number;
  readonly assignment: Assignment;
  /** The trial whose final weights it starts from; absent: from none. */
  readonly parent?: number | undefined;
  /** The trial runs until this epoch has been evaluated. */
  readonly epochs: number;
  /** The metric at that epoch, or that there will be none; undefined while the trial is on its way. */
  readonly outcome?: number | 'failed';
  /** Of several metrics, those after the first at that epoch. */
  readonly further?: readonly number[];
  /** Why it failed. */
  readonly error?: string;
}

/** A trial's job. */
export interface TrialJob {
  /** Counted from 1. */
  readonly number: number;
  readonly job: string;
  readonly state: JobState;
}

export class SweepStore {
  readonly #db: DatabaseSync;
  readonly #write: (...statements: readonly Statement[]) => Promise<void>;

  /** @param write writes all or nothing, in the order in which it is called */
  constructor(db: DatabaseSync, write: (...statements: readonly Statement[]) => Promise<void>) {
    this.#db = db;
    this.#write = write;
  }

  add({ id, name, spec, priority, state, submittedAt, source = '' }: SweepRecord): Promise<void> {
    return this.#write({
      sql: 'INSERT INTO sweeps (id, name, spec, priority, state, submittedAt, source) VALUES (?, ?, ?, ?, ?, ?, ?)',
      values: [id, name, spec, priority, state, submittedAt, source],
    });
  }

  get(id: string): SweepRecord | undefined {
    const row = this.#db.prepare('SELECT * FROM sweeps WHERE id = ?').get(id);
    return row && sweepOfRow(row);
  }

  /** @throws KasaneError SWEEP_NOT_FOUND */
  require(id: string): SweepRecord {
    const record = this.get(id);
    if (record) return record;
    throw new KasaneError(
      'SWEEP_NOT_FOUND',
      `there is no sweep '${id}'; list the sweeps with \`kasane sweeps\``,
    );
  }

  /** Newest first. @param after the sweep before the first of these @returns also where the last one stands, if others follow */
  list(
    limit: number,
    after?: Place,
  ): { readonly sweeps: readonly SweepRecord[]; readonly last: Place | undefined } {
    const from = after ? 'WHERE (submittedAt, rowid) < (?, ?)' : '';
    const rows = this.#db
      .prepare(`SELECT *, rowid FROM sweeps ${from} ORDER BY submittedAt DESC, rowid DESC LIMIT ?`)
      .all(...(after ? [after.submittedAt, after.row] : []), limit + 1);
    const last = rows.length > limit ? rows[limit - 1] : undefined;
    return {
      sweeps: rows.slice(0, limit).map(sweepOfRow),
      last: last && { submittedAt: number(last.submittedAt), row: number(last.rowid) },
    };
  }

  /** Those in that state, oldest first. */
  inState(state: SweepState): SweepRecord[] {
    return this.#db
      .prepare('SELECT * FROM sweeps WHERE state = ? ORDER BY submittedAt, rowid')
      .all(state)
      .map(sweepOfRow);
  }

  cancel(id: string): Promise<void> {
    return this.#write({ sql: 'UPDATE sweeps SET isCancelled = 1 WHERE id = ?', values: [id] });
  }

  end(id: string, end: { state: SweepState; error: string; endedAt: number }): Promise<void> {
    return this.#write({
      sql: 'UPDATE sweeps SET state = ?, error = ?, endedAt = ? WHERE id = ?',
      values: [end.state, end.error, end.endedAt, id],
    });
  }

  /** In the order in which they were made. */
  decisions(sweep: string): Decision[] {
    return this.#db
      .prepare('SELECT * FROM decisions WHERE sweep = ? ORDER BY number')
      .all(sweep)
      .map(decisionOfRow);
  }

  /** By their numbers. */
  trials(sweep: string): TrialJob[] {
    return this.#db
      .prepare('SELECT id, trial, state FROM jobs WHERE sweep = ? ORDER BY trial')
      .all(sweep)
      .map(({ id, trial, state }) => ({
        number: number(trial),
        job: text(id),
        state: number(state) as JobState,
      }));
  }

  /** A decision that does nothing to a job. */
  decide(sweep: string, index: number, decision: Decision): Promise<void> {
    return this.#write(decisionInsertion(sweep, index, decision));
  }

  setOutcome(
    sweep: string,
    index: number,
    { outcome, further, error }: Pick<Decision, 'outcome' | 'further' | 'error'>,
  ): Promise<void> {
    return this.#write({
      sql: 'UPDATE decisions SET outcome = ?, further = ?, error = ? WHERE sweep = ? AND number = ?',
      values: [
        typeof outcome === 'number' ? outcome : null,
        further ? JSON.stringify(further) : '',
        error ?? '',
        ...[sweep, index],
      ],
    });
  }
}

/** @param index of the decision among all of its sweep */
export const decisionInsertion = (
  sweep: string,
  index: number,
  { kind, trial, assignment, parent, epochs, outcome, error }: Decision,
): Statement => ({
  sql: 'INSERT INTO decisions (sweep, number, kind, trial, epochs, assignment, outcome, error, parent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  values: [
    ...[sweep, index, kind, trial, epochs, JSON.stringify(assignment)],
    ...[typeof outcome === 'number' ? outcome : null, error ?? '', parent ?? null],
  ],
});

function decisionOfRow(row: Row): Decision {
  const error = text(row.error);
  const further = text(row.further);
  const failed = error === '' ? {} : { outcome: 'failed' as const, error };
  return {
    kind: row.kind === 'promote' ? 'promote' : 'start',
    trial: number(row.trial),
    assignment: JSON.parse(text(row.assignment)) as Assignment,
    epochs: number(row.epochs),
    ...(row.parent !== null && { parent: number(row.parent) }),
    ...(row.outcome === null ? failed : { outcome: number(row.outcome) }),
    ...(further === '' ? {} : { further: JSON.parse(further) as readonly number[] }),
  };
}

const sweepOfRow = (row: Row): SweepRecord => ({
  id: text(row.id),
  name: text(row.name),
  spec: text(row.spec),
  priority: number(row.priority),
  state: number(row.state) as SweepState,
  error: text(row.error),
  submittedAt: number(row.submittedAt),
  endedAt: number(row.endedAt),
  isCancelled: number(row.isCancelled) === 1,
  source: text(row.source),
});
