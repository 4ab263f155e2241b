/** Events as rows of the database. */

import type { Reason } from '@kasane/protocol/gen/kasane/v1/common';
import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { events } from '@kasane/protocol/internal/events/events';
import { number, type Row, text } from './job-record.ts';
import type { Statement } from './state-writer.ts';

export const eventOfRow = (row: Row): Event => ({
  number: number(row.number),
  job: text(row.job),
  time: number(row.time),
  code: text(row.code),
  args: text(row.args),
  reason: row.reason === '' ? undefined : (JSON.parse(text(row.reason)) as Reason),
  text: text(row.text),
});

export const insertionOf = ({ number, job, time, code, args, reason, text }: Event): Statement => ({
  sql: 'INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)',
  values: [number, job, time, code, args, reason ? JSON.stringify(reason) : '', text],
});

const lasting = Object.entries(events).flatMap(([code, { kind }]) => (kind === 'routine' ? [] : `'${code}'`));
/** A condition: what becomes of a job that ended long ago is told without these events. */
export const IS_ROUTINE = `code NOT IN (${lasting.join()})`;
