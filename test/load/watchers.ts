/**
 * Many who watch, in one process: `{ coordinator, watchers }` as JSON is its argument. Each has a connection of its own and
 * follows a job and its metrics, as `kasane watch` and the page do; when that has ended it takes another. One in five asks twice a
 * second for all jobs and workers besides, as `kasane top` does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CoordinatorClient } from '@kasane/protocol/client';
import { messageOf } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { serveParent, Tally } from './child.ts';

export interface WatchersOptions {
  readonly coordinator: string;
  readonly watchers: number;
}

const TOP_MS = 500;
const EVERY_TOP = 5;

const { coordinator, watchers } = JSON.parse(process.argv[2]!) as WatchersOptions;
const complaints = new Tally();
const counts = { states: 0, metrics: 0, calls: 0, slowestCallMs: 0 };

async function timed<T>(call: Promise<T>): Promise<T> {
  const began = performance.now();
  const answer = await call;
  counts.calls++;
  counts.slowestCallMs = Math.max(counts.slowestCallMs, performance.now() - began);
  return answer;
}

/** Follows one job after the other. */
async function watch(client: CoordinatorClient, index: number): Promise<never> {
  for (;;) {
    try {
      const running = (await timed(client.list())).filter(
        ({ state }) => state === JobState.JOB_STATE_RUNNING,
      );
      const job = running[index % running.length]?.id;
      if (job === undefined) {
        await sleep(TOP_MS);
        continue;
      }
      const off = client.watchMetrics(
        job,
        () => counts.metrics++,
        () => {},
      );
      try {
        for await (const _ of client.watch(job)) counts.states++;
      } finally {
        off();
      }
    } catch (error) {
      complaints.add(messageOf(error));
      await sleep(TOP_MS);
    }
  }
}

/** What `kasane top` asks. */
async function top(client: CoordinatorClient): Promise<never> {
  for (;;) {
    try {
      await timed(Promise.all([client.list(), client.status()]));
    } catch (error) {
      complaints.add(messageOf(error));
    }
    await sleep(TOP_MS);
  }
}

for (let index = 0; index < watchers; index++) {
  const client = new CoordinatorClient({ coordinator });
  await client.status();
  void watch(client, index);
  if (index % EVERY_TOP === 0) void top(client);
}
serveParent(complaints, () => counts);
