import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backUp } from '../src/store/backup.ts';
import type { LedgerRow } from '../src/store/ledger-rows.ts';
import { claimState } from '../src/store/state-lock.ts';
import { type JobPage, JobStore } from '../src/store/store.ts';

let directory: string;
let store: JobStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kasane-store-'));
  store = new JobStore(directory);
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true });
});

it('is for its owner alone, also in a directory that is open to all', async () => {
  const open = join(directory, 'open');
  mkdirSync(open, { mode: 0o755 });
  const release = claimState(open);
  const other = new JobStore(open);
  await other.add('job', 'job', '{}', 0);
  await backUp(open, join(directory, 'copy'));
  const modes = [open, join(directory, 'copy')].flatMap((folder) =>
    readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mode & 0o77] as const),
  );
  await other.close();
  release();
  expect(modes.map(([name]) => name)).toEqual(
    expect.arrayContaining(['kasane.sqlite', 'kasane.sqlite-wal', 'kasane.sqlite-shm', 'kasane.lock']),
  );
  expect(modes.filter(([, others]) => others !== 0)).toEqual([]);
});

const row = (step: number, shard: number): LedgerRow => ({
  step,
  shard,
  epoch: 0,
  first: shard * 10,
  count: 10,
  worker: 'w',
  attempt: 1,
  samplesDigest: 0xffffffff,
});
const epoch = (number: number) => ({
  epoch: number,
  trainLoss: 1,
  trainMetric: 0.5,
  testLoss: 1,
  testMetric: 0.5,
  seconds: 1,
  endedAt: 0,
  testMetrics: { f1: 0.5 },
});

