import { expect, it } from 'vitest';
import { Turns } from '../src/jobs/turns.ts';
import { IdleSlots, type Spare } from '../src/run/idle-slots.ts';

/** What is told of steps of 3 s each. */
const told = (...spare: readonly Spare[]) => {
  const watch = new IdleSlots();
  return spare.map((each) => watch.step(3000, () => each)).filter((each) => each !== undefined);
};
const times = (count: number, idle: number): Spare[] => Array(count).fill({ slots: 8, idle });

it('is told once, after a while, with what was idle all the time', () => {
  expect(told(...times(6, 5))).toEqual([]);
  expect(told(...times(3, 5), ...times(1, 2), ...times(30, 5))).toEqual([{ slots: 8, idle: 2 }]);
});

it('begins anew when all of them compute', () => {
  expect(told(...times(6, 5), ...times(1, 0), ...times(6, 5))).toEqual([]);
  expect(told(...times(6, 5), ...times(1, 0), ...times(7, 6))).toEqual([{ slots: 8, idle: 6 }]);
});

it('counts what the shards of all jobs leave', () => {
  const turns = new Turns(() => 8);
  const first = turns.enter('a', 2, 0);
  expect(first.spare).toEqual({ slots: 8, idle: 6 });
  turns.enter('b', 7, 0);
  expect(first.spare).toEqual({ slots: 8, idle: -1 });
});
