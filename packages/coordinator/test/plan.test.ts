import type { Dataset } from '@kasane/data/dataset';
import { decodeFrame } from '@kasane/protocol/internal/wire/frame';
import { checkJob } from '@kasane/protocol/job';
import { describe, expect, it } from 'vitest';
import { DataRoutes, type Route } from '../src/run/data-routes.ts';
import { RunPlan } from '../src/run/plan.ts';
import { WorkerLines } from '../src/run/worker-lines.ts';

const job = checkJob({
  name: 'a',
  model: { preset: 'mnist-mlp' },
  training: { batch: 8 },
  evaluation: { shardSamples: 10 },
});
const part = (samples: number, gather: Dataset['gather']): Dataset => ({
  samples,
  input: { dtype: 'u8', shape: [96] },
  target: { dtype: 'i32', shape: [] },
  digest: '',
  gather,
});
const planOf = (gather: Dataset['gather']) =>
  new RunPlan('j', job, { train: part(20, gather), test: part(95, gather), preparation: {} });
const task = { kind: 'train', step: 0, shard: 0, attempt: 1, epoch: 0, first: 0, samples: 4 } as const;

describe('a plan', () => {
  it('cuts an evaluation into rounds that take no more bytes than allowed, or one shard', () => {
    const plan = planOf(() => {});
    // A sample takes 104 bytes, a shard of ten 1040.
    expect(plan.evaluationRounds(1e6)).toEqual([{ start: 0, end: 10 }]);
    expect(plan.evaluationRounds(4200).map(({ start, end }) => [start, end])).toEqual([
      [0, 4],
      [4, 8],
      [8, 10],
    ]);
    expect(plan.evaluationRounds(1)).toHaveLength(10);
  });

  it('makes groups of shards the tasks of a step, as the level was when it was first asked for', () => {
    const five = checkJob({
      name: 'a',
      model: { preset: 'mnist-mlp' },
      training: { batch: 12, shards: 5 },
    });
    const data = { train: part(28, () => {}), test: part(10, () => {}), preparation: {} };
    let level = 0;
    const plan = new RunPlan('j', five, data, () => level);
    const ends = (step: number) => plan.tasks(step).map(({ end }) => end);
    const sizes = (step: number) =>
      plan.tasks(step).map((_, shard) => plan.shardsOf({ kind: 'train', step, shard }));
    expect([ends(0), sizes(0)]).toEqual([[3, 6, 8, 10, 12], Array(5).fill(undefined)]);
    level = 1;
    expect([ends(0), ends(1)]).toEqual([
      [3, 6, 8, 10, 12],
      [18, 22, 24],
    ]);
    expect(sizes(1)).toEqual([[3, 3], [2, 2], undefined]);
    level = 2;
    // Of an epoch's last batch, of four samples, a shard is one.
    expect([ends(2), sizes(2), ends(1)]).toEqual([[28], [[1, 1, 1, 1]], [18, 22, 24]]);
    const second = { kind: 'train', step: 1, shard: 1, epoch: 0 } as const;
    expect([plan.range(second), plan.samplesOf(second), plan.indices(second).length]).toEqual([
      { start: 18, end: 22 },
      4,
      4,
    ]);
    expect(() => plan.range({ ...second, shard: 3 })).toThrow('step 1 has no train shard 3');
    expect(plan.range({ kind: 'evaluate', step: 1, shard: 0 })).toEqual({ start: 0, end: 10 });
  });

  it('makes no groups of what is rounded, of rounds of local steps, or of samples that take much memory', () => {
    const highest = (training: object, exchange: object, bytes = 96) => {
      const job = checkJob({ name: 'a', model: { preset: 'mnist-mlp' }, training, exchange });
      const large = { ...part(1000, () => {}), input: { dtype: 'u8', shape: [bytes] } as const };
      return new RunPlan('j', job, { train: large, test: large, preparation: {} }).highestLevel;
    };
    expect(highest({ batch: 512, shards: 128 }, {})).toBe(5);
    expect(highest({ batch: 512, shards: 128 }, { precision: 'int8' })).toBe(0);
    expect(highest({ batch: 512, shards: 128 }, { precision: 'bf16' })).toBe(0);
    expect(highest({ batch: 512 }, { every: 3, replicas: 4 })).toBe(0);
    // Shards of 2 and of 32 MiB.
    expect(highest({ batch: 128, shards: 8 }, {}, 1 << 17)).toBe(2);
    expect(highest({ batch: 128, shards: 8 }, {}, 1 << 21)).toBe(0);
  });

  it('cuts an epoch into rounds of local steps, whose learning rates are those of the steps', () => {
    const local = checkJob({
      name: 'a',
      model: { preset: 'mnist-mlp' },
      training: { epochs: 2, batch: 8, learningRate: 1, schedule: { type: 'step', every: 5, factor: 0.5 } },
      exchange: { every: 3, replicas: 2 },
    });
    const data = { train: part(70, () => {}), test: part(10, () => {}), preparation: {} };
    const plan = new RunPlan('j', local, data);
    // Nine steps of 8 samples, the last of 6.
    expect([plan.stepsPerEpoch, plan.localStepsPerEpoch, plan.totalSteps]).toEqual([3, 9, 6]);
    expect(plan.tasks(0)).toEqual([
      { start: 0, end: 12 },
      { start: 12, end: 24 },
    ]);
    expect(plan.tasks(5)).toEqual([
      { start: 48, end: 59 },
      { start: 59, end: 70 },
    ]);
    expect(plan.trainSamples).toEqual([4, 3]);
    expect([0, 1, 2, 3, 4, 5].map((round) => plan.learningRate(round))).toEqual(
      [0, 3, 6, 9, 12, 15].map((step) => 0.5 ** Math.floor(step / 5)),
    );
    // Few where they are large, but the round after the one that is computed: workers hold their samples.
    const ahead = (every: number) => {
      const exchange = { ...local.spec.exchange, every };
      const long = { ...local, spec: { ...local.spec, exchange } };
      return new RunPlan('j', long, data).stepsAhead({ queuedTasks: 10_000, stagedBytes: 1e12 }, true);
    };
    expect([3, 10_000, 100_000].map(ahead)).toEqual([16, 8, 2]);
  });

  it('hands out as many steps ahead as tasks and bytes allow, but one', () => {
    const plan = planOf(() => {});
    const { shards, batch } = job.spec.training;
    const step = 104 * batch;
    const ahead = (queuedTasks: number, stagedBytes = 1e9, direct = false) =>
      plan.stepsAhead({ queuedTasks, stagedBytes }, direct);
    expect([10_000, 3 * shards, 3 * shards - 1, 1].map((tasks) => ahead(tasks))).toEqual([16, 3, 2, 1]);
    expect([3 * step, 3 * step - 1, 1].map((bytes) => ahead(10_000, bytes))).toEqual([3, 2, 1]);
    // Samples that workers read themselves are not staged.
    expect(ahead(10_000, 1, true)).toBe(16);
  });

  it('a batch says which samples it has', () => {
    const plan = planOf(() => {});
    const { header, payload } = decodeFrame(plan.batch(task) as Buffer);
    expect(header).toMatchObject({ kind: 'batch', samples: 4 });
    expect(new Uint32Array(new Uint8Array(payload).buffer, 0, 4)).toEqual(plan.indices(task));
  });

  it('whatever goes wrong in reading is an error of the data', async () => {
    const plan = planOf(() => Promise.reject(new Error('EIO')));
    await expect(plan.batch(task)).rejects.toMatchObject({ name: 'DataError', message: 'EIO' });
  });
});

