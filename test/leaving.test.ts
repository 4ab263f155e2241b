/** Whatever is gone, a worker that is told to stop ends, and says so in lines of its own: nothing raw, nothing that waits for ever. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { environmentOf, findRedis, freePort } from '@kasane/cli/internal/redis/start';
import { CoordinatorClient } from '@kasane/protocol/client';
import { afterAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { main, startCommand } from './support/commands.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
/** It took 3.5 minutes, and a SIGKILL. */
const ENDS_MS = 30_000;

interface Cluster {
  readonly redis: ChildProcess;
  readonly coordinator: ChildProcess;
  readonly worker: ChildProcess;
  /** What the worker has said. */
  readonly said: () => string;
}

/** With a job that goes on for long. */
async function runningCluster(): Promise<Cluster> {
  const binary = await findRedis();
  const port = await freePort();
  const env = { ...process.env, ...environmentOf(binary) };
  const redis = spawn(binary.path, ['--port', String(port), '--save', ''], { env, stdio: 'ignore' });
  cleanUp.add(() => redis.kill('SIGKILL'));
  const url = `redis://127.0.0.1:${port}`;
  await sleep(1_000);
  const state = temporaryDirectory(cleanUp);
  const args = ['coordinator', '--port', '0', '--state', state, '--redis', url, '--no-dashboard'];
  const [coordinator, [, address]] = await startCommand(cleanUp, args, /^Coordinator at (\S+),/);
  const worker = spawn(process.execPath, [main, 'worker', '--coordinator', address!, '--slots', '1'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  cleanUp.add(() => worker.kill('SIGKILL'));
  let said = '';
  for (const stream of [worker.stdout, worker.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const client = new CoordinatorClient({ coordinator: address! });
  cleanUp.add(() => client.close());
  const job = {
    name: 'leaving',
    model: { preset: 'mnist-mlp' },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 600, 100) },
    training: { epochs: 500, batch: 20, shards: 2 },
  };
  const id = await client.submit(JSON.stringify(job));
  for await (const { step } of client.watch(id)) if (step > 5) break;
  return { redis, coordinator, worker, said: () => said };
}

const gone: Readonly<Record<string, (cluster: Cluster) => void>> = {
  nothing: () => {},
  Redis: ({ redis }) => redis.kill('SIGKILL'),
  'Redis, which is stopped': ({ redis }) => redis.kill('SIGSTOP'),
  'the coordinator': ({ coordinator }) => coordinator.kill('SIGKILL'),
  'whoever reads what it says': ({ worker }) => {
    worker.stdout!.destroy();
    worker.stderr!.destroy();
  },
};

describe.each(Object.entries(gone))('gone: %s', (_, take) => {
  it('a worker drains and ends', async () => {
    const cluster = await runningCluster();
    const { worker, said } = cluster;
    take(cluster);
    await sleep(2_000);
    expect(worker.exitCode).toBeNull();
    const ended = once(worker, 'exit');
    worker.kill('SIGTERM');
    const [code] = await Promise.race([ended, sleep(ENDS_MS, ['it did not end'])]);
    expect(code).toBe(0);
    expect(said()).not.toMatch(/\[ioredis\]|Unhandled|\n {4}at /);
    cluster.redis.kill('SIGKILL');
    cluster.coordinator.kill('SIGKILL');
  });
});
