/** `kasane logs`: what happened to a job, a line an event. */
import { type ClientOptions, CoordinatorClient, requireSuccess } from '@kasane/protocol/client';
import { JobState, type Reason } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { hasEnded } from '@kasane/protocol/job-state';
import { count } from '../render/count.ts';
import { epochLine, heldUpBy, jobRecord, type ReasonRecord, reasonRecord } from '../render/job.ts';
import { moment } from '../render/table.ts';
import { out } from '../say.ts';

export interface JobEvent {
  /** ISO 8601. Of an epoch before this program watched: the start and the seconds of all epochs so far. */
  readonly time: string;
  readonly event:
    | 'submitted'
    | 'started'
    | 'waiting'
    | 'going on'
    | 'paused'
    | 'resumed'
    | 'epoch'
    | 'succeeded'
    | 'failed'
    | 'cancelled';
  readonly message: string;
  /** Of a job that waits. */
  readonly reason: ReasonRecord | null;
}

/** An event for people: when, what, and more of it; the line of an epoch does not begin with that word once more. */
export function eventLine(
  { time, event, message }: { readonly time: string; readonly event: string; readonly message: string },
  subject?: string,
): string {
  const more = event === 'epoch' ? message.slice(event.length).trimStart() : message;
  return [moment(time), ...(subject ? [subject] : []), event.padEnd(9), more].join('  ').trimEnd();
}

const iso = (ms: number) => new Date(ms).toISOString();

/**
 * What happened between two looks at a job.
 * @param before the look before; undefined: everything so far
 * @param now of this look, in milliseconds; undefined for one at the past, whose waits nobody saw
 */
export function eventsBetween(before: Job | undefined, job: Job, now?: number): JobEvent[] {
  const events: JobEvent[] = [];
  const add = (event: JobEvent['event'], ms: number, message: string, reason?: Reason) =>
    events.push({ time: iso(ms), event, message, reason: reasonRecord(reason) });
  if (!before) add('submitted', job.submittedAt, job.name);
  if (!before?.startedAt && job.startedAt > 0) add('started', job.startedAt, count(job.epochs, 'epoch'));
  let seconds = 0;
  const known = before?.history.at(-1)?.epoch ?? 0;
  for (const epoch of job.history) {
    seconds += epoch.seconds;
    if (epoch.epoch > known) add('epoch', now ?? job.startedAt + 1000 * seconds, epochLine(job, epoch));
  }
  const waits = heldUpBy(job);
  const waited = before && heldUpBy(before);
  if (now !== undefined && waits?.text !== waited?.text && !job.endedAt) {
    if (waits) add('waiting', now, waits.text, waits);
    else if (job.state !== JobState.JOB_STATE_PAUSED) add('going on', now, `step ${job.step}`);
  }
  if (now !== undefined && before && before.state !== job.state) {
    if (job.state === JobState.JOB_STATE_PAUSED) add('paused', now, `step ${job.step}`);
    else if (before.state === JobState.JOB_STATE_PAUSED && !hasEnded(job.state))
      add('resumed', now, `step ${job.step}`);
  }
  if (!before?.endedAt && job.endedAt > 0) {
    const { state, error } = jobRecord(job);
    add(state as JobEvent['event'], job.endedAt, error ?? `step ${job.step}`);
  }
  return events;
}

export interface LogsOptions extends ClientOptions {
  readonly follow?: boolean;
  readonly json?: boolean;
}

export async function logs(id: string, options: LogsOptions): Promise<void> {
  const say = (events: readonly JobEvent[]) => {
    for (const event of events) {
      out.lines(options.json ? JSON.stringify(event) : eventLine(event));
    }
  };
  const client = new CoordinatorClient(options);
  try {
    // All epochs, not only those that a job shows of many.
    let seen = { ...(await client.get(id)), history: await client.epochs(id) };
    say(eventsBetween(undefined, seen));
    if (!options.follow) return;
    if (!hasEnded(seen.state)) {
      // What it waits for now is no past.
      seen = { ...seen, waitingFor: undefined };
      for await (const job of client.watch(id)) {
        say(eventsBetween(seen, job, Date.now()));
        seen = job;
      }
    }
    requireSuccess(seen);
  } finally {
    client.close();
  }
}
