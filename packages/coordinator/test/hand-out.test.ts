/** What is said of tasks that Redis does not take. */
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { HandOut, type HandOutOptions } from '../src/run/hand-out.ts';

it('says once why Redis refuses tasks, and again after it has taken some', async () => {
  const logged: string[] = [];
  let why = 'READONLY You cannot write against a read only replica. script: 2f, on @user_script:12.';
  const hand = new HandOut({
    plan: {
      range: () => ({ start: 0, end: 8 }),
      shardsOf: () => 1,
      samplesOf: () => 8,
      epochOf: () => 0,
      digest: () => 0,
    },
    queue: {
      add: async () => {
        if (why !== '') throw new Error(why);
      },
    },
    trackers: { train: { open: () => {}, traceparent: () => undefined } },
    ...{ refusals: { able: () => [] }, direct: () => true, onFailed: () => {} },
    log: pino(
      { level: 'warn' },
      { write: (line) => void logged.push((JSON.parse(line) as { msg: string }).msg) },
    ),
  } as unknown as HandOutOptions);
  const add = async () => {
    hand.first('now', 'train', [{ step: 0, shards: 1 }], false);
    await expect.poll(() => hand.isBusy).toBe(false);
  };
  await add();
  await add();
  const told = [`tasks could not be queued: ${why}`];
  expect(logged).toEqual(told);
  const refused = why;
  why = '';
  await add();
  why = refused;
  await add();
  expect(logged).toEqual([...told, ...told]);
});
