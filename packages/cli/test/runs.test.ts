/** `kasane runs` as people use it: which jobs, in which order, which columns, and what two of them differ in. */
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { SweepState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { inOrder, parseCondition } from '@kasane/protocol/internal/job/run-conditions';
import { checkJob } from '@kasane/protocol/job';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, TestCluster } from '../../../test/support/cluster.ts';
import { refuseCondition } from '../src/commands/runs/runs.ts';
import { kasane } from './support/kasane.ts';

describe('conditions', () => {
  it.each([
    ['a>=64', 64, true],
    ['a > 64', 64, false],
    ['a<=64', 64.5, false],
    ['a<1e-3', 0.0001, true],
    ['a>=98%', 0.981, true],
    ['a=64', 64, true],
    ['a==64', '64', true],
    ['a!=64', 63, true],
    ['a=adam', 'adam', true],
    ['a=adam', 'adamw', false],
    ['a~adam', 'adamw', true],
    ['a=x', ['w', 'x'], true],
    ['a~dense', [{ type: 'dense' }], true],
    ['a=true', true, true],
    ['a=', null, true],
    ['a!=', null, false],
    ['a!=', 0, true],
    ['a>0', null, false],
    ['a~x', null, false],
    ['a!=1', null, true],
    ['a>=2026-02', '2026-02-01T00:00:00Z', true],
    ['a<2026-02', '2026-02-01T00:00:00Z', false],
  ])('%s of %s', (text, value, isMet) => {
    const { column, meets } = parseCondition(text, refuseCondition);
    expect(column).toBe('a');
    expect(meets(value)).toBe(isMet);
  });

  it.each(['', 'a', '>3', 'a>', '=', 'a ~'])('%s is none', (text) => {
    expect(() => parseCondition(text, refuseCondition)).toThrow(/--filter/);
  });

  it('orders numbers, then text, and what has no value last in both directions', () => {
    const values = ['b', 10, null, 9, 'a'];
    expect([...values].sort((a, b) => inOrder(a, b, 1))).toEqual([9, 10, 'a', 'b', null]);
    expect([...values].sort((a, b) => inOrder(a, b, -1))).toEqual([10, 9, 'b', 'a', null]);
  });
});

