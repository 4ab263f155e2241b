/** Jobs that share the workers: by priority, fairly among equals, and each with the bits that it has alone. */
import { once } from 'node:events';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { hasEnded } from '@kasane/protocol/job-state';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
const seeds = [1, 2, 3];
/** Digests that the jobs of these seeds have alone. */
const alone = new Map<number, string>();
let path = '';
const job = (seed: number, epochs = 4) =>
  JSON.stringify({
    name: `seed-${seed}`,
    model: { preset: 'mnist-mlp' },
    data: { path },
    training: { epochs, batch: 10, shards: 2, seed },
    evaluation: { shardSamples: 100 },
  });
const STEPS = 4 * 75;

beforeAll(async () => {
  await cluster.start();
  path = smallMnist(temporaryDirectory(cleanUp), 750, 200);
  const worker = await cluster.worker();
  for (const seed of seeds) {
    const { digest, step } = await cluster.run(JSON.parse(job(seed)));
    expect(step).toBe(STEPS);
    alone.set(seed, digest);
  }
  await stop(worker);
});
afterAll(() => cleanUp.run());

/** Submits jobs while nobody computes, so that all of them are there when the first worker comes. */
async function submit(
  ...jobs: readonly (readonly [seed: number, priority: number, epochs?: number])[]
): Promise<string[]> {
  const { client } = cluster;
  const ids: string[] = [];
  for (const [seed, priority, epochs] of jobs) ids.push(await client.submit(job(seed, epochs), priority));
  client.close();
  return ids;
}

/** Watches jobs until they have ended; calls `look` with each state of one that is seen. */
async function ended(ids: readonly string[], look: (job: Job) => unknown = () => {}): Promise<Job[]> {
  const { client } = cluster;
  await Promise.all(
    ids.map(async (id) => {
      for await (const now of client.watch(id)) await look(now);
    }),
  );
  const jobs = await Promise.all(ids.map((id) => client.get(id)));
  client.close();
  return jobs;
}

const stop = async (worker: Awaited<ReturnType<TestCluster['worker']>>) => {
  const gone = once(worker, 'exit');
  worker.kill('SIGKILL');
  await gone;
};

describe('several jobs', () => {
  it('of different priorities end in that order, with the bits that they have alone', async () => {
    const ids = await submit([1, -5], [2, 10], [3, 0]);
    const { client } = cluster;
    const list = await client.list();
    const open = list.filter(({ id }) => ids.includes(id));
    expect(open.map(({ priority }) => priority)).toEqual([0, 10, -5]);
    const worker = await cluster.worker();
    const [low, high, middle] = await ended(ids);
    client.close();
    await stop(worker);
    for (const { error } of [low!, high!, middle!]) expect(error).toBe('');
    expect([low!, high!, middle!].map(({ digest }) => digest)).toEqual(seeds.map((seed) => alone.get(seed)));
    expect(high!.endedAt).toBeLessThan(middle!.endedAt);
    expect(middle!.endedAt).toBeLessThan(low!.endedAt);
  });

  it('a later one of higher priority goes first from the next step on, and so does one that is raised', async () => {
    const worker = await cluster.worker();
    const { client } = cluster;
    const [low] = await submit([1, 0]);
    for await (const now of client.watch(low!)) if (now.step >= 5) break;
    const [high] = await submit([2, 1]);
    /** Steps of the lower one that were seen while the higher one computed. */
    const seen: number[] = [];
    const why = new Set<string>();
    for await (const now of client.watch(high!)) {
      if (now.state !== JobState.JOB_STATE_RUNNING || now.step === 0) continue;
      if (now.step > STEPS / 2) break;
      const other = await client.get(low!);
      if ((await client.get(high!)).step > STEPS / 2) break;
      seen.push(other.step);
      if (other.waitingFor) why.add(other.waitingFor.text);
    }
    await client.setPriority(low!, 2);
    const [first, second] = await ended([low!, high!]);
    client.close();
    await stop(worker);
    // One step may have been out when the other job came.
    expect(Math.max(...seen) - Math.min(...seen)).toBeLessThanOrEqual(1);
    expect([...why]).toContain(`job ${high} has a higher priority (1)`);
    expect(first!.endedAt).toBeLessThan(second!.endedAt);
    expect([first!.digest, second!.digest]).toEqual([alone.get(1), alone.get(2)]);
  });

  it('of one priority take turns', async () => {
    const ids = await submit([1, 0], [2, 0]);
    const worker = await cluster.worker();
    /** How far each was when the first of them ended. */
    let steps: number[] | undefined;
    const { client } = cluster;
    const jobs = await ended(ids, async (now) => {
      if (!hasEnded(now.state) || steps) return;
      steps = [];
      steps = (await Promise.all(ids.map((id) => client.get(id)))).map(({ step }) => step);
    });
    client.close();
    await stop(worker);
    expect(Math.min(...steps!)).toBeGreaterThan(STEPS / 4);
    expect(jobs.map(({ digest }) => digest)).toEqual([alone.get(1), alone.get(2)]);
  });

  it('more than can be open wait; one of higher priority takes the place of the last', async () => {
    const ids = await submit([1, 0, 1], [2, 0, 1], [3, 0, 1], [1, 0, 1]);
    const [urgent] = await submit([2, 3, 1]);
    const { client } = cluster;
    for await (const now of client.watch(urgent!)) if (now.waitingFor?.code === 'turns') break;
    const last = await client.get(ids[3]!);
    expect(last.state).toBe(JobState.JOB_STATE_QUEUED);
    expect(last.waitingFor?.text).toContain('4 jobs are ahead of it: ');
    expect(last.waitingFor?.args).toContain(`"${urgent}"`);
    client.close();
    const worker = await cluster.worker();
    const jobs = await ended([...ids, urgent!]);
    await stop(worker);
    const digests = jobs.map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(3);
    expect(digests.slice(3)).toEqual(digests.slice(0, 2));
    expect(Math.min(...jobs.map(({ endedAt }) => endedAt))).toBe(jobs[4]!.endedAt);
  });
});
