/** Whatever became of the files of a job that waits: the coordinator starts, that job alone fails, the others go on. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { packData } from '@kasane/data/pack';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { checkData } from '@kasane/protocol/job-data';
import { hasEnded } from '@kasane/protocol/job-state';
import { RUNNING_JOBS } from '@kasane/protocol/limits';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp, { access: { roots: 'any', hosts: ['127.0.0.1'] } });
let good: object;

beforeAll(async () => {
  await cluster.start();
  good = {
    name: 'good',
    model: { preset: 'mnist-mlp' },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 100, 10) },
  };
});
afterAll(() => cleanUp.run());

const table = (path: string) => ({
  name: 'table',
  model: { input: [1], classes: 2, layers: [{ type: 'dense', units: 2 }] },
  data: { format: 'csv', path, target: 'class' },
});
const rows = Array.from({ length: 40 }, (_, i) => `${i},${i % 2 ? 'yes' : 'no'}`);
const csv = `a,class\n${rows.join('\n')}\n`;

/** Restarts the coordinator after `change`, and resolves with both jobs once the first has ended. */
async function afterRestart(path: string, change: (id: string) => void): Promise<[Job, Job]> {
  const { client } = cluster;
  const id = await client.submit(JSON.stringify(table(path)));
  const other = await client.submit(JSON.stringify(good));
  client.close();
  await cluster.stopCoordinator();
  change(id);
  await cluster.startCoordinator();
  const again = cluster.client;
  for await (const { state } of again.watch(id)) if (hasEnded(state)) break;
  for await (const { waitingFor } of again.watch(other)) if (waitingFor?.code === 'no-worker') break;
  const jobs: [Job, Job] = [await again.get(id), await again.get(other)];
  await again.cancel(other);
  again.close();
  return jobs;
}

it.each<[string, (path: string) => void]>([
  ['is gone', () => {}],
  ['became a folder', (path) => mkdirSync(path)],
  ['became a FIFO', (path) => execFileSync('mkfifo', [path])],
  ['became a device', (path) => symlinkSync('/dev/zero', path)],
  ['is empty', (path) => writeFileSync(path, '')],
  ['became garbage', (path) => writeFileSync(path, Buffer.alloc(5000, 0xff))],
])('a table that %s', async (_, become) => {
  const path = join(temporaryDirectory(cleanUp), 't.csv');
  writeFileSync(path, csv);
  const [job, other] = await afterRestart(path, () => {
    rmSync(path);
    become(path);
  });
  expect(job.state).toBe(JobState.JOB_STATE_FAILED);
  expect(job.error).toContain('t.csv');
  expect(hasEnded(other.state)).toBe(false);
});

it('data over which coordinators end again and again is left alone, and can be tried again', async () => {
  const path = join(temporaryDirectory(cleanUp), 't.csv');
  writeFileSync(path, csv);
  const [job] = await afterRestart(path, (id) =>
    writeFileSync(join(cluster.state, 'reading.json'), JSON.stringify({ [id]: 3, gone: 1 })),
  );
  expect(job.state).toBe(JobState.JOB_STATE_FAILED);
  expect(job.error).toMatch(
    /t\.csv: the coordinator exited 3 times while reading the data of this job; .*`kasane resume table-/,
  );
  const { client } = cluster;
  await client.resume(job.id, 0);
  for await (const { waitingFor } of client.watch(job.id)) if (waitingFor?.code === 'no-worker') break;
  client.close();
});

it('jobs whose data never come can be cancelled, and so others run', async () => {
  const [csvFile, packed] = ['t.csv', 'packed'].map((name) => join(temporaryDirectory(cleanUp), name));
  writeFileSync(csvFile!, csv);
  const { data } = table(csvFile!);
  await packData(await openData(checkData(data), anywhere), packed!);
  let isSilent = false;
  let asked = 0;
  const server = createServer((request, response) => {
    asked++;
    // It takes the question, and says nothing more.
    if (!isSilent) response.end(readFileSync(join(packed!, request.url!)));
  }).listen(0, '127.0.0.1');
  cleanUp.add(() => server.closeAllConnections());
  cleanUp.add(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const remote = { ...table(''), data: { format: 'packed', path: `http://127.0.0.1:${port}` } };
  const { client } = cluster;
  for (const { id, state } of await client.list()) if (!hasEnded(state)) await client.cancel(id);
  const ids: string[] = [];
  for (let i = 0; i < RUNNING_JOBS; i++) ids.push(await client.submit(JSON.stringify(remote)));
  const other = await client.submit(JSON.stringify(good));
  client.close();
  await cluster.stopCoordinator();
  isSilent = true;
  const before = asked;
  await cluster.startCoordinator();
  const again = cluster.client;
  for (const id of ids)
    for await (const { waitingFor } of again.watch(id)) if (waitingFor?.code === 'reading-data') break;
  expect((await again.get(other)).waitingFor?.code).toBe('jobs-ahead');
  await expect.poll(() => asked).toBe(before + RUNNING_JOBS);
  for (const id of ids) {
    await again.cancel(id);
    expect((await again.get(id)).state).toBe(JobState.JOB_STATE_CANCELLED);
  }
  for await (const { waitingFor } of again.watch(other)) if (waitingFor?.code === 'no-worker') break;
  // None of them began again.
  expect(asked).toBe(before + RUNNING_JOBS);
  await again.cancel(other);
  again.close();
});
