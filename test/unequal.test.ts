/** Workers that are worse than the others: they rest, it is said why, and the weights are the same. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { hasEnded } from '@kasane/protocol/job-state';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Link } from './chaos/link.ts';
import { randomOf } from './chaos/random.ts';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
afterAll(() => cleanUp.run());

const job = {
  name: 'unequal',
  model: { preset: 'mnist-mlp' },
  data: { path: '' },
  training: { epochs: 60, batch: 20, shards: 4, seed: 3 },
};
let digest: string;
beforeAll(async () => {
  job.data.path = smallMnist(temporaryDirectory(cleanUp), 1000, 100);
  await cluster.start();
  for (let i = 0; i < 2; i++) await cluster.worker();
  digest = (await cluster.run(job)).digest;
});

it('one behind a slow link rests, and comes back when the link is good', async () => {
  const { client } = cluster;
  const redisUrl = new URL(cluster.redisUrl);
  const ports = [new URL(`http://${cluster.address}`), redisUrl].map(({ port }) => Number(port));
  const [coordinator, redis] = await Promise.all(
    ports.map((port, index) => Link.open(port, randomOf(index))),
  );
  redisUrl.port = String(redis!.port);
  for (const link of [coordinator!, redis!]) {
    cleanUp.add(() => link.close());
    link.weather = { latencyMs: 40, loss: 0, bytesPerSecond: 250_000 };
  }
  await cluster.worker(1, {
    sharedMemory: false,
    coordinator: `127.0.0.1:${coordinator!.port}`,
    redisUrl: redisUrl.href,
  });
  const id = await client.submit(JSON.stringify(job));
  const reasons = new Set<string>();
  let healed = false;
  let now = await client.get(id);
  while (!hasEnded(now.state)) {
    const { workers } = await client.status();
    for (const { resting } of workers) for (const { code, text } of resting) reasons.add(`${code}: ${text}`);
    if (reasons.size > 0 && !healed) {
      healed = true;
      for (const link of [coordinator!, redis!]) link.heal();
    }
    await new Promise((done) => setTimeout(done, 100));
    now = await client.get(id);
  }
  expect(now).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, digest });
  const [first] = reasons;
  expect(first).toMatch(/^resting-(late|slow): gets no shards of job unequal-\w+ for 2 s because it /);
  // Nothing is left of it.
  const { workers } = await client.status();
  expect(workers.map(({ resting }) => resting)).toEqual([[], [], []]);
});
