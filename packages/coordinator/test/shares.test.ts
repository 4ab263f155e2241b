import type { ConnectResponse } from '@kasane/protocol/gen/kasane/v1/training';
import { expect, it } from 'vitest';
import type { Answer } from '../src/run/answers.ts';
import { Shares } from '../src/run/shares.ts';
import type { ConnectedWorker } from '../src/workers.ts';

/** Workers by slots, what each was last told to hold, and what was said of rests. */
function sharing(slots: Readonly<Record<string, number>>, shards = 8, highestLevel = 0) {
  const told: Record<string, number> = {};
  const said: string[] = [];
  let workers = Object.entries(slots).map(
    ([id, slots]) =>
      ({
        ...{ id, slots, draining: false },
        send: (message: NonNullable<ConnectResponse['message']>) => {
          if (message.$case === 'share') told[id] = message.value.tasks;
        },
      }) as ConnectedWorker,
  );
  const shares = new Shares({
    ...{ job: 'j', shards, highestLevel, workers: { able: () => workers } },
    onRest: ({ id }, why, ms) => said.push(`${id} rests ${ms}: ${why}`),
    onWake: ({ id }) => said.push(`${id} wakes`),
  });
  shares.tell();
  const leave = (id: string) => {
    workers = workers.filter((worker) => worker.id !== id);
    shares.forget(id);
    shares.tell();
  };
  return { shares, told, said, leave };
}

/** So many steps in which each of these answered one shard after so long. */
function step(shares: Shares, ms: Readonly<Record<string, number>>, now: number, times = 1, each = 1): void {
  const answers = Object.entries(ms).map(
    ([worker, answeredAfterMs]) => ({ worker, answeredAfterMs, claimedAfterMs: -1 }) as Answer,
  );
  for (let i = 0; i < times; i++) shares.stepped(answers, each, now);
}

it('each has its part by its slots; one that was waited for in vain rests, then is tried with one shard', () => {
  const { shares, told, said } = sharing({ a: 1, b: 1, c: 6 });
  expect(told).toEqual({ a: 1, b: 1, c: 6 });
  // The first time may take longer: it compiles.
  shares.waitedFor(['c'], 0);
  expect([told, said]).toEqual([{ a: 4, b: 4, c: 1 }, []]);
  shares.answered('c', 0);
  expect(told).toEqual({ a: 1, b: 1, c: 6 });
  shares.waitedFor(['c'], 0);
  expect(told).toEqual({ a: 4, b: 4, c: 0 });
  expect([shares.isResting('c'), shares.isSuspect('c'), shares.isSuspect('a')]).toEqual([true, true, false]);
  expect(shares.taking().map(({ id }) => id)).toEqual(['a', 'b']);
  shares.tick(1_999);
  expect(told.c).toBe(0);
  shares.tick(2_000);
  expect([told.c, shares.isResting('c')]).toEqual([1, false]);
  step(shares, { a: 10, b: 10, c: 10 }, 2_100, 8);
  expect(told.c).toBe(6);
  expect(said).toEqual(['c rests 2000: late', 'c wakes']);
});

it('each rest is three times as long as the one before, at most a minute; a minute without one forgets one', () => {
  const { shares, said, told } = sharing({ a: 1, b: 1 });
  let now = 0;
  shares.answered('b', now);
  for (let i = 0; i < 8; i++) {
    shares.waitedFor(['b'], now);
    now += 60_000;
    shares.tick(now);
  }
  const rests = said
    .filter((text) => text.includes('rests'))
    .map((text) => Number(text.split(' ')[2]!.slice(0, -1)));
  expect(rests).toEqual([2000, 6000, 18_000, 54_000, 60_000, 60_000, 60_000, 60_000]);
  step(shares, { a: 10, b: 10 }, now, 8);
  expect(told.b).toBe(4);
  for (let i = 1; i <= 8; i++) shares.tick(now + i * 60_000);
  expect(shares.isSuspect('b')).toBe(false);
});

it('one that takes longer for a shard than the others for all of them rests, also when it is tried', () => {
  const { shares, told, said } = sharing({ a: 1, b: 1, c: 1, slow: 1 }, 4);
  step(shares, { a: 7, b: 7, c: 7, slow: 70 }, 0, 8);
  expect(said).toEqual([]);
  step(shares, { a: 7, b: 7, c: 7, slow: 70 }, 1_000);
  expect(said).toEqual(['slow rests 2000: slow']);
  expect(told).toEqual({ a: 2, b: 1, c: 1, slow: 0 });
  shares.tick(3_000);
  step(shares, { a: 7, b: 7, c: 7, slow: 60 }, 3_010);
  expect(said.at(-1)).toBe('slow rests 6000: slow');
  shares.tick(9_010);
  step(shares, { a: 7, b: 7, c: 7, slow: 8 }, 9_020, 8);
  expect(told).toEqual({ a: 1, b: 1, c: 1, slow: 1 });
});

it('one that is late now and then, and otherwise as quick as the others, does not rest', () => {
  const { shares, said } = sharing({ a: 1, b: 1, c: 1, d: 1 }, 4);
  for (let second = 0; second < 20; second++)
    step(shares, { a: 20, b: 20, c: 20, d: second % 3 === 0 ? 30 : 90 }, 1_000 * second);
  expect(said).toEqual([]);
});

it('parts follow what workers have been delivering', () => {
  const { shares, told } = sharing({ a: 1, b: 1 }, 6);
  expect(told).toEqual({ a: 3, b: 3 });
  step(shares, { a: 10, b: 20 }, 0, 8);
  step(shares, { a: 10, b: 20 }, 1_000);
  expect(told).toEqual({ a: 4, b: 2 });
});

it('never all rest: not those that were waited for together, nor those who are left', () => {
  const { shares, told, said, leave } = sharing({ a: 1, b: 3 });
  shares.waitedFor(['a', 'b'], 0);
  expect([told, said]).toEqual([{ a: 2, b: 6 }, []]);
  shares.answered('a', 0);
  shares.answered('b', 0);
  shares.waitedFor(['b'], 0);
  expect(told).toEqual({ a: 8, b: 0 });
  leave('a');
  expect([told.b, said]).toEqual([8, ['b rests 2000: late', 'b wakes']]);
});

it('tasks are as large as the slots allow, and become smaller where workers turn out to be unequal', () => {
  const { shares, told, leave } = sharing({ a: 1, b: 1 }, 4, 5);
  expect([shares.level, told]).toEqual([1, { a: 1, b: 1 }]);
  // A shard takes one three times as long: it does better with one of four.
  step(shares, { a: 20, b: 60 }, 2_000, 8, 2);
  step(shares, { a: 20, b: 60 }, 4_000, 1, 2);
  expect([shares.level, told]).toEqual([0, { a: 3, b: 1 }]);
  leave('b');
  expect([shares.level, told.a]).toEqual([2, 1]);
});
