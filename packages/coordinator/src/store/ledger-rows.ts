/** The ledger of counted shards as rows of the database. */
import { number, type Row, text } from './job-record.ts';
import type { Statement } from './state-writer.ts';

/** One shard of one step that counted: which samples (a range of the epoch's permutation), and whose answer it was. */
export interface LedgerRow {
  readonly step: number;
  readonly shard: number;
  readonly epoch: number;
  readonly first: number;
  readonly count: number;
  readonly worker: string;
  readonly attempt: number;
  /** CRC-32 of the sample indices that the worker used. */
  readonly samplesDigest: number;
}

export const ledgerInsertion = (
  job: string,
  { step, shard, epoch, first, count, worker, attempt, samplesDigest }: LedgerRow,
): Statement => ({
  sql: 'INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  values: [job, step, shard, epoch, first, count, worker, attempt, samplesDigest],
});

export const ledgerOfRow = (row: Row): LedgerRow => ({
  step: number(row.step),
  shard: number(row.shard),
  epoch: number(row.epoch),
  first: number(row.first),
  count: number(row.count),
  worker: text(row.worker),
  attempt: number(row.attempt),
  samplesDigest: number(row.samplesDigest),
});
