/** What a sweep decides: the same for any order in which outcomes arrive. */
import type { SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextAction } from '../../src/search/next-action.ts';
import { bestOf, ranking } from '../../src/search/ranking.ts';
import { type Outcome, runSweep } from './arrivals.ts';

const parameters = {
  rate: { log: [1e-4, 1e-1], points: 3 },
  type: { choices: ['sgd', 'adam'] },
  momentum: { uniform: [0, 0.99], points: 2, when: { type: 'sgd' } },
  units: { integers: [16, 64], step: 16, log: false },
} satisfies SearchSpec['parameters'];
const search: SearchSpec = {
  metric: 'testLoss',
  sampler: 'random',
  trials: 24,
  atOnce: 3,
  seed: 7,
  order: 'decided',
  parameters,
};
const halving = { eta: 3, minEpochs: 1 };

/** Falls with the epochs towards something that depends on the values; some trials fail. */
const outcomeOf: Outcome = ({ number, assignment }, epochs) => {
  if (number % 7 === 3) return 'failed';
  const { rate, units } = assignment as { rate: number; units: number };
  return Math.abs(Math.log10(rate) + 2.5) + Math.abs(units - 40) / 40 + 1 / epochs;
};

const samplers = ['grid', 'random', 'sobol', 'tpe', 'evolution'] as const;
const cases = samplers.flatMap((sampler) => [
  { ...search, sampler, trials: sampler === 'grid' ? 36 : 24 },
  { ...search, sampler, trials: sampler === 'grid' ? 36 : 24, halving },
  { ...search, sampler, trials: sampler === 'grid' ? 36 : 24, halving: { ...halving, brackets: 3 } },
]);

describe.each(cases)('$sampler, halving $halving', (each) => {
  const inOrder = runSweep(each, 9, outcomeOf);

  it('does the same for any order in which trials end', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat()), fc.integer({ min: 1, max: 3 }), (numbers, workers) => {
        // Fewer workers: only the oldest of what is to run goes on.
        const next = (running: number) => numbers.next().value % Math.min(running, workers);
        const { actions, mostAtOnce } = runSweep(each, 9, outcomeOf, next);
        expect(actions).toEqual(inOrder.actions);
        expect(mostAtOnce).toBeLessThanOrEqual(each.atOnce);
      }),
      { numRuns: 25 },
    );
  });

  it('depends on the seed', () => {
    const { actions } = runSweep({ ...each, seed: 8 }, 9, outcomeOf);
    if (each.sampler === 'grid') expect(actions).toEqual(inOrder.actions);
    else expect(actions).not.toEqual(inOrder.actions);
  });

  it('starts as many trials as it may, and sets what conditions allow', () => {
    const starts = inOrder.actions.filter(({ kind }) => kind === 'start');
    expect(starts.map(({ trial }) => trial)).toEqual([...Array(each.trials).keys()]);
    for (const { assignment } of starts) {
      const { rate, type, momentum, units } = assignment as Record<string, number | string>;
      expect(rate).toBeGreaterThanOrEqual(1e-4);
      expect(rate).toBeLessThanOrEqual(1e-1);
      expect([16, 32, 48, 64]).toContain(units);
      expect(momentum !== undefined).toBe(type === 'sgd');
    }
    expect(new Set(starts.map(({ assignment }) => assignment.type)).size).toBe(2);
  });

  it('ends with a trial that was trained to the end', () => {
    const [best] = ranking(each, inOrder.actions);
    expect(best).toMatchObject({ epochs: 9, failed: false });
  });

  it('does as much with order: arrival', () => {
    const { actions } = runSweep({ ...each, order: 'arrival' }, 9, outcomeOf, (running) => running - 1);
    expect(actions.filter(({ kind }) => kind === 'start')).toHaveLength(each.trials);
    expect(ranking(each, actions)[0]).toMatchObject({ epochs: 9 });
  });
});

it('goes through a grid, the last parameter fastest, without those whose condition does not hold', () => {
  const { actions } = runSweep(
    {
      ...search,
      sampler: 'grid',
      trials: 3,
      parameters: { type: parameters.type, momentum: parameters.momentum },
    },
    1,
    () => 1,
  );
  expect(actions.map(({ assignment }) => assignment)).toEqual([
    { type: 'sgd', momentum: 0 },
    { type: 'sgd', momentum: 0.99 },
    { type: 'adam' },
  ]);
});

