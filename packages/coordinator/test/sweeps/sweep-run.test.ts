/** What a sweep writes down when something other than its trials goes wrong: nothing that is not so. */
import { setTimeout as sleep } from 'node:timers/promises';
import { KasaneError } from '@kasane/protocol/errors';
import { SweepState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { checkSweep } from '@kasane/protocol/internal/job/job-search';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from '../../../../test/support/cluster.ts';
import { JobStore } from '../../src/store/store.ts';
import { type Asker, Busy } from '../../src/submit/caller-turns.ts';
import { SweepRun } from '../../src/sweeps/sweep-run.ts';

let cleanUp: CleanUp;
beforeEach(() => {
  cleanUp = new CleanUp();
});
afterEach(() => cleanUp.run());

const sweep = checkSweep({
  name: 'a',
  model: { preset: 'mnist-mlp' },
  search: { trials: 2, parameters: { 'training.learningRate': { log: [0.001, 0.1] } } },
});

/** A sweep that goes on. @param add what becomes of a trial that is added */
async function running(add: (asker: Asker) => Promise<void>) {
  const store = new JobStore(temporaryDirectory(cleanUp));
  cleanUp.add(() => store.close());
  const record = {
    ...{ id: 'a-1', name: 'a', spec: JSON.stringify(sweep), priority: 0, isCancelled: false },
    ...{ state: SweepState.SWEEP_STATE_RUNNING, error: '', submittedAt: 1, endedAt: 0 },
  };
  await store.sweeps.add(record);
  const manager = {
    hasRoom: true,
    runs: { get: () => undefined },
    onChange: () => () => {},
    addTrial: (...[, , , asker]: [string, unknown, number, Asker]) => add(asker),
  };
  const run = new SweepRun(record, {
    ...{ store, manager: manager as never, events: { add: () => {} }, limits: { jobs: 1 } },
    ...{ log: pino({ level: 'silent' }), onChange: () => {}, onEnd: () => {} },
  });
  cleanUp.add(() => run.close());
  run.kick();
  await sleep(50);
  return { run, store };
}
const invalid = (why: string) => new KasaneError('DATA_INVALID', why);

it('a trial that cannot be trained has failed', async () => {
  const { store } = await running(async () => {
    throw invalid('no such file');
  });
  const failed = { outcome: 'failed', error: 'no such file' };
  expect(store.sweeps.decisions('a-1')).toMatchObject([failed, failed]);
  expect(store.sweeps.get('a-1')).toMatchObject({
    state: SweepState.SWEEP_STATE_FAILED,
    error: 'all trials failed; trial 1: no such file',
  });
});

it('one that is being checked while the coordinator closes has not', async () => {
  const { run, store } = await running(
    ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(invalid('stopped')))),
  );
  await run.close();
  expect(store.sweeps.decisions('a-1')).toEqual([]);
  expect(store.sweeps.get('a-1')?.state).toBe(SweepState.SWEEP_STATE_RUNNING);
});

it('one for which there is no room is tried again', async () => {
  let tries = 0;
  const { store } = await running(async () => {
    tries++;
    throw new Busy('later');
  });
  expect(store.sweeps.decisions('a-1')).toEqual([]);
  await sleep(1_200);
  expect(tries).toBe(2);
});

it('what is no trial’s fault, and does not pass, ends the sweep', async () => {
  const { store } = await running(async () => {
    throw new Error('a bug');
  });
  await sleep(1_200);
  expect(store.sweeps.get('a-1')).toMatchObject({ state: SweepState.SWEEP_STATE_FAILED, error: 'a bug' });
});
