/** The state directory is moved, removed or replaced while a coordinator runs: it is waited for as a full disk is, and nothing is lost. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { faultsOfLedger } from './support/ledger.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** What is moved, and how it comes back. */
interface Case {
  readonly away: (state: string) => () => void;
  readonly says: RegExp;
}

const renamed = (from: string): (() => void) => {
  renameSync(from, `${from}.away`);
  return () => renameSync(`${from}.away`, from);
};
const gone = /the state directory \/.*\/state has been moved or removed; move it back, or restart/;
const cases: Readonly<Record<string, Case>> = {
  'moved away': { away: renamed, says: gone },
  'below a folder that is moved away': { away: (state) => renamed(join(state, '..')), says: gone },
  'replaced by an empty folder': {
    away: (state) => {
      const back = renamed(state);
      mkdirSync(state);
      return () => {
        // Fails where something was written into it.
        rmdirSync(state);
        back();
      };
    },
    says: /the state directory \/.*\/state has been replaced by another; move it back/,
  },
  'without its database': {
    away: (state) => renamed(join(state, 'kasane.sqlite')),
    says: /the database \/.*\/state\/kasane\.sqlite has been moved or removed; move it back/,
  },
  'without its lock, which another coordinator could take': {
    away: (state) => renamed(join(state, 'kasane.lock')),
    says: /the lock file \/.*\/state\/kasane\.lock has been moved, removed or replaced/,
  },
};

const training = { epochs: 3, batch: 20, shards: 2, seed: 3 };
const job = {
  name: 'away',
  model: { preset: 'mnist-mlp' },
  data: { path: '' },
  training,
  checkpoint: { everySteps: 5 },
};
let cluster: TestCluster;
let digest: string;
beforeAll(async () => {
  job.data.path = smallMnist(temporaryDirectory(cleanUp), 600, 100);
  const state = join(temporaryDirectory(cleanUp), 'parent', 'state');
  cluster = new TestCluster(cleanUp, {}, state);
  await cluster.start();
  await cluster.worker();
  const quiet = await cluster.run(job);
  expect(quiet.error).toBe('');
  digest = quiet.digest;
});

it.each(Object.keys(cases))('%s: said, and the job goes on to the same bits', async (name) => {
  const { away, says } = cases[name]!;
  const { client, state } = cluster;
  cleanUp.add(() => client.close());
  const before = (await client.list()).length;
  const id = await client.submit(JSON.stringify(job));
  const said = new Set<string>();
  let outage: Promise<void> | undefined;
  for await (const now of client.watch(id)) {
    if (now.waitingFor) said.add(now.waitingFor.text);
    if (now.step < 20 || outage) continue;
    const back = away(state);
    outage = (async () => {
      // Whoever asks is answered; whoever changes something hears why that is not possible.
      expect((await client.list()).length).toBe(before + 1);
      await expect(client.submit(JSON.stringify(job))).rejects.toMatchObject({
        code: 'STATE_UNUSABLE',
        message: expect.stringMatching(says),
      });
      while (![...said].some((why) => says.test(why))) await sleep(50);
      // Nobody makes it anew.
      if (says === gone) expect(existsSync(state)).toBe(false);
      back();
    })();
    outage.catch(back);
  }
  await outage;
  expect(await client.get(id)).toMatchObject({ error: '', digest });
  expect(faultsOfLedger(cluster.ledger(id), { samples: 600, epochs: 3, seed: 3 })).toEqual([]);
  // Nothing of the refused submission came later, and the next one is taken.
  expect((await client.list()).length).toBe(before + 1);
});

it('a folder of a job that was removed is made again', async () => {
  const { client, state } = cluster;
  cleanUp.add(() => client.close());
  const id = await client.submit(JSON.stringify(job));
  let moved = false;
  for await (const now of client.watch(id)) {
    if (now.step < 20 || moved) continue;
    moved = true;
    renameSync(join(state, 'jobs'), join(state, 'other'));
  }
  expect(await client.get(id)).toMatchObject({ error: '', digest });
  expect(readdirSync(join(state, 'jobs', id))).toContain('model.safetensors');
});

it('a coordinator that stops meanwhile leaves all that is there to the next one', async () => {
  const { client, state } = cluster;
  const id = await client.submit(JSON.stringify({ ...job, training: { ...training, epochs: 6 } }));
  let back: (() => void) | undefined;
  for await (const now of client.watch(id)) {
    if (now.step < 40) continue;
    back = renamed(state);
    break;
  }
  client.close();
  await cluster.stopCoordinator();
  expect(existsSync(state)).toBe(false);
  back!();
  await cluster.startCoordinator();
  const next = cluster.client;
  cleanUp.add(() => next.close());
  for await (const now of next.watch(id)) void now;
  expect(await next.get(id)).toMatchObject({ error: '', step: 180 });
});

it('a job that is cancelled meanwhile: said at once, and it ends when the directory is back', async () => {
  const { client, state } = cluster;
  cleanUp.add(() => client.close());
  const id = await client.submit(JSON.stringify({ ...job, training: { ...training, epochs: 6 } }));
  let back: (() => void) | undefined;
  for await (const now of client.watch(id)) {
    if (back || now.step < 20) continue;
    back = renamed(state);
    try {
      const refused = { code: 'STATE_UNUSABLE', message: expect.stringMatching(gone) };
      await expect(client.cancel(id)).rejects.toMatchObject(refused);
      const { waitingFor } = await client.get(id);
      expect(waitingFor?.text).toMatch(gone);
    } finally {
      back();
    }
  }
  expect((await client.get(id)).state).toBe(JobState.JOB_STATE_CANCELLED);
}, 30_000);
