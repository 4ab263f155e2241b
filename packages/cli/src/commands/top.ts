/** `kasane top`: the cluster, live; on a terminal a screen with keys, elsewhere a line an event. */
import { type ClientOptions, CoordinatorClient } from '@kasane/protocol/client';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { hasEnded } from '@kasane/protocol/job-state';
import { count } from '../render/count.ts';
import type { ReasonRecord } from '../render/job.ts';
import { err, out } from '../say.ts';
import { stopAsked } from '../stop.ts';
import { Feed, type Snapshot } from '../top/feed.ts';
import { eventLine, eventsBetween } from './logs.ts';

export interface TopEvent {
  /** ISO 8601. */
  readonly time: string;
  /** Id of the job or worker that it is about. */
  readonly subject: string;
  readonly event: string;
  readonly message: string;
  /** Of a job that waits. */
  readonly reason: ReasonRecord | null;
}

/** What happened between two looks at a cluster; of jobs that had ended before the first look nothing. */
export function clusterEvents(before: Snapshot | undefined, after: Snapshot, now: number): TopEvent[] {
  const events: TopEvent[] = [];
  const jobs = new Map<string, Job>(before?.jobs.map((job) => [job.id, job]));
  for (const job of [...after.jobs].reverse()) {
    if (!before?.version && hasEnded(job.state)) continue;
    for (const event of eventsBetween(jobs.get(job.id), job, now)) events.push({ subject: job.id, ...event });
  }
  const time = new Date(now).toISOString();
  const here = new Set(after.workers.map(({ id }) => id));
  const were = new Set(before?.workers.map(({ id }) => id));
  const add = (subject: string, event: string, message: string) =>
    events.push({ time, subject, event, message, reason: null });
  for (const { id, slots, backend } of after.workers)
    if (!were.has(id)) add(id, 'joined', `${count(slots, 'slot')}, ${backend}`);
  for (const id of were) if (!here.has(id)) add(id, 'left', '');
  return events;
}

export async function top(options: ClientOptions & { readonly json?: boolean }): Promise<void> {
  const client = new CoordinatorClient(options);
  try {
    // Whoever is wrong about the coordinator or its token hears it here.
    await client.list(1);
    if (process.stdout.isTTY && process.stdin.isTTY && !options.json) {
      const { showTop } = await import('../top/app.ts');
      const { coordinator } = options;
      await showTop({ client, coordinator, stdin: process.stdin, stdout: process.stdout });
    } else await printEvents(client, options.json === true);
  } finally {
    client.close();
  }
}

/** Prints what happens until a signal comes. */
async function printEvents(client: CoordinatorClient, json: boolean): Promise<void> {
  let before: Snapshot | undefined;
  const feed = new Feed(client, (now) => {
    if (now.problem && now.problem !== before?.problem) err.lines(`kasane: ${now.problem}`);
    if (!now.problem) {
      for (const event of clusterEvents(before, now, Date.now())) {
        out.lines(json ? JSON.stringify(event) : eventLine(event, event.subject));
      }
    }
    before = now;
  });
  await stopAsked();
  feed.close();
}
