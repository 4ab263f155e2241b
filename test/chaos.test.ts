/**
 * A short and fixed part of `npm run chaos`: one training under faults of every kind that is quick, each at a step and a worker of
 * its own, ends with the weights of a quiet one, every sample counted once.
 */
import { afterAll, expect, it } from 'vitest';
import type { FaultName } from './chaos/faults.ts';
import { chaosJob } from './chaos/job.ts';
import { complaints, Punisher } from './chaos/punish.ts';
import { allFaults, schedule } from './chaos/schedule.ts';
import { Stage } from './chaos/stage.ts';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { needing } from './support/needs.ts';

const WORKERS = 3;
const SEED = 5;
/** Those that take long to be of effect. */
const slow: readonly FaultName[] = ['slow', 'weather'];
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** A stage whose gradients go this way. */
async function opened(exchange: string) {
  const punisher = new Punisher();
  const coordinator = ['--exchange', exchange];
  const stage = await Stage.open({ workers: WORKERS, seed: SEED, coordinator, onLine: punisher.onLine });
  cleanUp.add(() => stage.close());
  return { punisher, stage };
}

it.for([
  { every: 1, epochs: 8 },
  { every: 5, epochs: 14 },
])(
  'a training under faults of every kind ends with the same bits, with an exchange every $every',
  { timeout: 600_000 },
  async ({ every, epochs }, { task }) => {
    const job = chaosJob(temporaryDirectory(cleanUp), epochs, undefined, every);
    // Through the coordinator here, between workers below: that is no part of the result.
    const calm = await opened('coordinator');
    const quiet = await calm.punisher.run(calm.stage, job, []);
    expect(quiet.error).toBe('');
    expect(quiet.digest).toMatch(/^[0-9a-f]{64}$/);
    const { punisher, stage } = await opened('workers');
    const names = allFaults.filter((name) => !slow.includes(name));
    const possible = names.filter((name) => stage.lacks(name) === undefined);
    const { skip, meta } = needing(['mount', 'faketime']);
    expect(names.length - possible.length > 0).toBe(skip);
    Object.assign(task.meta, meta);
    const options = { seed: SEED, faults: possible, steps: job.steps, workers: WORKERS };
    const run = await punisher.run(stage, job, schedule({ ...options, seconds: 6, within: 0.6 }));
    expect(complaints(run, quiet.digest)).toEqual([]);
    expect(run.blows.filter(({ fired }) => fired)).toHaveLength(possible.length);
  },
);
