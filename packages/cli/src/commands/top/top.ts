/** `kasane top`: the cluster, live; on a terminal a screen with keys, elsewhere a line an event. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientOptions, CoordinatorClient } from '@kasane/protocol/client';
import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { eventKind } from '@kasane/protocol/internal/events/events';
import { reasonRecord } from '@kasane/protocol/internal/job/job-record';
import { err, out } from '../../output/say.ts';
import { isScreen } from '../../output/terminal.ts';
import { stopAsked } from '../../process/stop.ts';
import { withClient } from '../../process/with-client.ts';
import { count } from '../../render/count.ts';
import { eventLine, eventRecord, type RecordedEvent } from '../logs/logs.ts';
import { Feed, type Snapshot } from './feed.ts';

export interface TopEvent extends RecordedEvent {
  /** Id of the job or worker that it is about. */
  readonly subject: string;
}

/** After a coordinator was lost it is looked for so often, in milliseconds. */
const RETRY_MS = 1_000;

/** Which workers have come and gone between two looks at a cluster. */
export function workerEvents(before: Snapshot | undefined, after: Snapshot, now: number): TopEvent[] {
  const time = new Date(now).toISOString();
  const here = new Set(after.workers.map(({ id }) => id));
  const were = new Set(before?.workers.map(({ id }) => id));
  const joined = after.workers
    .filter(({ id }) => !were.has(id))
    .map(({ id, slots, backend }) => ({
      ...{ time, subject: id, event: 'joined', args: { slots, backend }, reason: null },
      message: `joined (${count(slots, 'slot')}, ${backend})`,
    }));
  const left = [...were]
    .filter((id) => !here.has(id))
    .map((id) => {
      const why = after.departed.find((gone) => gone.id === id)?.why;
      const message = why ? `disconnected: ${why.text}` : 'disconnected';
      return { time, subject: id, event: 'left', args: {}, message, reason: reasonRecord(why) };
    });
  return [...joined, ...left];
}

/** What is told of a job: its workers' coming and going is told of them. */
export const jobEvents = (events: readonly Event[]): TopEvent[] =>
  events
    .filter(({ code }) => code !== 'worker-joined' && code !== 'worker-left')
    .map((event) => ({ ...eventRecord(event), subject: event.job }));

/** Of jobs that have not ended. */
export function ofOpenJobs(events: readonly Event[]): Event[] {
  const ended = new Set<string>();
  for (const { job, code } of events)
    if (eventKind(code) === 'end') ended.add(job);
    else if (code === 'resumed') ended.delete(job);
  return events.filter(({ job }) => !ended.has(job));
}

export async function top(options: ClientOptions & { readonly json?: boolean }): Promise<void> {
  await withClient(options, async (client) => {
    // Whoever is wrong about the coordinator or its token hears it here.
    await client.list(1);
    if (isScreen(process.stdout) && process.stdin.isTTY && !options.json) {
      const { showTop } = await import('./app.ts');
      const { coordinator } = options;
      await showTop({ client, coordinator, stdin: process.stdin, stdout: process.stdout });
    } else await printEvents(client, options.json === true);
  });
}

/** Prints what happens until a signal comes. */
async function printEvents(client: CoordinatorClient, json: boolean): Promise<void> {
  const say = (events: readonly TopEvent[]) => {
    for (const event of events) out.lines(json ? JSON.stringify(event) : eventLine(event, event.subject));
  };
  let before: Snapshot | undefined;
  const feed = new Feed(client, (now) => {
    if (now.problem && now.problem !== before?.problem) err.lines(`kasane: ${now.problem}`);
    if (!now.problem) say(workerEvents(before, now, Date.now()));
    before = now;
  });
  const stopped = new AbortController();
  const following = followEvents(client, say, stopped.signal);
  await stopAsked();
  stopped.abort();
  feed.close();
  client.close();
  await following;
}

/** Tells of all jobs' events, also of those of a coordinator that comes back. */
async function followEvents(
  client: CoordinatorClient,
  say: (events: readonly TopEvent[]) => void,
  stopped: AbortSignal,
): Promise<void> {
  let last: number | undefined;
  while (!stopped.aborted) {
    try {
      if (last === undefined) {
        const past = await client.events('');
        last = past.at(-1)?.number ?? 0;
        say(jobEvents(ofOpenJobs(past)));
      }
      for await (const event of client.watchEvents('', last, stopped)) {
        last = event.number;
        say(jobEvents([event]));
      }
    } catch {
      // It was stopped, or the feed says that the coordinator cannot be reached, and why.
    }
    await sleep(RETRY_MS, undefined, { signal: stopped }).catch(() => {}); // stopped
  }
}
