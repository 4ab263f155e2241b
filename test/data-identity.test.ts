/** A run goes on from a checkpoint with the data that it was trained on, and no other. */
import { cpSync, mkdirSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identityOf } from '@kasane/coordinator/internal/submit/data-identity';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { checkData } from '@kasane/protocol/job-data';
import { RUNNING_JOBS } from '@kasane/protocol/limits';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
afterAll(() => cleanUp.run());
beforeAll(async () => {
  await cluster.start();
  await cluster.worker();
});

it('is refused with other data after a restart, and goes on when the earlier ones are back', async () => {
  const [path, first, second] = [0, 0, 0].map(() => temporaryDirectory(cleanUp)) as [string, string, string];
  smallMnist(first, 1_000, 100);
  // As many of the same shapes, but of other classes.
  smallMnist(second, 1_000, 100, [0, 4]);
  cpSync(first, path, { recursive: true });
  const training = { epochs: 3, batch: 20, shards: 2 };
  const job = { name: 'identity', model: { preset: 'mnist-mlp' }, data: { path }, training };
  const quiet = await cluster.run(job);
  const { client } = cluster;
  const id = await client.submit(JSON.stringify(job));
  for await (const { epoch } of client.watch(id)) if (epoch >= 1) break;
  await client.pause(id);
  client.close();

  await cluster.stopCoordinator();
  cpSync(second, path, { recursive: true });
  await cluster.startCoordinator();
  const again = cluster.client;
  cleanUp.add(() => again.close());
  await again.resume(id, 0);
  for await (const _ of again.watch(id));
  const refused = await again.get(id);
  expect(refused.state).toBe(JobState.JOB_STATE_FAILED);
  expect(refused.error).toMatch(
    /: the data has changed since the checkpoint of step \d+: 1000 training and 100 test samples, digest \w{8} then, 1000 .* now; restore the earlier data and run `kasane resume identity-\w+`, or train on the new data from the start with `kasane retry/,
  );
  // What classes are called, and how inputs are prepared, would be that of other data.
  const [checkpoint] = await again.checkpoints(id);
  await expect(again.model(id, checkpoint!.step)).rejects.toThrow(
    'the data has changed since the checkpoint',
  );

  cpSync(first, path, { recursive: true });
  await again.resume(id, 0);
  for await (const _ of again.watch(id));
  expect(await again.get(id)).toMatchObject({ error: '', digest: quiet.digest });
});

it('a job that begins with other data than it was submitted with says so', async () => {
  const idle = new TestCluster(cleanUp);
  await idle.start();
  const { client } = idle;
  const folder = temporaryDirectory(cleanUp);
  const job = (name: string) => {
    const path = join(folder, `${name}.csv`);
    writeFileSync(path, 'x,y\n1,a\n2,b\n3,a\n4,b\n5,a\n6,b\n');
    return JSON.stringify({
      name,
      model: { input: [1], classes: 2, layers: [{ type: 'dense', units: 2 }] },
      data: { format: 'csv', path, target: 'y' },
      training: { epochs: 1, batch: 4 },
    });
  };
  // Without a worker, as many as may begin stand at their beginning.
  const begun: string[] = [];
  for (let at = 0; at < RUNNING_JOBS; at++) begun.push(await client.submit(job('first')));
  const [changed, same] = [await client.submit(job('changed')), await client.submit(job('same'))];
  // Data of the last one that was submitted is still open.
  await client.submit(job('last'));
  writeFileSync(join(folder, 'changed.csv'), 'x,y\n1,b\n2,a\n3,b\n4,a\n5,b\n6,a\n');
  for (const id of begun.slice(0, 2)) await client.cancel(id);
  const codes = async (id: string) => (await client.events(id)).map(({ code }) => code);
  for (const id of [changed, same])
    for await (const { waitingFor } of client.watch(id)) if (waitingFor?.code === 'turns') break;
  expect(await codes(changed)).toContain('data-changed');
  expect(await codes(same)).not.toContain('data-changed');
  for (const id of [...begun.slice(2), changed, same]) await client.cancel(id);
});

it('images are those that they were, wherever and whenever they were copied', async () => {
  const folder = temporaryDirectory(cleanUp);
  for (const name of ['cat', 'dog']) {
    mkdirSync(join(folder, 'a', name), { recursive: true });
    for (let red = 0; red < 6; red++) {
      const create = {
        width: 8,
        height: 8,
        channels: 3 as const,
        background: { r: 30 * red, g: name === 'cat' ? 9 : 19, b: 99 },
      };
      await sharp({ create })
        .png()
        .toFile(join(folder, 'a', name, `${red}.png`));
    }
  }
  const identity = async (path: string) => {
    const data = checkData({ format: 'imagefolder', path: join(folder, path), size: 8 });
    return identityOf(await openData(data, anywhere));
  };
  const before = await identity('a');
  cpSync(join(folder, 'a'), join(folder, 'b'), { recursive: true });
  for (const file of readdirSync(join(folder, 'b/cat'))) utimesSync(join(folder, 'b/cat', file), 1, 1);
  expect(await identity('b')).toEqual(before);
  renameSync(join(folder, 'b/cat'), join(folder, 'b/cow'));
  expect(await identity('b')).not.toEqual(before);
  cpSync(join(folder, 'a'), join(folder, 'c'), { recursive: true });
  // As long as it was.
  const other = { width: 8, height: 8, channels: 3 as const, background: { r: 31, g: 9, b: 99 } };
  const png = await sharp({ create: other }).png().toBuffer();
  writeFileSync(join(folder, 'c/cat/1.png'), png);
  expect(await identity('c')).not.toEqual(before);
});

it('a table is told by its rows, and by what its classes are called', async () => {
  const folder = temporaryDirectory(cleanUp);
  const identity = async (name: string, rows: string[]) => {
    const path = join(folder, name);
    writeFileSync(path, `a,class\n${rows.join('\n')}\n`);
    return identityOf(await openData(checkData({ format: 'csv', path, target: 'class' }), anywhere));
  };
  const rows = Array.from({ length: 20 }, (_, i) => `${i},${i % 2 ? 'yes' : 'no'}`);
  const before = await identity('a.csv', rows);
  expect(await identity('b.csv', rows)).toEqual(before);
  const swapped = rows.map((row) => row.replace('yes', 'x').replace('no', 'yes').replace('x', 'no'));
  expect(await identity('c.csv', swapped)).not.toEqual(before);
  expect(
    await identity(
      'd.csv',
      rows.map((row) => row.replace('no', 'nay')),
    ),
  ).not.toEqual(before);
});
