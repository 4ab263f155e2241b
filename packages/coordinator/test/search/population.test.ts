/** Population based training: whose weights a trial goes on from, with which values, and that it gets where a grid does not. */
import type { Assignment, SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { expect, it } from 'vitest';
import type { Trial } from '../../src/search/actions.ts';
import { samplerOf } from '../../src/search/samplers.ts';
import { type Outcome, runSweep } from './arrivals.ts';

const search: SearchSpec = {
  metric: 'testLoss',
  sampler: 'population',
  population: 8,
  trials: 24,
  atOnce: 2,
  seed: 1,
  order: 'decided',
  parameters: {
    rate: { log: [1e-4, 1e-1] },
    decay: { uniform: [0, 1] },
    size: { integers: [1, 4], step: 1, log: false },
    type: { choices: ['a', 'b', 'c'] },
  },
};
const { sample, isReady } = samplerOf(search);

/** The first generation, of which trial n has the loss n, but for those that failed. */
const first = (failed: readonly number[] = []): Trial[] =>
  Array.from({ length: 8 }, (_, number) => ({
    number,
    ...{ assignment: sample(search, number, []).assignment, told: 1, further: [] },
    losses: new Map(failed.includes(number) ? [] : [[1, number]]),
    failedAt: failed.includes(number) ? 1 : undefined,
  }));

it('all but the worst quarter go on as they were; the others from the best, with other values', () => {
  const trials = first();
  for (let number = 8; number < 14; number++)
    expect(sample(search, number, trials)).toEqual({
      assignment: trials[number - 8]!.assignment,
      parent: number - 8,
    });
  const parents = new Set<number>();
  for (let seed = 1; seed < 20; seed++)
    for (const number of [14, 15]) {
      const { assignment, parent } = sample({ ...search, seed }, number, trials);
      expect([0, 1]).toContain(parent);
      parents.add(parent!);
      expect(assignment).not.toEqual(trials[parent!]!.assignment);
    }
  expect(parents.size).toBe(2);
});

it('values change a little within their ranges, or are drawn anew', () => {
  const trials = first();
  const factors: number[] = [];
  for (let seed = 1; seed <= 400; seed++) {
    const { assignment, parent } = sample({ ...search, seed }, 15, trials);
    const from = trials[parent!]!.assignment;
    const { rate, decay, size } = assignment as Record<string, number>;
    factors.push(Number((rate! / Number(from.rate)).toFixed(3)));
    expect(rate).toBeGreaterThanOrEqual(1e-4);
    expect(rate).toBeLessThanOrEqual(0.1);
    expect(decay).toBeGreaterThanOrEqual(0);
    expect(decay).toBeLessThanOrEqual(1);
    expect([1, 2, 3, 4]).toContain(size);
  }
  const share = (factor: number) => factors.filter((each) => each === factor).length / factors.length;
  // Three of four are changed, half of them in each direction.
  expect(share(0.8)).toBeCloseTo(0.375, 1);
  expect(share(1.2)).toBeCloseTo(0.375, 1);
});

it('what failed is replaced, and is no parent', () => {
  const trials = first([0, 5]);
  for (const number of [8, 13]) expect([1, 2]).toContain(sample(search, number, trials).parent);
  expect(sample(search, 9, trials).parent).toBe(1);
  const none = first([0, 1, 2, 3, 4, 5, 6, 7]);
  const { parent, assignment } = sample(search, 8, none);
  expect(parent).toBeUndefined();
  expect(assignment).toEqual(samplerOf({ sampler: 'random' }).sample(search, 8, []).assignment);
});

it('of several metrics, goes on from the front', () => {
  // Trials 0 and 7 are on the front: the last is the best in the second metric.
  const trials = first().map((trial) => ({ ...trial, further: [trial.number === 7 ? 0 : 1 + trial.number] }));
  const several: SearchSpec = { ...search, metric: ['testLoss', 'rmse'] };
  expect(sample(several, 15, trials)).toEqual({ assignment: trials[7]!.assignment, parent: 7 });
  for (const number of [13, 14]) expect([0, 7]).toContain(sample(several, number, trials).parent);
});

it('begins a generation when the one before has ended', () => {
  const trials = first();
  expect(isReady!(search, 8, trials)).toBe(true);
  expect(isReady!(search, 7, [])).toBe(true);
  trials[3] = { ...trials[3]!, losses: new Map() };
  expect(isReady!(search, 8, trials)).toBe(false);
  expect(isReady!(search, 15, trials)).toBe(false);
});

it('the same trials in whichever order they end', () => {
  const lossOf: Outcome = ({ number, assignment }) =>
    number % 7 === 3 ? 'failed' : Math.abs(Number(assignment.rate) - 0.01);
  const orders = [
    () => 0,
    (count: number) => count - 1,
    (count: number, running: readonly number[]) => (running[0]! * 7) % count,
  ];
  const [one, ...others] = orders.map((next) => runSweep({ ...search, atOnce: 4 }, 2, lossOf, next));
  for (const other of others) expect(other.actions).toEqual(one!.actions);
  expect(one!.actions).toHaveLength(24);
  expect(one!.mostAtOnce).toBe(4);
  // Nothing but the generation before matters, so neither does how many run at once.
  expect(runSweep({ ...search, atOnce: 1 }, 2, lossOf).actions).toEqual(one!.actions);
});

/**
 * The example of the paper's section 4.1: what is trained is 1.2 - h0 x² - h1 y², what counts is 1.2 - x² - y². Neither of the values
 * reaches the optimum, whatever time it is given; in turns they do.
 */
it("reaches the optimum of the paper's quadratic, where a grid does not", () => {
  const steps = 8;
  const reach = (sampler: 'population' | 'grid', generations: number) => {
    const weights: (readonly [number, number])[] = [];
    const toy: SearchSpec = {
      ...search,
      ...{ sampler, population: 2, trials: sampler === 'grid' ? 2 : 2 * generations, seed: 3 },
      parameters: { h: { choices: [JSON.stringify([1, 0]), JSON.stringify([0, 1])] } },
    };
    const parents = new Map<number, number | undefined>();
    const objective = ([x, y]: readonly [number, number]) => 1.2 - x * x - y * y;
    const train = (from: readonly [number, number], { h }: Assignment, times: number) => {
      let [x, y] = from;
      const [h0, h1] = JSON.parse(String(h)) as [number, number];
      for (let step = 0; step < times; step++) [x, y] = [x - 0.04 * h0 * x, y - 0.04 * h1 * y];
      return [x, y] as const;
    };
    const { actions } = runSweep({ ...toy, atOnce: 1 }, 1, ({ number, assignment, parent }) => {
      parents.set(number, parent);
      const times = sampler === 'grid' ? steps * generations : steps;
      weights[number] = train(parent === undefined ? [0.9, 0.9] : weights[parent]!, assignment, times);
      return -objective(weights[number]);
    });
    return -Math.min(...actions.map(({ outcome }) => Number(outcome)));
  };
  expect(reach('grid', 40)).toBeCloseTo(0.39, 2);
  expect(reach('population', 40)).toBeGreaterThan(1.19);
});
