/** A Redis, or a proxy before it, that sends what is no answer to anything: connections are made anew, no process ends, and the weights are the same. */
import type { Socket } from 'node:net';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { watchAnswers } from '@kasane/protocol/internal/queue/silent-redis';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { startProxiedRedis } from './support/redis-proxy.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let sockets: ReadonlySet<Socket>;
let worker: Awaited<ReturnType<TestCluster['worker']>>;
let job: object;
let digest = '';
afterAll(() => cleanUp.run());
afterEach(() => {
  vi.useRealTimers();
});

beforeAll(async () => {
  const redis = await startProxiedRedis(cleanUp);
  sockets = redis.sockets;
  await cluster.startOn(redis.url);
  worker = await cluster.worker();
  const path = smallMnist(temporaryDirectory(cleanUp), 1000, 100);
  job = {
    ...{ name: 'odd', model: { preset: 'mnist-mlp' }, data: { path } },
    training: { epochs: 4, batch: 20, shards: 2 },
  };
  ({ digest } = await cluster.run(job));
});

it.each([
  ['a null', '$-1\r\n'],
  ['an array that is none', '*-1\r\n'],
  ['a thousand nulls', '_\r\n'.repeat(1000)],
  ['an answer too many', '+OK\r\n'],
  ['an error of nobody', '-MOVED 1 127.0.0.1:1\r\n'],
  ['a message of no kind', '>2\r\n_\r\n_\r\n'],
  ['a subscription of nobody', '>3\r\n$9\r\nsubscribe\r\n_\r\n:1\r\n'],
  ['what is no protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
])(
  'that sends %s',
  async (_, odd) => {
    let told = 0;
    const ended = await cluster.run(job, (step) => {
      if (step < 30 * (told + 1) || told === 4) return;
      told++;
      for (const socket of sockets) socket.write(odd);
    });
    expect(told).toBeGreaterThan(0);
    expect(ended).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, digest });
    expect([worker.exitCode, worker.signalCode]).toEqual([null, null]);
  },
  90_000,
);

it('is connected to again as soon as it gives an answer that belongs to another question', async () => {
  vi.useFakeTimers();
  const disconnect = vi.fn();
  const answers = ['PONG', '1'];
  const stop = watchAnswers(
    { status: 'ready', ping: async () => answers.shift(), disconnect },
    { onReplace: () => {} },
  );
  await vi.advanceTimersByTimeAsync(5_000);
  expect(disconnect).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(disconnect).toHaveBeenCalledExactlyOnceWith(true);
  stop();
});