describe('of a coordinator', () => {
  const cleanUp = new CleanUp();
  afterAll(() => cleanUp.run());
  const cluster = new TestCluster(cleanUp);
  const jobs = [
    { id: 'a', learningRate: 0.1, batch: 64, tags: ['base'], metrics: [0.5, 0.4] },
    { id: 'b', learningRate: 0.01, batch: 64, tags: ['base', 'night'], metrics: [0.7, 0.9] },
    { id: 'c', learningRate: 0.01, batch: 128, tags: [], metrics: [], sweep: 's' },
  ];
  const run = (...args: readonly string[]) => kasane(['runs', ...args, '--coordinator', cluster.address]);

  beforeAll(async () => {
    const store = new JobStore(cluster.state);
    const sweep = { id: 's', name: 's', spec: '{}', priority: 0, error: '', endedAt: 0, isCancelled: false };
    await store.sweeps.add({ ...sweep, state: SweepState.SWEEP_STATE_FAILED, submittedAt: 1 });
    for (const [index, { id, learningRate, batch, tags, metrics, sweep }] of jobs.entries()) {
      const preset = jobPresets['mnist-mlp']!;
      const training = { ...preset.training, epochs: 2, learningRate, batch };
      const spec = JSON.stringify(checkJob({ ...preset, tags, training }).spec);
      const trial = sweep ? { sweep, number: 1, decision: [] } : undefined;
      await store.add(id, 'mnist-mlp', spec, 1000 + index, 0, '', trial);
      if (metrics.length > 0) await store.start(id, 2000);
      const epochs = metrics.map((testMetric, at) => ({
        ...{ epoch: at + 1, trainLoss: 1, trainMetric: 0.5, testLoss: 1 },
        ...{ testMetric, seconds: 1, endedAt: 0, testMetrics: {} },
      }));
      await store.addCheckpoint(id, { step: 9, path: '', digest: '' }, [], epochs);
      const [state, endedAt] = [metrics.length > 0 ? 'SUCCEEDED' : 'FAILED', 5000] as const;
      await store.end(id, { state: JobState[`JOB_STATE_${state}`], error: '', endedAt, step: 9 });
    }
    await store.close();
    await cluster.start();
  });

  it('knows what each model costs', async () => {
    const { stdout } = await run(
      '--columns',
      'job,parameters,flops',
      '--sort',
      'job',
      '--limit',
      '1',
      '--csv',
    );
    const { model } = checkJob(jobPresets['mnist-mlp']);
    const parameters = model.parameters.reduce((sum, { size }) => sum + size, 0);
    const [head, line] = stdout.trim().split('\n');
    expect(head).toBe('job,parameters,flops');
    const [job, counted, flops] = line!.split(',');
    expect([job, counted]).toEqual(['a', String(parameters)]);
    // A product and a sum for each weight, and a few for biases and activations.
    expect(Number(flops)).toBeGreaterThan(1.9 * parameters);
    expect(Number(flops)).toBeLessThan(2.1 * parameters);
  });

  it('shows results and what differs, newest first', { timeout: 60_000 }, async () => {
    const { stdout, stderr, code } = await run();
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      [...['job', 'state', 'tags', 'training.batch', 'training.learningRate'], ...RESULTS],
      ['c', 'failed', '-', '128', '0.01', '-', '-', '0', '-'],
      ['b', 'succeeded', 'base night', '64', '0.01', '90.00 %', '90.00 %', '2', '3.0 s'],
      ['a', 'succeeded', 'base', '64', '0.1', '50.00 %', '40.00 %', '2', '3.0 s'],
      [''],
    ]);
    const swept = await run('--sweep', 's');
    expect(swept.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['job', 'state', ...RESULTS],
      ['c', 'failed', '-', '-', '0', '-'],
      [''],
    ]);
  });
  const RESULTS = ['bestMetric', 'testMetric', 'epoch', 'seconds'];

  it('filters, sorts, limits, and prints what programs read', { timeout: 60_000 }, async () => {
    const columns = ['--columns', 'job,training.learningRate,bestMetric,bestEpoch,tags'];
    const csv = await run(...columns, '--csv', '--sort', '-bestMetric');
    expect(csv.stdout).toBe(
      'job,training.learningRate,bestMetric,bestEpoch,tags\n' +
        'b,0.01,0.9,2,base night\na,0.1,0.5,1,base\nc,0.01,,,\n',
    );
    const json = await run('--json', ...columns, '--sort', 'bestMetric', '--limit', '1', '--tag', 'base');
    expect(JSON.parse(json.stdout)).toEqual([
      {
        job: 'a',
        values: { job: 'a', 'training.learningRate': 0.1, bestMetric: 0.5, bestEpoch: 1, tags: ['base'] },
      },
    ]);
    const both = ['--filter', 'training.batch<=64', '--filter', 'training.learningRate<0.05'];
    expect((await run('--csv', '--columns', 'job', ...both)).stdout).toBe('job\nb\n');
    expect(await run('--filter', 'state=running')).toMatchObject({ stdout: '', stderr: 'no job matches\n' });
  });

  it('says in what two jobs differ', { timeout: 60_000 }, async () => {
    const { stdout } = await run('diff', 'a', 'b');
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['JOB FILE', 'a', 'b'],
      ['tags', 'base', 'base night'],
      ['training.learningRate', '0.1', '0.01'],
      [''],
      ['RESULT', 'a', 'b'],
      ['testMetric', '40.00 %', '90.00 %'],
      ['bestMetric', '50.00 %', '90.00 %'],
      ['bestEpoch', '1', '2'],
      [''],
    ]);
    const json = await run('diff', 'b', 'c', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      jobs: ['b', 'c'],
      file: [{ key: 'tags' }, { key: 'training.batch', values: [64, 128] }],
      results: expect.arrayContaining([{ key: 'bestMetric', values: [0.9, null] }]),
    });
    expect((await run('diff', 'a', 'a')).stdout).toBe(
      'The job files are the same.\n\nThe results are the same.\n',
    );
  });

  it.each([
    [['--columns', 'training.batsh'], 2, "no job has 'training.batsh'; did you mean 'training.batch'"],
    [['--sort', '-bestMetrik'], 2, "--sort: no job has 'bestMetrik'; did you mean 'bestMetric'"],
    [['--filter', 'sate=failed'], 2, "--filter: no job has 'sate'; did you mean 'state'"],
    [['--filter', 'training.batch'], 2, "--filter: 'training.batch' is not a condition"],
    [['--filter', 'training.batch>many'], 2, 'expected a number behind >'],
    [['--sweep', 'nobody'], 66, "there is no sweep 'nobody'"],
    [['diff', 'a', 'nobody'], 66, "there is no job 'nobody'"],
    [['--csv', '--json'], 2, 'cannot be used with'],
  ])('kasane runs %s is refused', { timeout: 60_000 }, async (args, code, message) => {
    const { stderr, ...ended } = await run(...args);
    expect(ended).toEqual({ code, stdout: '' });
    expect(stderr).toContain(message);
  });
});
