/** What is forgotten of jobs that have ended: all of one that is deleted, and the details of those that ended long ago. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { IS_ROUTINE } from './event-rows.ts';
import type { Statement } from './state-writer.ts';

const { JOB_STATE_SUCCEEDED, JOB_STATE_FAILED, JOB_STATE_CANCELLED } = JobState;
const HAS_ENDED = `state IN (${JOB_STATE_SUCCEEDED}, ${JOB_STATE_FAILED}, ${JOB_STATE_CANCELLED})`;

/** Deletes all that is kept of a job, if it has ended. */
export function deletionOf(id: string): Statement[] {
  const hasGone = 'NOT EXISTS (SELECT 1 FROM jobs WHERE id = ?)';
  return [
    { sql: `DELETE FROM jobs WHERE id = ? AND ${HAS_ENDED}`, values: [id] },
    ...['epochs', 'checkpoints', 'ledger', 'metrics', 'confusions', 'events', 'mlflow'].map((table) => ({
      sql: `DELETE FROM ${table} WHERE job = ? AND ${hasGone}`,
      values: [id, id],
    })),
  ];
}

const order = "PARTITION BY sweep = '' ORDER BY ended DESC, endedAt DESC, rowid DESC";
/** Jobs that ended before the last so many. Trials are counted apart from other jobs: a sweep of hundreds does not cost those theirs. */
export const ENDED_LONG_AGO = `SELECT id FROM (SELECT id, row_number() OVER (${order}) AS place FROM jobs
  WHERE ${HAS_ENDED}) WHERE place > ?`;

/** Forgets metrics, ledger, checkpoints and most events of jobs that ended before the last `keep`. */
export const detailsDeletion = (keep: number): Statement[] => [
  ...['metrics', 'ledger', 'checkpoints', 'confusions'].map((table) => ({
    sql: `DELETE FROM ${table} WHERE job IN (${ENDED_LONG_AGO})`,
    values: [keep],
  })),
  { sql: `DELETE FROM events WHERE job IN (${ENDED_LONG_AGO}) AND ${IS_ROUTINE}`, values: [keep] },
];