describe('what it waits for', () => {
  const started = (count: number, one: SearchSpec, known: readonly number[]) => {
    const { actions } = runSweep(one, 9, outcomeOf);
    return actions
      .slice(0, count)
      .map(({ outcome, ...action }, index) => (known.includes(index) ? { ...action, outcome } : action));
  };

  it('no particular trial, if values do not depend on outcomes', () => {
    expect(nextAction(search, 9, started(4, search, [1, 3]))).toMatchObject({ kind: 'start', trial: 4 });
    expect(nextAction(search, 9, started(4, search, [3]))).toBe('wait');
  });

  it('the one that the decision looks at, and no other', () => {
    const one = { ...search, halving };
    expect(nextAction(one, 9, started(4, one, [2, 3]))).toBe('wait');
    const decided = nextAction(one, 9, started(4, one, [0, 1]));
    expect(decided).toMatchObject({ kind: 'start', trial: 4 });
    expect(nextAction(one, 9, started(4, one, [0, 1, 2, 3]))).toEqual(decided);
    const arrival = { ...one, order: 'arrival' } as const;
    expect(nextAction(arrival, 9, started(4, one, [2, 3]))).toMatchObject({ trial: expect.anything() });
  });
});

it('waits for nobody where every epoch takes as long', () => {
  const one = { ...search, trials: 40, atOnce: 4, halving };
  const ends: number[] = [];
  let now = 0;
  const { actions } = runSweep(
    one,
    9,
    (trial, epochs) => (trial.number % 7 === 3 ? 'failed' : Math.sin(trial.number) + 1 / epochs),
    (count, indexes, decided) => {
      for (const index of indexes) {
        const { trial, epochs } = decided[index]!;
        const before = decided.findLast((each, at) => at < index && each.trial === trial)?.epochs ?? 0;
        ends[index] ??= now + epochs - before;
      }
      if (decided.filter(({ kind }) => kind === 'start').length < one.trials) expect(count).toBe(one.atOnce);
      const first = indexes.reduce((a, b) => (ends[b]! < ends[a]! ? b : a));
      now = ends[first]!;
      return indexes.indexOf(first);
    },
  );
  expect(actions.length).toBeGreaterThan(50);
});

describe('halving', () => {
  const sweep = (trials: number, loss: Outcome, eta = 3) =>
    runSweep({ ...search, trials, atOnce: 1, halving: { eta, minEpochs: 1 } }, 9, loss).actions;
  const promoted = (actions: ReturnType<typeof sweep>) =>
    actions.filter(({ kind }) => kind === 'promote').map(({ trial, epochs }) => [trial, epochs]);

  it('trains one in three further, three times as long', () => {
    expect(promoted(sweep(9, ({ number }) => number))).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
      [0, 9],
    ]);
    // Seen late, the best is still promoted; the first ones were so before.
    expect(promoted(sweep(9, ({ number }) => 9 - number)).at(-1)![1]).toBe(9);
  });

  it('trains the best to the end even of few trials', () => {
    expect(promoted(sweep(2, ({ number }) => number))).toEqual([
      [0, 3],
      [0, 9],
    ]);
    const one = sweep(1, () => 1);
    expect(promoted(one).at(-1)).toEqual([0, 9]);
  });

  it('promotes the next trial if the best one fails later', () => {
    const actions = sweep(3, ({ number }, epochs) => (number === 0 && epochs > 1 ? 'failed' : number));
    expect(promoted(actions)).toEqual([
      [0, 3],
      [1, 3],
      [1, 9],
    ]);
    expect(ranking(search, actions).map(({ trial }) => trial)).toEqual([1, 2, 0]);
  });

  it('is over when all fail', () => {
    const actions = sweep(4, () => 'failed');
    expect(actions).toHaveLength(4);
    expect(ranking(search, actions).every(({ failed }) => failed)).toBe(true);
  });
});

