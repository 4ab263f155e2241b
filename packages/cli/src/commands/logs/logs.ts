/** `kasane logs`: what has happened to a job, a line an event, as the coordinator has recorded it. */

import { type ClientOptions, requireSuccess } from '@kasane/protocol/client';
import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { readArgs } from '@kasane/protocol/internal/events/forms';
import { type ReasonRecord, reasonRecord } from '@kasane/protocol/internal/job/job-record';
import { out } from '../../output/say.ts';
import { withClient } from '../../process/with-client.ts';
import { moment } from '../../render/table.ts';

/** What `--json` prints of an event. */
export interface RecordedEvent {
  /** ISO 8601; null for one of which an earlier version did not keep the time. */
  readonly time: string | null;
  /** Its code. */
  readonly event: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly message: string;
  readonly reason: ReasonRecord | null;
}

export const eventRecord = ({ time, code, args, text, reason }: Event): RecordedEvent => ({
  time: time > 0 ? new Date(time).toISOString() : null,
  event: code,
  args: readArgs(args),
  message: text,
  reason: reasonRecord(reason),
});

/** Where the time of an event is not known. */
const NO_TIME = '-'.padEnd(moment(new Date(0).toISOString()).length);

/** An event for people: when, of which job or worker, what. */
export function eventLine(
  { time, message }: Pick<RecordedEvent, 'time' | 'message'>,
  subject?: string,
): string {
  return [time === null ? NO_TIME : moment(time), ...(subject ? [subject] : []), message].join('  ');
}

export interface LogsOptions extends ClientOptions {
  readonly follow?: boolean;
  readonly json?: boolean;
}

export async function logs(id: string, options: LogsOptions): Promise<void> {
  const say = (event: Event) => {
    const record = eventRecord(event);
    out.lines(options.json ? JSON.stringify(record) : eventLine(record));
  };
  await withClient(options, async (client) => {
    if (!options.follow) {
      for (const event of await client.events(id)) say(event);
      return;
    }
    for await (const event of client.watchEvents(id)) say(event);
    requireSuccess(await client.get(id));
  });
}