describe('who reads the data itself', () => {
  const said: string[] = [];
  const log = { info: () => {}, warn: (_about: object, line: string) => said.push(line) } as never;
  const routesOf = (route: Route, ids: string[]) =>
    new DataRoutes(route, { all: () => ids.map((id) => ({ id })) as never }, log, new WorkerLines(log));

  it('counts only when every worker does', () => {
    const ids = ['a', 'b'];
    const routes = routesOf('auto', ids);
    expect(routes.direct).toBe(false);
    routes.reported('a', true, '');
    expect(routes.direct).toBe(false);
    routes.reported('b', true, '');
    expect(routes.direct).toBe(true);
    ids.push('c');
    expect(routes.direct).toBe(false);
    routes.reported('c', false, 'no such folder');
    expect(routes.direct).toBe(false);
    ids.pop();
    routes.left('c');
    expect(routes.direct).toBe(true);
    routes.reported('a', false, 'gone');
    expect(routes.direct).toBe(false);
    expect(said).toEqual([]);
  });

  it('never for staged or without workers; direct says who does not', () => {
    const staged = routesOf('staged', ['a']);
    staged.reported('a', true, '');
    expect(staged.direct).toBe(false);
    expect(routesOf('auto', []).direct).toBe(false);
    routesOf('direct', ['a']).reported('a', false, 'no such folder');
    expect(said.join()).toMatch(/worker a .*staged: no such folder/);
  });
});