describe('brackets', () => {
  const rungs = [1, 3, 9];
  const hyperband = { ...search, atOnce: 1, halving: { ...halving, brackets: 3 } };
  const startsOf = (trials: number) =>
    runSweep({ ...hyperband, trials }, 9, ({ number }) => number).actions.flatMap(({ kind, epochs }) =>
      kind === 'start' ? [epochs] : [],
    );

  it('begin on a rung each, with as many trials as Hyperband has, which take turns', () => {
    const counts = (starts: readonly number[]) =>
      rungs.map((rung) => starts.filter((each) => each === rung).length);
    // 9, 5 and 3, as in the paper's table for a factor of 3.
    expect(counts(startsOf(17))).toEqual([9, 5, 3]);
    expect(counts(startsOf(170))).toEqual([90, 50, 30]);
    for (let trials = 1; trials < 17; trials++)
      for (const [bracket, count] of counts(startsOf(trials)).entries())
        expect(Math.abs(count - ([9, 5, 3][bracket]! * trials) / 17)).toBeLessThanOrEqual(1);
    // More trials do not change those before them.
    expect(startsOf(40).slice(0, 20)).toEqual(startsOf(20));
  });

  it('compare trials among themselves: one that learns late is trained further where it begins late', () => {
    // After one epoch it looks worse the better it is in the end.
    const late: Outcome = ({ number }, epochs) => (epochs === 1 ? 100 - number : number);
    const one = { ...hyperband, trials: 34 };
    const { actions } = runSweep(one, 9, late);
    const halved = runSweep({ ...one, halving }, 9, late).actions;
    const [best, halvedBest] = [ranking(one, actions)[0]!, ranking(one, halved)[0]!];
    expect(best.epochs).toBe(9);
    expect(best.value).toBeLessThan(halvedBest.value!);
    // Each bracket's promoted trials are among the best of their own.
    const first = new Map(
      actions.flatMap(({ kind, trial, epochs }) => (kind === 'start' ? [[trial, epochs]] : [])),
    );
    const promoted = actions.filter(({ kind, epochs }) => kind === 'promote' && epochs === 9);
    expect(new Set(promoted.map(({ trial }) => first.get(trial)))).toEqual(new Set([1, 3]));
  });

  it('one of them is no other search than none', () => {
    const one = { ...search, halving };
    expect(runSweep({ ...one, halving: { ...halving, brackets: 1 } }, 9, outcomeOf)).toEqual(
      runSweep(one, 9, outcomeOf),
    );
  });
});

it('takes what is not finite for a failure, and the highest accuracy for the best', () => {
  const values = [0.5, Number.NaN, 0.9, Number.POSITIVE_INFINITY];
  const one = { ...search, metric: 'testAccuracy', trials: 4 } as const;
  const { actions } = runSweep(one, 2, ({ number }) => values[number]!);
  expect(ranking(one, actions).map(({ trial, value, failed }) => [trial, value, failed])).toEqual([
    [2, 0.9, false],
    [0, 0.5, false],
    [1, undefined, true],
    [3, undefined, true],
  ]);
});

it('looks at each trial a few times, not at each for each other, when all are decided', () => {
  const trials = 2_000;
  let looks = 0;
  const actions = Array.from({ length: trials }, (_, trial) => ({
    ...{ kind: 'start' as const, trial, assignment: { rate: 0.1 }, epochs: 9 },
    get outcome() {
      looks++;
      return trial < trials - 1 ? trial : undefined;
    },
  }));
  for (const sampler of samplers) expect(nextAction({ ...search, sampler, trials }, 9, actions)).toBe('wait');
  const known = actions.map((action) => ({ ...action, outcome: 1 }));
  for (const sampler of samplers) expect(nextAction({ ...search, sampler, trials }, 9, known)).toBe('done');
  expect(looks).toBeLessThan(100 * trials);
});

it('the best is the first of the ranking', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(1, 2, 3, 'failed' as const, undefined)), (outcomes) => {
      const actions = outcomes.map((outcome, trial) => ({
        ...{ kind: 'start' as const, trial, assignment: {}, epochs: 9, outcome },
      }));
      for (const metric of ['testLoss', 'testAccuracy'] as const)
        expect(bestOf({ metric }, actions)).toEqual(ranking({ metric }, actions)[0]);
    }),
  );
});
