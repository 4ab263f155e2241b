/** Another program holds the state database locked while jobs run: it is waited for, said so, and nothing else stands still. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { DATABASE } from '@kasane/coordinator/internal/store/state-database';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { faultsOfLedger } from './support/ledger.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** Longer than SQLite was waited for, and than a call may take. */
const HELD_MS = 12_000;
/** The loop stood for 5 to 10 s where it waited for SQLite itself. */
const STANDS_MS = 3_000;

const isLocked = /could not be written: the database has been locked by another program since \d\d:\d\d:\d\d/;

/** Holds the write lock on a database. @returns what lets it go */
function holdLock(path: string): () => void {
  const database = new DatabaseSync(path, { timeout: 20_000 });
  database.exec('BEGIN IMMEDIATE');
  return () => database.close();
}

it('waits for the lock, answers meanwhile, and goes on to the same bits', async () => {
  const cluster = new TestCluster(cleanUp);
  await cluster.start();
  await cluster.worker();
  const data = smallMnist(temporaryDirectory(cleanUp), 600, 100);
  const training = { epochs: 3, batch: 20, shards: 2, seed: 3 };
  const job = {
    name: 'locked',
    model: { preset: 'mnist-mlp' },
    data: { path: data },
    training,
    checkpoint: { everySteps: 5 },
  };
  const quiet = await cluster.run(job);
  expect(quiet.error).toBe('');

  let longest = 0;
  let last = performance.now();
  const beat = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 20);
  cleanUp.add(() => clearInterval(beat));
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const id = await client.submit(JSON.stringify(job));
  const said = new Set<string>();
  let release: (() => void) | undefined;
  let held: Promise<void> | undefined;
  let ended: Job | undefined;
  for await (const now of client.watch(id)) {
    ended = now;
    if (now.waitingFor) said.add(now.waitingFor.text);
    if (now.step < 20 || release) continue;
    release = holdLock(join(cluster.state, DATABASE));
    longest = 0;
    held = (async () => {
      const began = performance.now();
      // Whoever asks is answered; whoever changes something hears why that is not possible.
      await client.list();
      await expect(client.submit(JSON.stringify(job))).rejects.toMatchObject({
        code: 'STATE_IN_USE',
        message: expect.stringMatching(/locked by another program since \d\d:\d\d:\d\d; stop that program/),
      });
      await sleep(HELD_MS - (performance.now() - began));
      // Its steps may go on for longer; in the end it waits.
      while (![...said].some((why) => isLocked.test(why))) await sleep(50);
    })().finally(release);
  }
  await held;
  expect(longest).toBeLessThan(STANDS_MS);
  expect(ended).toMatchObject({ error: '', digest: quiet.digest });
  expect([...said]).toContainEqual(expect.stringMatching(isLocked));
  expect(faultsOfLedger(cluster.ledger(id), { samples: 600, epochs: 3, seed: 3 })).toEqual([]);
  // Nothing of the refused submission came later.
  expect((await client.list()).length).toBe(2);
});

it('starts as soon as the database is free', async () => {
  const cluster = new TestCluster(cleanUp);
  await cluster.start();
  await cluster.stopCoordinator();
  const release = holdLock(join(cluster.state, DATABASE));
  const started = cluster.startCoordinator();
  await sleep(3_000);
  release();
  await started;
});
