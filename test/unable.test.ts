/** A worker that cannot take a job says so: the job goes to others, or fails with its words. Nobody waits for ever. */
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { checkJob } from '@kasane/protocol/job';
import { Unable } from '@kasane/worker/internal/slots/slot';
import { startWorker } from '@kasane/worker/worker';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
/** Of slots that compute nothing. */
let memory: Float32Array;
let job: object;

beforeAll(async () => {
  await cluster.start();
  const path = smallMnist(temporaryDirectory(cleanUp), 320, 50);
  const { model } = checkJob({ name: 'm', model: { preset: 'mnist-mlp' } });
  memory = new Float32Array(model.parameterCount);
  job = { name: 'job', model: { preset: 'mnist-mlp' }, data: { path }, training: { epochs: 1, batch: 64 } };
});
afterAll(() => cleanUp.run());

/** A worker whose compute thread takes no job, with this reason. */
const unableWorker = (id: string, why: string) =>
  workerOf(id, { open: () => Promise.reject(new Unable(why)) });

/** A worker that computes by this slot. */
async function workerOf(id: string, more: object, coordinator = cluster.address) {
  const slot = {
    ...{ ready: Promise.resolve(), kernel: 'none', holds: undefined },
    open: async () => ({ holds: undefined }),
    ...{
      close: () => {},
      run: () => Promise.reject(new Error('it never runs')),
      arrived: () => {},
      update: async () => {},
    },
    ...more,
    ...{ abandon: () => {}, parameters: () => memory, gradients: () => memory, exchanged: () => memory },
  };
  const compute = { size: 1, busy: 0, all: [slot], acquire: async () => slot, release: () => {} };
  const worker = await startWorker({
    ...{ coordinator, id, log: pino({ level: 'silent' }) },
    compute: { ...compute, close: async () => {} },
  });
  await worker.connected;
  return worker;
}

it('alone, its words are why the job fails', async () => {
  const worker = await unableWorker('small', 'the model needs 5.0 GiB here');
  const { state, error } = await cluster.run(job);
  expect(state).toBe(JobState.JOB_STATE_FAILED);
  expect(error).toBe('step 1: no worker can compute the job: the model needs 5.0 GiB here (small)');
  await worker.close();
});

it('beside one that can, the job goes on without it', async () => {
  const small = await unableWorker('small', `it does not fit${'!'.repeat(10_000)}`);
  await cluster.worker(1);
  expect(await cluster.run(job)).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, error: '' });
  expect(small.state).toBe('connected');
  await small.close();
});

it('one that takes a job and never answers: the job fails in the end, with what was waited for', async () => {
  const patient = new TestCluster(cleanUp, { limits: { standstillSeconds: 2 } });
  await patient.start();
  const stuck = await workerOf('stuck', { run: () => new Promise(() => {}) }, patient.address);
  const { state, error } = await patient.run(job);
  expect(state).toBe(JobState.JOB_STATE_FAILED);
  expect(error).toMatch(
    /^no answer for 2 s, although 1 connected worker can compute the job: step 1: .*tasks? .+; check the workers' logs, or allow more time with --standstill-seconds/,
  );
  await stuck.close();
});
