/** A run that was begun by an earlier definition of results is not finished by another one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sha256 } from '@kasane/coordinator/internal/params/files';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
afterAll(() => cleanUp.run());
beforeAll(async () => {
  await cluster.start();
  await cluster.worker();
});

/** Makes the checkpoints of a job such as were written before definitions had numbers. */
function age(state: string, job: string): void {
  const db = new DatabaseSync(join(state, 'kasane.sqlite'));
  for (const { path } of db.prepare('SELECT path FROM checkpoints WHERE job = ?').all(job)) {
    const file = join(state, 'jobs', job, String(path).split('/').at(-1)!);
    const bytes = readFileSync(file);
    const mark = Buffer.from(',\\"definition\\":2');
    const at = bytes.indexOf(mark);
    expect(at).toBeGreaterThan(0);
    bytes.fill(' ', at, at + mark.length);
    writeFileSync(file, bytes);
    db.prepare('UPDATE checkpoints SET digest = ? WHERE path = ?').run(sha256(bytes), path!);
  }
  db.close();
}

it('fails with a sentence when it resumes, and keeps its weights', async () => {
  const path = temporaryDirectory(cleanUp);
  smallMnist(path, 1_000, 100);
  const training = { epochs: 3, batch: 20, shards: 4 };
  const job = { name: 'definition', model: { preset: 'mnist-mlp' }, data: { path }, training };
  const { client } = cluster;
  const id = await client.submit(JSON.stringify(job));
  for await (const { epoch } of client.watch(id)) if (epoch >= 1) break;
  await client.pause(id);
  client.close();

  await cluster.stopCoordinator();
  age(cluster.state, id);
  await cluster.startCoordinator();
  const again = cluster.client;
  cleanUp.add(() => again.close());
  await again.resume(id, 0);
  for await (const _ of again.watch(id));
  const { state, error } = await again.get(id);
  expect(state).toBe(JobState.JOB_STATE_FAILED);
  expect(error).toMatch(
    /^the checkpoint of step \d+ uses result definition 1, .* result definition 2, which gives different bits; finish the job with the version of Kasane that started it, or train it from the start with `kasane retry definition-\w+`$/,
  );
  // Its weights can still be had.
  const [checkpoint] = await again.checkpoints(id);
  expect((await again.model(id, checkpoint!.step)).length).toBeGreaterThan(1000);
});
