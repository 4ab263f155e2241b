/** Sweeps on real clusters: the same trials and the same winner for any workers and through restarts, and what people do meanwhile. */

import { KasaneClient, type SweepWithTrials } from '@kasane/client/client';
import type { SweepFile } from '@kasane/client/internal/sweep-file';
import { SweepStore } from '@kasane/coordinator/internal/store/sweep-store';
import { SweepState, TrialState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
let data: string;
beforeAll(() => {
  data = smallMnist(temporaryDirectory(cleanUp), 600, 200);
});

const search: SweepFile['search'] = {
  metric: 'testAccuracy',
  sampler: 'random',
  trials: 5,
  atOnce: 2,
  seed: 3,
  halving: { eta: 2, minEpochs: 1 },
  parameters: {
    'training.learningRate': { log: [0.0001, 0.1] },
    'model.layers.1.units': { choices: [8, 16] },
  },
};
const file = (differs: Partial<SweepFile['search']> = {}, training: object = {}): SweepFile => ({
  name: 'small',
  model: {
    input: [28, 28],
    classes: 10,
    layers: [
      { type: 'flatten' },
      { type: 'dense', units: 8 },
      { type: 'relu' },
      { type: 'dense', units: 10 },
    ],
  },
  data: { format: 'idx', path: data },
  training: { epochs: 4, batch: 60, shards: 2, ...training },
  search: { ...search, ...differs },
});

/** A cluster with so many workers, and a client of it. */
async function clusterOf(workers: number, limits: { jobs?: number } = {}) {
  const own = new CleanUp();
  const cluster = new TestCluster(own, { limits });
  await cluster.start();
  for (let i = 0; i < workers; i++) await cluster.worker();
  const client = new KasaneClient({ coordinator: cluster.address });
  own.add(() => client.close());
  return { cluster, client, [Symbol.asyncDispose]: () => own.run() };
}

/** What must not depend on machines: what was tried, what came of it, and the weights. */
async function resultOf(client: KasaneClient, { sweep, trials }: SweepWithTrials) {
  const jobs = await client.list();
  const digests = trials.map(({ job }) => jobs.find(({ id }) => id === job)?.digest);
  return {
    best: sweep.best?.number,
    trials: trials.map(({ number, assignment, state, epochs, value }, index) => ({
      ...{ number, assignment, state, epochs, value },
      digest: digests[index],
    })),
  };
}

/** Follows a sweep to its end. */
async function ended(client: KasaneClient, id: string): Promise<SweepWithTrials> {
  for await (const _ of client.sweep(id).watch());
  return client.sweep(id).get();
}

describe('the same trials, winner and weights', { timeout: 240_000 }, () => {
  let expected: Awaited<ReturnType<typeof resultOf>>;

  it('with one worker: losers are stopped, and lose their checkpoints', async () => {
    await using one = await clusterOf(1);
    const sweep = await one.client.submitSweep(file());
    const last = await ended(one.client, sweep.id);
    expect(last.sweep).toMatchObject({ state: SweepState.SWEEP_STATE_SUCCEEDED, trials: 5, failed: 0 });
    expected = await resultOf(one.client, last);
    const states = last.trials.map(({ state }) => state);
    expect(states).toContain(TrialState.TRIAL_STATE_STOPPED);
    expect(last.sweep.best).toMatchObject({ state: TrialState.TRIAL_STATE_SUCCEEDED, epochs: 4 });
    expect(new Set(last.trials.map(({ assignment }) => assignment)).size).toBe(5);
    const calls = one.cluster.client;
    try {
      for (const { job, number } of last.trials)
        expect((await calls.checkpoints(job)).length > 0).toBe(number === last.sweep.best!.number);
      const loser = last.trials.find(({ state }) => state === TrialState.TRIAL_STATE_STOPPED)!;
      const codes = (await calls.events(loser.job)).map(({ code }) => code);
      expect(codes.filter((code) => code.startsWith('trial'))).toEqual(
        expect.arrayContaining(['trial', 'trial-evaluated', 'trial-stopped']),
      );
      expect(codes.at(-1)).toBe('cancelled');
      expect(await calls.epochs(loser.job)).not.toEqual([]);
      expect(await calls.get(loser.job)).toMatchObject({ sweep: sweep.id, trial: loser.number });
    } finally {
      calls.close();
    }
  });

  it('with three workers, of which one is killed', async () => {
    await using three = await clusterOf(2);
    const victim = await three.cluster.worker();
    const sweep = await three.client.submitSweep(file());
    for await (const { trials } of sweep.watch())
      if (trials.filter(({ value }) => value !== undefined).length > 1) break;
    victim.kill('SIGKILL');
    expect(await resultOf(three.client, await ended(three.client, sweep.id))).toEqual(expected);
  });

  it('with two workers, and a coordinator that is restarted again and again', async () => {
    await using two = await clusterOf(2);
    const { id } = await two.client.submitSweep(file());
    for (let restarts = 0; restarts < 3; restarts++) {
      for await (const { trials } of two.client.sweep(id).watch())
        if (trials.filter(({ value }) => value !== undefined).length > restarts) break;
      await two.cluster.stopCoordinator();
      await two.cluster.startCoordinator();
    }
    expect(await resultOf(two.client, await ended(two.client, id))).toEqual(expected);
  });
});

it('the same with brackets, for one worker and for three', { timeout: 240_000 }, async () => {
  const halving = { eta: 2, minEpochs: 1, brackets: 3 };
  const results = [];
  for (const workers of [1, 3]) {
    await using some = await clusterOf(workers);
    const { id } = await some.client.submitSweep(file({ halving, trials: 7 }));
    results.push(await resultOf(some.client, await ended(some.client, id)));
  }
  expect(results[1]).toEqual(results[0]);
  // The third bracket trains to the end whatever comes of it.
  expect(
    results[0]!.trials.filter(({ state }) => state === TrialState.TRIAL_STATE_SUCCEEDED).length,
  ).toBeGreaterThan(1);
});

it('the same trials and front of two metrics, for any workers and through a restart', {
  timeout: 240_000,
}, async () => {
  const results = [];
  for (const workers of [1, 2, 3]) {
    await using some = await clusterOf(workers);
    const { id } = await some.client.submitSweep(
      file(
        { metric: ['testAccuracy', 'parameters'], sampler: 'evolution', trials: 8, halving: undefined },
        { epochs: 2 },
      ),
    );
    if (workers === 2) {
      for await (const { trials } of some.client.sweep(id).watch())
        if (trials.filter(({ value }) => value !== undefined).length > 2) break;
      await some.cluster.stopCoordinator();
      await some.cluster.startCoordinator();
    }
    const last = await ended(some.client, id);
    const front = last.trials.filter((trial) => trial.front);
    expect(last.sweep).toMatchObject({
      ...{
        state: SweepState.SWEEP_STATE_SUCCEEDED,
        metric: 'testAccuracy',
        minimize: false,
        front: front.length,
      },
      objectives: [
        { metric: 'testAccuracy', minimize: false },
        { metric: 'parameters', minimize: true },
      ],
    });
    const calls = some.cluster.client;
    try {
      for (const trial of last.trials)
        expect((await calls.checkpoints(trial.job)).length > 0).toBe(trial.front);
    } finally {
      calls.close();
    }
    results.push({
      ...(await resultOf(some.client, last)),
      further: last.trials.map(({ further, front }) => ({ further, front })),
    });
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
  const { best, trials, further } = results[0]!;
  // The network with 16 units has twice as many parameters, less the biases of the last layer.
  expect(new Set(further.map((each) => each.further[0]))).toEqual(new Set([6370, 12_730]));
  expect(trials[best! - 1]!.value).toBe(Math.max(...trials.map(({ value }) => value!)));
  expect(further[best! - 1]!.front).toBe(true);
});

describe('weights are handed on, the same for any workers and through restarts', { timeout: 240_000 }, () => {
  /** The results of one worker, of two with restarts, and of three of which one is killed. */
  async function results(searched: Partial<SweepFile['search']>, training: object) {
    const all = [];
    for (const workers of [1, 2, 3]) {
      await using some = await clusterOf(workers - (workers === 3 ? 1 : 0));
      const victim = workers === 3 ? await some.cluster.worker() : undefined;
      const { id } = await some.client.submitSweep(file({ halving: undefined, ...searched }, training));
      for (let restarts = 0; restarts < 2; restarts++) {
        for await (const { trials } of some.client.sweep(id).watch())
          if (trials.filter(({ value }) => value !== undefined).length > 2 + 3 * restarts) break;
        if (workers !== 2) continue;
        await some.cluster.stopCoordinator();
        await some.cluster.startCoordinator();
      }
      victim?.kill('SIGKILL');
      const last = await ended(some.client, id);
      expect(last.sweep).toMatchObject({ state: SweepState.SWEEP_STATE_SUCCEEDED, failed: 0 });
      const calls = some.cluster.client;
      const jobs = await calls.list(100, { sweep: id, withSpecs: true });
      calls.close();
      for (const { job, parent } of last.trials) {
        const { init } = JSON.parse(jobs.find((each) => each.id === job)!.spec) as { init?: string };
        expect(init).toBe(parent > 0 ? `job:${id}-${parent}` : undefined);
      }
      const { best, trials } = await resultOf(some.client, last);
      all.push({
        best,
        trials: trials.map((each, index) => ({ ...each, parent: last.trials[index]!.parent })),
      });
    }
    expect(all[1]).toEqual(all[0]);
    expect(all[2]).toEqual(all[0]);
    return all[0]!.trials;
  }

  it('by generations of a population', async () => {
    const trials = await results(
      {
        ...{ sampler: 'population', population: 4, trials: 12 },
        parameters: {
          'training.learningRate': { log: [0.0001, 0.1] },
          'training.optimizer.weightDecay': { log: [0.0001, 0.1] },
        },
      },
      { epochs: 1, optimizer: { type: 'adamw' } },
    );
    expect(trials.slice(0, 4).every(({ parent }) => parent === 0)).toBe(true);
    for (const [generation, from] of [[1, 0] as const, [2, 4] as const]) {
      const parents = trials.slice(4 * generation, 4 * generation + 4).map(({ parent }) => parent - 1);
      // Three go on, and the worst starts from the best.
      const values = trials.slice(from, from + 4).map(({ value }) => value!);
      const own = parents.filter((parent, member) => parent === from + member);
      expect(own).toHaveLength(3);
      const other = parents.find((parent, member) => parent !== from + member)!;
      expect(values[other - from]).toBe(Math.max(...values));
    }
    expect(trials[8]!.value).toBeGreaterThan(trials[0]!.value!);
  });

  it('by evolution, as far as shapes fit', async () => {
    const layers = (units: number) => [
      { type: 'flatten' },
      ...(units > 0 ? [{ type: 'dense', units }, { type: 'relu' }] : []),
      { type: 'dense', units: 10 },
    ];
    const trials = await results(
      {
        ...{ sampler: 'evolution', inherit: true, trials: 12 },
        parameters: {
          'model.layers': { choices: [layers(0), layers(8), layers(16)] },
          'training.learningRate': { log: [0.0001, 0.1] },
        },
      },
      { epochs: 1 },
    );
    const parents = trials.map(({ parent }) => parent);
    expect(parents.slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
    // Of what has one layer, nothing fits what has two: such a child has no parent.
    const oneLayer = (trial: number) =>
      (JSON.parse(trials[trial]!.assignment) as { 'model.layers': unknown[] })['model.layers'].length === 2;
    for (const [index, parent] of parents.entries())
      if (parent > 0) expect(oneLayer(index)).toBe(oneLayer(parent - 1));
    expect(parents.slice(5).some((parent) => parent > 0)).toBe(true);
    expect(parents.slice(5).some((parent) => parent === 0)).toBe(true);
  });
});

it('a job starts from the weights of another by its ID, which stays until then', {
  timeout: 120_000,
}, async () => {
  await using one = await clusterOf(1);
  const { client } = one;
  const { search: _, ...job } = file({}, { epochs: 1 });
  const first = await client.submit(job);
  await first.result();
  const second = await client.submit({
    ...job,
    init: `job:${first.id}`,
    training: { epochs: 300, batch: 60 },
  });
  await expect(client.job(first.id).delete()).rejects.toMatchObject({
    code: 'JOB_STATE',
    message: expect.stringContaining(`job ${second.id} starts from the weights of job ${first.id}`),
  });
  await expect(client.submit({ ...job, init: `job:${second.id}` })).rejects.toMatchObject({
    code: 'JOB_INVALID',
    message: `init: job ${second.id} has no final weights: it has not succeeded`,
  });
  await second.cancel();
  await client.job(first.id).delete();
  await expect(client.submit({ ...job, init: `job:${first.id}` })).rejects.toMatchObject({
    code: 'JOB_INVALID',
    message: `init: there is no job '${first.id}' on this coordinator; list its jobs with \`kasane jobs\``,
  });
});

describe('what people do meanwhile', { timeout: 120_000 }, () => {
  const own = new CleanUp();
  const cluster = new TestCluster(own);
  let client: KasaneClient;
  beforeAll(async () => {
    await cluster.start();
    await cluster.worker();
    client = new KasaneClient({ coordinator: cluster.address });
    own.add(() => client.close());
  });
  afterAll(() => own.run());

  /** Waits until a sweep is so. */
  async function until(id: string, isSo: (now: SweepWithTrials) => boolean): Promise<SweepWithTrials> {
    for await (const now of client.sweep(id).watch()) if (isSo(now)) return now;
    throw new Error('the sweep has ended');
  }

  it('a trial that is paused by hand holds the sweep up, which says so', async () => {
    const { id } = await client.submitSweep(file({ trials: 3 }, { epochs: 60 }));
    const { trials } = await until(id, (now) => now.trials.length > 0);
    const job = client.job(trials[0]!.job);
    await job.pause();
    const { sweep } = await until(id, (now) => now.sweep.waitingFor !== undefined);
    expect(sweep.waitingFor).toMatchObject({
      code: 'trial-paused',
      text: `trial 1 is paused; resume it with \`kasane resume ${job.id}\``,
    });
    await job.resume();
    const last = await ended(client, id);
    expect(last.sweep).toMatchObject({ state: SweepState.SWEEP_STATE_SUCCEEDED, failed: 0, trials: 3 });
  });

  it('a trial that the sweep has paused is not resumed by hand', async () => {
    // One of four goes on after the first epoch: the others wait until the sweep ends.
    const halving = { eta: 4, minEpochs: 1 };
    const { id } = await client.submitSweep(file({ trials: 4, atOnce: 4, halving }, { epochs: 200 }));
    const { trials } = await until(id, (now) => now.trials.some(({ epochs }) => epochs > 1));
    const held = client.job(trials.find(({ epochs }) => epochs === 1)!.job);
    expect((await held.get()).waitingFor?.code).toBe('awaits-promotion');
    await expect(held.resume()).rejects.toMatchObject({
      code: 'JOB_STATE',
      message: expect.stringContaining(`of sweep ${id}, which decides whether it continues`),
    });
    await client.sweep(id).cancel();
  });

  it('a trial that is cancelled by hand has failed, and the sweep goes on', async () => {
    const { id } = await client.submitSweep(file({ trials: 3, halving: undefined }, { epochs: 60 }));
    const { trials } = await until(id, (now) => now.trials.length > 1);
    await client.job(trials[1]!.job).cancel();
    const { sweep, trials: last } = await ended(client, id);
    expect(sweep).toMatchObject({ state: SweepState.SWEEP_STATE_SUCCEEDED, succeeded: 2, failed: 1 });
    expect(last[1]).toMatchObject({ error: 'its job was cancelled', value: undefined });
    expect(sweep.best!.number).not.toBe(2);
    // Its jobs are anybody's now.
    await client.job(last[1]!.job).resume();
    await client.job(last[1]!.job).cancel();
  });

  it('is cancelled with its trials, once', async () => {
    const handle = await client.submitSweep(file({}, { epochs: 100 }));
    const { trials } = await until(handle.id, (now) => now.trials.length > 1);
    expect((await handle.cancel()).state).toBe(SweepState.SWEEP_STATE_CANCELLED);
    for (const { job } of trials) expect(await client.job(job).state()).toBe('cancelled');
    await expect(handle.cancel()).rejects.toMatchObject({
      code: 'JOB_STATE',
      message: `sweep ${handle.id} has already ended (cancelled)`,
    });
    await expect(handle.result()).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
  });

  it('fails with the reason of the first trial when all fail, and tells of one that does', async () => {
    const parameters = (...choices: number[]) => ({ 'training.learningRate': { choices } });
    const sgd = { optimizer: { type: 'sgd' } };
    const some = await client.submitSweep(
      file({ parameters: parameters(0.01, 1e30), sampler: 'grid', trials: undefined }, sgd),
    );
    const { sweep, trials } = await ended(client, some.id);
    expect(sweep).toMatchObject({ state: SweepState.SWEEP_STATE_SUCCEEDED, failed: 1 });
    expect(trials[1]!.error).toContain('finite');
    const all = await client.submitSweep(
      file({ parameters: parameters(1e29, 1e30), sampler: 'grid', trials: undefined }, sgd),
    );
    const last = await ended(client, all.id);
    expect(last.sweep).toMatchObject({ state: SweepState.SWEEP_STATE_FAILED, failed: 2, best: undefined });
    expect(last.sweep.error).toMatch(/^all trials failed; trial 1: .*finite/);
  });

  it('lists sweeps, and refuses what is none', async () => {
    const all = await client.listSweeps();
    expect(all.length).toBeGreaterThan(4);
    expect(all.every(({ submittedAt }, i) => i === 0 || submittedAt <= all[i - 1]!.submittedAt)).toBe(true);
    const refused = (submitted: Promise<unknown>, code: string, message: string) =>
      expect(submitted).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    await refused(client.sweep('x').get(), 'SWEEP_NOT_FOUND', "there is no sweep 'x'");
    await refused(client.sweep('x').cancel(), 'SWEEP_NOT_FOUND', 'kasane sweeps');
    const { search: _, ...job } = file();
    await refused(client.submitSweep(job as never), 'JOB_INVALID', 'search is missing');
    await refused(client.submit(file() as never), 'JOB_INVALID', 'kasane sweep');
    const elsewhere = { ...file(), data: { format: 'idx', path: '/nowhere' } } as SweepFile;
    await refused(client.submitSweep(elsewhere), 'DATA_INVALID', '/nowhere');
  });
});

it('decides by arrival, restarted or not, and leaves checkpoints', { timeout: 120_000 }, async () => {
  await using two = await clusterOf(2);
  const { id } = await two.client.submitSweep(file({ order: 'arrival', keepCheckpoints: true }));
  for await (const { trials } of two.client.sweep(id).watch())
    if (trials.some(({ value }) => value !== undefined)) break;
  await two.cluster.stopCoordinator();
  await two.cluster.startCoordinator();
  const { sweep, trials } = await ended(two.client, id);
  expect(sweep).toMatchObject({ state: SweepState.SWEEP_STATE_SUCCEEDED, trials: 5, failed: 0 });
  const calls = two.cluster.client;
  try {
    for (const { job } of trials) expect((await calls.checkpoints(job)).length).toBeGreaterThan(0);
  } finally {
    calls.close();
  }
});

it('waits for room where no more jobs may be open, and says so', { timeout: 120_000 }, async () => {
  await using one = await clusterOf(1, { jobs: 1 });
  const { id } = await one.client.submitSweep(file({ trials: 3 }));
  const reasons = new Set<string | undefined>();
  for await (const { sweep } of one.client.sweep(id).watch()) reasons.add(sweep.waitingFor?.code);
  expect(reasons).toContain('jobs-full');
  expect((await one.client.sweep(id).get()).sweep.state).toBe(SweepState.SWEEP_STATE_SUCCEEDED);
});

it('trials compute no further while the disk does not take down what came of them', {
  timeout: 120_000,
}, async () => {
  await using one = await clusterOf(1);
  const { client } = one;
  const submit = () => client.submitSweep(file({ trials: 3 }));
  const quiet = await resultOf(client, await ended(client, (await submit()).id));
  const setOutcome = vi.spyOn(SweepStore.prototype, 'setOutcome');
  cleanUp.add(() => setOutcome.mockRestore());
  setOutcome.mockImplementation(async () => {
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  });
  const { id } = await submit();
  await vi.waitUntil(() => setOutcome.mock.calls.length > 5, { timeout: 60_000 });
  const { sweep, trials } = await client.sweep(id).get();
  expect(sweep.waitingFor?.code).toBe('disk');
  // Two at once, of ten steps an epoch.
  const jobs = (await client.list()).filter((job) => trials.some(({ job: trial }) => trial === job.id));
  expect(jobs.map(({ step }) => Math.floor(step / 10))).toEqual([1, 1]);
  expect(jobs.map(({ waitingFor }) => waitingFor?.code)).toEqual(['disk', 'disk']);
  setOutcome.mockRestore();
  expect(await resultOf(client, await ended(client, id))).toEqual(quiet);
});