describe('JobStore', () => {
  it('keeps jobs across a restart, oldest open one first', () => {
    store.add('b', 'job', '{}', 2);
    store.add('a', 'job', '{}', 1);
    store.add('c', 'job', '{}', 3);
    store.end('a', { state: JobState.JOB_STATE_FAILED, error: 'no', endedAt: 9, step: 4 });
    store.close();
    store = new JobStore(directory);
    expect(store.open().map((job) => job.id)).toEqual(['b', 'c']);
    expect(store.list(2).jobs.map((job) => job.id)).toEqual(['c', 'b']);
    expect(store.get('a')).toMatchObject({ error: 'no', endedAt: 9, step: 4 });
  });

  it('lists the trials of a sweep alone, and as many as their files allow', async () => {
    const trial = (sweep: string, number: number) => ({ sweep, number, decision: [] });
    await store.add('other', 'job', '{"long":true}', 1);
    for (const [index, id] of ['x', 'y', 'z'].entries())
      await store.add(id, 'job', '12345678', 2, 0, '', trial('s', index + 1));
    await store.add('w', 'job', '{}', 3, 0, '', trial('t', 1));
    const ids = (page: JobPage) => page.jobs.map(({ id }) => id);
    expect(ids(store.list(9, { sweep: 's' }))).toEqual(['z', 'y', 'x']);
    expect(store.list(9, { sweep: 's' }).last).toBeUndefined();
    const two = store.list(9, { sweep: 's', specs: 16 });
    expect(ids(two)).toEqual(['z', 'y']);
    const rest = store.list(9, { sweep: 's', specs: 16, after: two.last! });
    expect({ ids: ids(rest), last: rest.last }).toEqual({ ids: ['x'], last: undefined });
    // One that is too long by itself is listed all the same.
    expect(ids(store.list(9, { specs: 1 }))).toEqual(['w']);
    expect(ids(store.list(2, { sweep: 's' }))).toEqual(['z', 'y']);
  });

  it('has a record as it was read until something of the job changes, and then as it is', () => {
    const changes: Readonly<Record<string, () => void>> = {
      start: () => store.start('j', 5),
      setSteps: () => store.setSteps('j', 9),
      addCheckpoint: () =>
        store.addCheckpoint('j', { step: 3, path: '/p', digest: 'd' }, [row(0, 0)], [epoch(1)]),
      requeue: () => store.requeue('j'),
      setPriority: () => store.setPriority('j', 7),
      pause: () => store.pause('j'),
      reopen: () => store.reopen('j', '{"a":1}', 1),
      setModel: () => store.setModel('j', join(directory, 'model'), 'sha', 2),
      rewind: () => store.rewind('j', 0, 0),
      end: () => store.end('j', { state: JobState.JOB_STATE_FAILED, error: 'no', endedAt: 9, step: 4 }),
    };
    store.add('j', 'job', '{}', 1);
    store.add('other', 'job', '{}', 2);
    const other = store.get('other');
    for (const [name, change] of Object.entries(changes)) {
      const before = store.get('j');
      expect(store.list(1).jobs[0], name).toBe(other);
      change();
      expect(store.get('j'), name).not.toBe(before);
      const fresh = new JobStore(directory);
      expect(store.list(9), name).toEqual(fresh.list(9));
      expect(store.open(), name).toEqual(fresh.open());
      fresh.close();
    }
    expect(store.get('other')).toBe(other);
    store.requeue('j');
    expect(store.get('j')!.state).toBe(JobState.JOB_STATE_FAILED);
  });

  it('counts a shard once: a second row for it undoes the whole checkpoint', async () => {
    store.add('j', 'job', '{}', 1);
    store.addCheckpoint('j', { step: 1, path: '/p1', digest: 'd' }, [row(0, 0), row(0, 1)]);
    const again = () =>
      store.addCheckpoint('j', { step: 2, path: '/p2', digest: 'd' }, [row(1, 0), row(0, 1)], [epoch(1)]);
    await expect(again()).rejects.toThrow(/UNIQUE/);
    expect(store.ledger('j')).toEqual([row(0, 0), row(0, 1)]);
    expect(store.checkpoints('j')).toEqual([{ step: 1, path: '/p1', digest: 'd' }]);
    expect(store.epochs('j')).toEqual([]);
  });

  it('rewinds ledger, epochs and checkpoints together', () => {
    store.add('j', 'job', '{}', 1);
    const matrix = (epoch: number) => ({ epoch, classes: ['a', 'b'], counts: [1, 2, 3, epoch] });
    store.addCheckpoint('j', { step: 1, path: '/p1', digest: 'd' }, [row(0, 0)], [epoch(1)], matrix(1));
    expect(store.confusion('j')).toEqual(matrix(1));
    store.addCheckpoint('j', { step: 2, path: '/p2', digest: 'd' }, [row(1, 0)], [epoch(2)], matrix(2));
    expect(store.confusion('j')).toEqual(matrix(2));
    store.rewind('j', 2, 2);
    expect(store.confusion('j')).toEqual(matrix(2));
    store.rewind('j', 1, 1);
    expect(store.confusion('j')).toBeUndefined();
    expect(store.ledger('j').map((r) => r.step)).toEqual([0]);
    expect(store.epochs('j').map((e) => e.epoch)).toEqual([1]);
    expect(store.checkpoints('j').map((c) => c.step)).toEqual([1]);
  });

  it('forgets in the order in which jobs ended, though the clock was set back', async () => {
    for (const [index, id] of ['first', 'second', 'back'].entries()) {
      store.add(id, 'job', '{}', index + 1);
      store.addCheckpoint(id, { step: 3, path: `/${id}`, digest: 'd' }, [row(0, 0)], []);
      const endedAt = id === 'back' ? 5 : 10 + index;
      store.end(id, { state: JobState.JOB_STATE_SUCCEEDED, error: '', endedAt, step: 4 });
    }
    expect(await store.forget(2)).toEqual(['/first']);
    expect(await store.forget(1)).toEqual(['/second']);
    expect(store.ledger('back')).toHaveLength(1);
  });

  it('forgets what old jobs leave behind, but for their record, epochs and weights', async () => {
    for (const [index, id] of ['oldest', 'older', 'newest', 'open'].entries()) {
      store.add(id, 'job', '{}', index);
      store.addCheckpoint(id, { step: 2, path: `/${id}`, digest: 'd' }, [row(0, 0), row(0, 1)], [epoch(1)]);
      store.setMetrics(id, { points: [], gradients: [], activations: [] });
      store.setModel(id, `/${id}/model`, 'd', 1);
      if (id !== 'open')
        store.end(id, { state: JobState.JOB_STATE_SUCCEEDED, error: '', endedAt: 10 + index, step: 2 });
    }
    expect((await store.forget(1)).toSorted()).toEqual(['/older', '/oldest']);
    expect(await store.forget(1)).toEqual([]);
    for (const id of ['oldest', 'older']) {
      expect([store.ledger(id), store.checkpoints(id), store.metricsHistory(id).points]).toEqual([
        [],
        [],
        [],
      ]);
      expect(store.get(id)).toMatchObject({ model: `/${id}/model` });
      expect(store.epochs(id)).toHaveLength(1);
    }
    for (const id of ['newest', 'open']) expect(store.ledger(id)).toHaveLength(2);
    expect(await store.forget(0)).toEqual(['/newest']);
  });

  it('has numbers that are not finite as none, not as 0, also those that an earlier version kept', async () => {
    store.add('a', 'job', '{}', 1);
    const testMetrics = { rmse: Number.POSITIVE_INFINITY, r2: 0.25 };
    await store.addCheckpoint(
      'a',
      { step: 1, path: '/a', digest: 'd' },
      [],
      [{ ...epoch(1), testLoss: Number.POSITIVE_INFINITY, testMetrics }],
    );
    expect(store.epochs('a')).toMatchObject([{ testLoss: Number.POSITIVE_INFINITY }]);
    expect(store.epochs('a')[0]!.testMetrics).toEqual({ r2: 0.25 });
    const of = { layer: 'x', gradient: undefined, weights: undefined, activations: undefined };
    const layers = [{ ...of, activationRms: Number.POSITIVE_INFINITY, deadUnits: 0, units: 1 }];
    await store.setMetrics('a', { points: [], gradients: [], activations: [{ step: 1, layers }] });
    expect(store.metricsHistory('a').activations[0]!.layers[0]!.activationRms).toBeNaN();
  });

  it('finds its files where the folder is now, also those that an earlier version named whole', () => {
    store.add('a', 'job', '{}', 1);
    store.addCheckpoint('a', { step: 5, path: join(directory, 'jobs/a/checkpoint-5'), digest: 'd' }, []);
    store.setModel('a', join(directory, 'jobs/a/model'), 'e', 1);
    store.close();
    const file = join(directory, 'kasane.sqlite');
    const database = new DatabaseSync(file);
    database.exec(`UPDATE checkpoints SET path = '${directory}/jobs/a/checkpoint-5'`);
    database.close();
    const moved = join(directory, 'moved');
    mkdirSync(moved);
    renameSync(file, join(moved, 'kasane.sqlite'));
    store = new JobStore(moved, { origin: directory });
    expect(store.checkpoints('a').map(({ path }) => path)).toEqual([join(moved, 'jobs/a/checkpoint-5')]);
    expect(store.get('a')?.model).toBe(join(moved, 'jobs/a/model'));
    expect(store.files()).toEqual(['jobs/a/checkpoint-5', 'jobs/a/model']);
  });
});
