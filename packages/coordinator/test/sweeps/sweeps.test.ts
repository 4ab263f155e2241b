/** Lists of sweeps that have ended say what each of them says, also after jobs were deleted. */
import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from '../../../../test/support/cluster.ts';
import { LARGE_SWEEP, writeLargeSweep } from '../../../../test/support/large-sweep.ts';
import { JobStore } from '../../src/store/store.ts';
import { Sweeps } from '../../src/sweeps/sweeps.ts';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

it('a list counts the trials of an ended sweep once, and knows when its best trial is deleted', async () => {
  const state = temporaryDirectory(cleanUp);
  writeLargeSweep(state, 20);
  const store = new JobStore(state);
  cleanUp.add(() => store.close());
  const sweeps = new Sweeps({
    ...{ store, manager: {} as never, events: { add: () => {} }, limits: { jobs: 1 } },
    log: pino({ level: 'silent' }),
  });
  const listed = () => sweeps.list(0, '').sweeps;
  const [first] = listed();
  expect(first).toEqual(sweeps.get(LARGE_SWEEP).sweep);
  expect(first).toMatchObject({ trials: 20, succeeded: 20 });
  expect(listed()[0]).toBe(first);
  await store.delete(first!.best!.job);
  const [after] = listed();
  expect(after).toEqual(sweeps.get(LARGE_SWEEP).sweep);
  expect(after!.best).toEqual({ ...first!.best, job: '' });
});
