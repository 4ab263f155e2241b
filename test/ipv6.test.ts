/** A cluster over IPv6 alone: Redis, coordinator, two workers, page and metrics at ::1, and the same digest as over IPv4. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { findRedis, freePort } from '@kasane/cli/internal/redis/start';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { inspectRedis } from '@kasane/coordinator/internal/queue/inspect-redis';
import { startDashboard } from '@kasane/dashboard/server';
import { CoordinatorClient } from '@kasane/protocol/client';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { startWorker } from '@kasane/worker/worker';
import { pino } from 'pino';
import { afterAll, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
const log = pino({ level: 'silent' });

/** A Redis that answers at ::1 only, with a password. */
async function redisAt6(): Promise<string> {
  const { path, libraryPath } = await findRedis();
  const port = await freePort();
  const options = ['--bind', '::1', '--port', String(port), '--save', '', '--requirepass', 'of-a-test'];
  const server = spawn(path, [...options, '--dir', temporaryDirectory(cleanUp)], {
    stdio: 'ignore',
    env: { ...process.env, ...(libraryPath !== undefined && { LD_LIBRARY_PATH: libraryPath }) },
  });
  cleanUp.add(async () => {
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
  });
  const url = `redis://:of-a-test@[::1]:${port}`;
  await vi.waitFor(() => inspectRedis(url), { timeout: 10_000, interval: 50 });
  return url;
}

it.skipIf(!Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1')))(
  'a whole job, the page and the health of both sides',
  async () => {
    const path = smallMnist(temporaryDirectory(cleanUp), 640, 100);
    const job = {
      name: 'six',
      model: { preset: 'mnist-mlp' },
      data: { path },
      training: { epochs: 2, batch: 64, shards: 4 },
    };
    const metrics = { host: '::1', port: await freePort(), token: undefined };
    const coordinator = await startCoordinator({
      ...{ host: '::1', port: 0, redisUrl: await redisAt6(), stateDirectory: temporaryDirectory(cleanUp) },
      ...{ metrics, log },
    });
    cleanUp.add(() => coordinator.close());
    expect(coordinator.address).toMatch(/^\[::1\]:\d+$/);
    // One by shared memory, one by a data link.
    for (const sharedMemory of [true, false]) {
      const worker = await startWorker({ coordinator: coordinator.address, slots: 1, sharedMemory, log });
      cleanUp.add(() => worker.close());
    }
    const client = new CoordinatorClient({ coordinator: coordinator.address });
    cleanUp.add(() => client.close());
    const id = await client.submit(JSON.stringify(job));
    for await (const _ of client.watch(id));
    const ended = await client.get(id);
    expect(ended).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, error: '' });
    const health = await fetch(`http://[::1]:${metrics.port}/health`);
    expect([health.status, await health.text()]).toEqual([200, 'ok\n']);

    const page = await startDashboard({ host: '::1', port: 0, coordinator: coordinator.address });
    cleanUp.add(() => page.close());
    expect(page.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect((await fetch(page.url)).status).toBe(200);
    const cancel = (headers: Record<string, string>) =>
      fetch(`${page.url}/api/jobs/${id}/cancel`, { method: 'POST', headers }).then(({ status }) => status);
    expect(await cancel({})).toBe(403);
    expect(await cancel({ 'x-kasane': 'dashboard' })).not.toBe(403);

    const four = new TestCluster(cleanUp);
    await four.start();
    await four.worker(1);
    expect((await four.run(job)).digest).toBe(ended.digest);
  },
);
