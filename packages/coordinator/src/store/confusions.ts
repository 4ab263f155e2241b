/** The confusion matrix of each job's newest test. */
import type { DatabaseSync } from 'node:sqlite';
import { number, text } from './job-record.ts';
import type { Statement } from './state-writer.ts';

export interface ConfusionRecord {
  /** After which it was tested. */
  readonly epoch: number;
  /** Names of the classes, in their order. */
  readonly classes: readonly string[];
  /** Samples by the class that they are of and the class that they were taken for: row-major, rows are what they are. */
  readonly counts: readonly number[];
}

/** It takes the place of that of an earlier epoch. */
export const confusionInsertion = (job: string, { epoch, classes, counts }: ConfusionRecord): Statement => ({
  sql: 'INSERT OR REPLACE INTO confusions VALUES (?, ?, ?, ?)',
  values: [job, epoch, JSON.stringify(classes), JSON.stringify(counts)],
});

/** Forgets one of an epoch that is done again. */
export const confusionDeletion = (job: string, epochsDone: number): Statement => ({
  sql: 'DELETE FROM confusions WHERE job = ? AND epoch > ?',
  values: [job, epochsDone],
});

/** @returns undefined where a job has none: it is no classifier of few enough classes, or no test is over */
export function confusionOf(database: DatabaseSync, job: string): ConfusionRecord | undefined {
  const row = database.prepare('SELECT epoch, classes, counts FROM confusions WHERE job = ?').get(job);
  return (
    row && {
      epoch: number(row.epoch),
      classes: JSON.parse(text(row.classes)) as string[],
      counts: JSON.parse(text(row.counts)) as number[],
    }
  );
}
