/** A state directory is copied while its coordinator trains: from each copy another goes on, to the same weights. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { runCommand } from './support/commands.ts';
import { faultsOfLedger } from './support/ledger.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

const backup = async (state: string, target: string) => {
  const { stdout } = await runCommand(['backup', target, '--state', state, '--json']);
  return JSON.parse(stdout);
};

it('goes on from a copy that was made while a job ran', async () => {
  const cluster = new TestCluster(cleanUp);
  await cluster.start();
  await cluster.worker();
  const training = { epochs: 6, batch: 20, shards: 2, seed: 3 };
  const job = {
    name: 'copied',
    model: { preset: 'mnist-mlp' },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 2_000, 300) },
    training,
    checkpoint: { everySteps: 5, keep: 1 },
  };
  const copies: string[] = [];
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const id = await client.submit(JSON.stringify(job));
  let over = false;
  const whole = (async (): Promise<Job> => {
    for await (const _ of client.watch(id));
    over = true;
    return client.get(id);
  })();
  const folder = temporaryDirectory(cleanUp);
  while (!over) {
    const target = join(folder, `copy-${copies.length}`);
    const { jobs, missing } = await backup(cluster.state, target);
    expect([jobs, missing]).toEqual([1, []]);
    copies.push(target);
  }
  const { error, digest } = await whole;
  expect(error).toBe('');
  await expect(backup(cluster.state, copies[0]!)).rejects.toThrow('already exists');
  await cluster.stopCoordinator();
  expect(readdirSync(folder)).toEqual(copies.map((_, index) => `copy-${index}`).sort());
  // Nothing is held any longer.
  expect(readdirSync(cluster.state).filter((name) => name.startsWith('.backup'))).toEqual([]);

  // The first was made early, the one before the last while it still ran; the last may have the end.
  for (const copy of new Set([copies[0]!, copies.at(-2) ?? copies[0]!, copies.at(-1)!])) {
    const other = new TestCluster(cleanUp, {}, copy);
    await other.start();
    await other.worker();
    const { client: asking } = other;
    for await (const _ of asking.watch(id));
    const again = await asking.get(id);
    expect(again).toMatchObject({ error: '', digest });
    expect(existsSync(join(copy, 'jobs', id, 'model.safetensors'))).toBe(true);
    expect((await asking.model(id)).length).toBeGreaterThan(400_000);
    expect(faultsOfLedger(other.ledger(id), { ...training, samples: 2_000 })).toEqual([]);
    asking.close();
    await other.stopCoordinator();
  }
}, 300_000);

it('says what is no state, and leaves nothing where that is so', async () => {
  const folder = temporaryDirectory(cleanUp);
  await expect(backup(folder, join(folder, 'copy'))).rejects.toThrow(
    `${folder} is not the state directory of a coordinator: it has no kasane.sqlite; set it with --state`,
  );
  expect(readdirSync(folder)).toEqual([]);
});
