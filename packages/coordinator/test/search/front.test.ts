/** Several metrics: which trials are on the front, and that sweeps which go by it do the same for any order in which trials end. */
import type { SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Trial } from '../../src/search/actions.ts';
import { bestAmong, bestFirst, frontOf } from '../../src/search/front.ts';
import { bestOf, frontNumbers } from '../../src/search/ranking.ts';
import { type Outcome, runSweep } from './arrivals.ts';

const trialOf = ([loss, ...further]: readonly number[], number: number): Trial => ({
  ...{ number, assignment: {}, told: 1, failedAt: undefined },
  ...{ losses: new Map([[1, loss!]]), further },
});
const numbers = (trials: readonly Trial[]) => trials.map(({ number }) => number);

const dominates = (a: readonly number[], b: readonly number[]) =>
  a.every((value, index) => value <= b[index]!) && a.some((value, index) => value < b[index]!);
const points = (size: number) =>
  fc.array(fc.array(fc.nat(5), { minLength: size, maxLength: size }), { maxLength: 30 });

it('has everyone whom nobody dominates, and nobody else', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 4 }).chain(points), (all) => {
      const front = numbers(frontOf(all.map(trialOf))).toSorted((a, b) => a - b);
      const expected = all.flatMap((point, number) =>
        all.some((other) => dominates(other, point)) ? [] : number,
      );
      expect(front).toEqual(expected);
    }),
  );
});

it.each([1, 2])('finds the best of some trials by the order of all, by %i metrics', (metrics) => {
  fc.assert(
    fc.property(points(metrics), fc.func(fc.boolean()), (all, isCandidate) => {
      const trials = all.map(trialOf);
      const candidates = trials.filter(({ number }) => isCandidate(number));
      expect(bestAmong(candidates, trials)).toBe(
        bestFirst(trials).find((trial) => candidates.includes(trial)),
      );
    }),
  );
});

it('orders trials so that nobody comes before who dominates them, whatever order they come in', () => {
  fc.assert(
    fc.property(points(2), fc.nat(), (all, turn) => {
      const trials = all.map(trialOf);
      const order = numbers(bestFirst(trials));
      for (const [place, number] of order.entries())
        for (const after of order.slice(place + 1)) expect(dominates(all[after]!, all[number]!)).toBe(false);
      const at = trials.length > 0 ? turn % trials.length : 0;
      expect(numbers(bestFirst([...trials.slice(at), ...trials.slice(0, at)]))).toEqual(order);
      const most = Math.min(3, trials.length);
      expect(numbers(bestFirst(trials, most)).slice(0, most)).toEqual(order.slice(0, most));
    }),
  );
});

it('begins a front with its ends, and goes on where it is thin', () => {
  const trials = [
    [0, 10],
    [1, 9],
    [2, 8],
    [7, 1],
    [10, 0],
    [10, 10],
  ].map(trialOf);
  expect(numbers(bestFirst(trials))).toEqual([0, 4, 3, 2, 1, 5]);
});

const search: SearchSpec = {
  metric: ['testAccuracy', 'parameters'],
  ...{ sampler: 'random', trials: 40, atOnce: 3, seed: 7, order: 'decided' },
  parameters: {
    rate: { uniform: [0, 1] },
    units: { integers: [1, 64], step: 1, log: false },
  },
};
/** Larger is more accurate, if the rate is right; some fail. */
const outcomeOf: Outcome = ({ number, assignment }) => {
  if (number % 9 === 4) return 'failed';
  const { rate, units } = assignment as { rate: number; units: number };
  return [units / 64 - Math.abs(rate - 0.3), units];
};

it('a list of one metric is that metric', () => {
  const first: Outcome = (trial) => {
    const came = outcomeOf(trial, 9);
    return typeof came === 'object' ? came[0] : came;
  };
  for (const sampler of ['tpe', 'evolution'] as const) {
    const { actions } = runSweep({ ...search, sampler, metric: 'testAccuracy' }, 9, first);
    expect(runSweep({ ...search, sampler, metric: ['testAccuracy'] }, 9, first).actions).toEqual(actions);
    expect(frontNumbers({ metric: ['testAccuracy'] }, actions)).toEqual([]);
  }
});

describe.each(['random', 'sobol', 'tpe', 'evolution'] as const)('%s', (sampler) => {
  const each = { ...search, sampler };
  const inOrder = runSweep(each, 9, outcomeOf);
  const front = frontNumbers(each, inOrder.actions);

  it('does the same and ends with the same front for any order in which trials end', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat()), fc.integer({ min: 1, max: 3 }), (some, workers) => {
        const next = (running: number) => some.next().value % Math.min(running, workers);
        const { actions } = runSweep(each, 9, outcomeOf, next);
        expect(actions).toEqual(inOrder.actions);
        expect(frontNumbers(each, actions)).toEqual(front);
      }),
      { numRuns: 15 },
    );
  });

  it('has the most accurate first, which is the best', () => {
    const values = front.map((number) => inOrder.actions[number]!);
    expect(front.length).toBeGreaterThan(2);
    expect(bestOf(each, inOrder.actions)?.trial).toBe(front[0]);
    // The less accurate, the smaller; trials with the same values are all on it.
    for (const [index, { outcome, further }] of values.entries()) {
      const before = values[index - 1];
      if (!before) continue;
      expect(outcome).toBeLessThanOrEqual(Number(before.outcome));
      expect(further![0]).toBeLessThanOrEqual(before.further![0]!);
    }
  });
});

it('TPE and evolution leave less beyond their fronts than random trials', () => {
  // The area that no trial on the front covers, of all accuracies up to 1 and parameters up to 64: the smaller, the better.
  const missed = (sampler: SearchSpec['sampler'], seed: number) => {
    const { actions } = runSweep({ ...search, sampler, seed, trials: 60 }, 9, outcomeOf);
    const front = frontNumbers(search, actions).map((number) => actions[number]!);
    let area = 0;
    for (let units = 1; units <= 64; units++)
      area +=
        1 -
        Math.max(
          -1,
          ...front.filter(({ further }) => further![0]! <= units).map(({ outcome }) => Number(outcome)),
        );
    return area;
  };
  const seeds = Array.from({ length: 20 }, (_, seed) => seed);
  const median = (sampler: SearchSpec['sampler']) =>
    seeds.map((seed) => missed(sampler, seed)).toSorted((a, b) => a - b)[10]!;
  const random = median('random');
  expect(median('tpe')).toBeLessThan(random);
  expect(median('evolution')).toBeLessThan(random);
});
