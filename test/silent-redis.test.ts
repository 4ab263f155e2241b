/** Connections to Redis that stay open and carry no answers any more, as behind a proxy that hangs, are replaced, and the weights are the same. */
import type { Socket } from 'node:net';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { startProxiedRedis } from './support/redis-proxy.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const muted = new WeakSet<Socket>();
let sockets: ReadonlySet<Socket>;
afterAll(() => cleanUp.run());

beforeAll(async () => {
  const redis = await startProxiedRedis(cleanUp, (socket) => !muted.has(socket));
  sockets = redis.sockets;
  await cluster.startOn(redis.url);
  await cluster.worker();
});

it('goes on when the open connections of coordinator and worker stop answering', async () => {
  const path = smallMnist(temporaryDirectory(cleanUp), 2000, 100);
  const training = { epochs: 8, batch: 20, shards: 2 };
  const job = { name: 'muted', model: { preset: 'mnist-mlp' }, data: { path }, training };
  const { digest } = await cluster.run(job);
  let before = new Set<Socket>();
  const again = await cluster.run(job, (step) => {
    if (step < 100 || before.size > 0) return;
    before = new Set(sockets);
    for (const socket of sockets) muted.add(socket);
  });
  expect(again).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, digest });
  expect(before.size).toBeGreaterThan(1);
  expect([...sockets].filter((socket) => before.has(socket))).toEqual([]);
}, 120_000);
