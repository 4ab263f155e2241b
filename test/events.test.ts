/** What happens to a job is on record, in order and with its times: through a pause, a killed worker and a restarted coordinator. */

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Event } from '@kasane/protocol/gen/kasane/v1/jobs';
import { knownEvent } from '@kasane/protocol/internal/events/events';
import { hasEnded } from '@kasane/protocol/job-state';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { runCommand } from './support/commands.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
beforeAll(() => cluster.start());
afterAll(() => cleanUp.run());

/** How long the job is paused, in milliseconds. */
const PAUSE_MS = 2_500;

/** Asserts that these codes are in the record in this order, with any others between them. */
function expectInOrder(events: readonly Event[], codes: readonly string[]): void {
  let from = 0;
  for (const code of codes) {
    const at = events.findIndex((event, index) => index >= from && event.code === code);
    expect(at, `${code} after ${from} in ${events.map((event) => event.code).join()}`).toBeGreaterThanOrEqual(
      from,
    );
    from = at + 1;
  }
}

describe('a job that is paused, loses a worker and its coordinator', () => {
  let id = '';
  const heard: Event[] = [];

  it('has all of it on record', async () => {
    const first = await cluster.worker();
    let { client } = cluster;
    const job = {
      name: 'recorded',
      model: { preset: 'mnist-mlp' },
      data: { path: smallMnist(temporaryDirectory(cleanUp), 1_000, 100) },
      training: { epochs: 8, batch: 10, shards: 2, seed: 3 },
      checkpoint: { everySteps: 50 },
    };
    id = await client.submit(JSON.stringify(job));
    const until = async (step: number) => {
      for await (const now of client.watch(id)) if (now.step >= step) return;
    };
    await until(20);
    await client.pause(id);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await client.resume(id, 0);
    await until(120);
    first.kill('SIGKILL');
    await expect
      .poll(async () => (await client.events(id)).at(-1)?.code, { timeout: 20_000 })
      .toBe('waiting');
    await cluster.worker();
    await until(220);
    client.close();
    await cluster.stopCoordinator();
    await cluster.startCoordinator();
    client = cluster.client;
    cleanUp.add(() => client.close());
    for await (const event of client.watchEvents(id)) heard.push(event);
    expect(hasEnded((await client.get(id)).state)).toBe(true);
    const events = await client.events(id);
    // Whoever followed heard what is on record.
    expect(heard).toEqual(events);
    expectInOrder(events, ['submitted', 'started', 'paused', 'resumed', 'restored', 'epoch', 'checkpoint']);
    expectInOrder(events, ['resumed', 'worker-left', 'waiting', 'worker-joined', 'continued']);
    expectInOrder(events, ['continued', 'restarted', 'restored', 'epoch', 'succeeded']);
    expectInOrder(events, ['restarted', 'worker-joined', 'succeeded']);
    expect(events.filter(({ code }) => code === 'restarted')).toHaveLength(1);
    expect(events.at(-1)!.code).toBe('succeeded');
    // Neither the pause nor the end of the coordinator is a wait.
    const waits = events.filter(({ code }) => code === 'waiting');
    expect(new Set(waits.map(({ reason }) => reason?.code))).toEqual(new Set(['no-worker']));
    const numbers = events.map(({ number }) => number);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    for (const event of events) expect(knownEvent(event), event.code).toBeDefined();
  }, 120_000);

  it('has the times at which it happened', async () => {
    const timeOf = (code: string) => heard.find((event) => event.code === code)!.time;
    expect(timeOf('resumed') - timeOf('paused')).toBeGreaterThanOrEqual(PAUSE_MS - 100);
    const times = heard.map(({ time }) => time);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    const { client } = cluster;
    cleanUp.add(() => client.close());
    const job = await client.get(id);
    expect([timeOf('submitted'), heard.at(-1)!.time]).toEqual([job.submittedAt, job.endedAt]);
    // Results have the same.
    for (const { epoch, endedAt } of await client.epochs(id)) {
      const told = heard.findLast((event) => {
        const known = knownEvent(event);
        return known?.code === 'epoch' && known.args.epoch === epoch;
      });
      expect(Math.abs(told!.time - endedAt)).toBeLessThan(100);
    }
  });

  it('is told by kasane logs', async () => {
    const lines = await runCommand(['logs', id, '--coordinator', cluster.address]);
    const said = lines.stdout.split('\n').map((line) => line.slice(21));
    expect(said).toEqual(heard.map(({ text }) => text));
    const { stdout } = await runCommand(['logs', id, '-f', '--json', '--coordinator', cluster.address]);
    const records = stdout.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.map(({ time }) => Date.parse(String(time)))).toEqual(
      heard.map(({ time }) => Math.floor(time)),
    );
    expect(records.find(({ event }) => event === 'worker-left')).toMatchObject({
      args: { worker: expect.any(String) },
      reason: { code: expect.stringMatching(/^(connection|stream|link)-/) },
    });
  });
});

it('of all jobs the newest are told, then what happens', async () => {
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const past = await client.events('');
  const last = past.at(-1)!.number;
  const told: Event[] = [];
  const following = (async () => {
    for await (const event of client.watchEvents('', last)) {
      told.push(event);
      if (event.code === 'cancelled') return;
    }
  })();
  const job = { name: 'other', model: { preset: 'mnist-mlp' }, training: { epochs: 100 } };
  const id = await client.submit(JSON.stringify(job));
  await client.cancel(id);
  await following;
  expect(told[0]).toMatchObject({ code: 'submitted', job: id });
  expect(told.every(({ number }) => number > last)).toBe(true);
});

it('a record by an earlier version has no times that are made up', async () => {
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const [done] = (await client.list()).filter(({ name }) => name === 'recorded');
  await cluster.stopCoordinator();
  const database = new DatabaseSync(join(cluster.state, 'kasane.sqlite'));
  database.exec('DROP TABLE events; ALTER TABLE epochs DROP COLUMN endedAt; PRAGMA user_version = 1');
  database.close();
  await cluster.startCoordinator();
  const again = cluster.client;
  cleanUp.add(() => again.close());
  const events = await again.events(done!.id);
  expect(events.map(({ code, time }) => [code, time])).toEqual([
    ['earlier-version', 0],
    ['submitted', done!.submittedAt],
    ['started', done!.startedAt],
    ...Array.from({ length: 8 }, () => ['epoch', 0]),
    ['succeeded', done!.endedAt],
  ]);
  const { stdout } = await runCommand(['logs', done!.id, '--coordinator', cluster.address]);
  expect(stdout).toMatch(/^- {20}recorded by an earlier version/);
  expect(stdout.match(/^- {20}epoch \d\/8: loss /gm)).toHaveLength(8);
});

it('who watches for events of all jobs may stop while none comes', async () => {
  const { client } = cluster;
  const stopped = new AbortController();
  const last = (await client.events('')).at(-1)?.number ?? 0;
  const next = client.watchEvents('', last, stopped.signal).next();
  stopped.abort();
  await expect(next).rejects.toThrow();
  client.close();
});
