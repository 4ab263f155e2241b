import fc from 'fast-check';
import { expect, it } from 'vitest';
import { allot, isTooSlow, levelOfTasks, stepMs } from '../src/steps/allot.ts';

const of = (...ms: number[]) => ms.map((one) => ({ slots: 1, ms: one }));

it.each([
  [of(7, 7), 4, [2, 2]],
  [of(7, 7, 7, 7), 4, [1, 1, 1, 1]],
  [of(7, 70), 4, [4, 0]],
  [of(10, 20), 6, [4, 2]],
  [of(10, 10, 19), 4, [2, 1, 1]],
  [
    [
      { slots: 4, ms: 10 },
      { slots: 1, ms: 10 },
    ],
    5,
    [4, 1],
  ],
])('%j share %i shards as %j', (workers, shards, counts) => {
  expect(allot(workers, shards)).toEqual(counts);
});

it('gives out every shard, and no single move makes the step shorter', () => {
  const pace = fc.record({ slots: fc.integer({ min: 1, max: 4 }), ms: fc.integer({ min: 1, max: 500 }) });
  fc.assert(
    fc.property(
      fc.array(pace, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 24 }),
      (workers, shards) => {
        const counts = allot(workers, shards);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(shards);
        const end = (index: number, count: number) =>
          Math.ceil(count / workers[index]!.slots) * workers[index]!.ms;
        const whole = stepMs(workers, shards);
        for (const [from, count] of counts.entries())
          for (const to of counts.keys())
            if (from !== to && count > 0 && end(from, count) === whole)
              expect(end(to, counts[to]! + 1)).toBeGreaterThanOrEqual(whole);
      },
    ),
  );
});

it('a worker is too slow that takes longer for one shard than the others for all of them', () => {
  expect(isTooSlow(70, of(7, 7, 7), 4)).toBe(true);
  expect(isTooSlow(15, of(7, 7, 7), 4)).toBe(false);
  // More workers than shards are no reason, and neither is chance.
  expect(isTooSlow(8, of(7, 7, 7, 7), 4)).toBe(false);
  expect(isTooSlow(1000, [], 4)).toBe(false);
});

it.each([
  [of(7), 8, 5, 3],
  [of(7), 9, 5, 4],
  [of(7, 7), 4, 5, 1],
  [of(7, 7), 4, 0, 0],
  [of(7, 7), 8, 5, 2],
  // Three would wait for one that has four.
  [of(7, 7, 7), 8, 5, 0],
  [of(7, 7, 7), 12, 5, 2],
  [of(7, 7, 7, 7), 4, 5, 0],
  [of(7, 7, 7, 7, 7, 7, 7, 7), 4, 5, 0],
  [of(10, 20), 6, 5, 1],
  [of(10, 30), 4, 5, 0],
  [[{ slots: 4, ms: 7 }], 8, 5, 1],
  [[], 8, 5, 0],
])('%j compute %i shards in tasks of a level up to %i: %i', (workers, shards, highest, level) => {
  expect(levelOfTasks(workers, shards, highest)).toBe(level);
});
