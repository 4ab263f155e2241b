/** How values are picked: known points of Sobol', densities of TPE, and what evolution changes. */
import { SOBOL_DIMENSIONS } from '@kasane/protocol/internal/job/search-checks';
import type { Assignment, SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { sizeOf } from '@kasane/protocol/internal/job/search-space';
import { describe, expect, it } from 'vitest';
import type { Trial } from '../../src/search/actions.ts';
import { populationOf } from '../../src/search/evolution.ts';
import { cumulative, densityOf } from '../../src/search/parzen.ts';
import { samplerOf } from '../../src/search/samplers.ts';
import { DIMENSIONS, sobol } from '../../src/search/sobol.ts';

const parameters = {
  rate: { log: [1e-4, 1e-1] },
  type: { choices: ['sgd', 'adam', 'adamw'] },
  momentum: { uniform: [0, 1], when: { type: 'sgd' } },
  decay: { log: [1e-6, 1], when: { type: ['adam', 'adamw'] } },
  units: { integers: [16, 64], step: 16, log: false },
  width: { integers: [1, 1000], step: 1, log: true },
} satisfies SearchSpec['parameters'];
const search: SearchSpec = {
  metric: 'testLoss',
  sampler: 'random',
  trials: 100,
  atOnce: 2,
  seed: 1,
  order: 'decided',
  parameters,
};

const trialOf = (number: number, assignment: Assignment, loss: number): Trial => ({
  number,
  assignment,
  told: 1,
  losses: new Map([[1, loss]]),
  failedAt: undefined,
  further: [],
});
const randomTrials = (count: number, lossOf: (assignment: Assignment) => number): Trial[] =>
  Array.from({ length: count }, (_, number) => {
    const assignment = samplerOf({ sampler: 'random' }).sample(search, number, []).assignment;
    return trialOf(number, assignment, lossOf(assignment));
  });
const sample = (sampler: SearchSpec['sampler'], number: number, trials: readonly Trial[], more = {}) =>
  samplerOf({ sampler }).sample({ ...search, sampler, ...more }, number, trials).assignment;

describe('Sobol', () => {
  const row = (point: number) =>
    Array.from({ length: DIMENSIONS }, (_, dimension) => sobol(point, dimension) / 2 ** 22);

  it('has the points that SciPy has, of the same direction numbers', () => {
    // scipy.stats.qmc.Sobol(21, scramble=False, bits=32).random(1024), in 1024ths.
    expect(row(0)).toEqual(Array(21).fill(0));
    expect(row(1)).toEqual(Array(21).fill(512));
    expect(row(5)).toEqual([
      896, 896, 128, 384, 896, 640, 896, 384, 384, 128, 384, 896, 896, 128, 896, 384, 896, 384, 384, 640, 640,
    ]);
    expect(row(999)).toEqual([
      161, 931, 83, 1013, 991, 865, 879, 729, 833, 647, 23, 453, 485, 969, 851, 571, 289, 673, 695, 39, 343,
    ]);
  });

  it('has as many dimensions as sweep files may have parameters', () => {
    expect(SOBOL_DIMENSIONS).toBe(DIMENSIONS);
    expect(() => sobol(0, DIMENSIONS)).toThrow('dimension 21; there are 21');
  });

  it('stays evenly spread when the seed shifts it', () => {
    for (const seed of [1, 2, 3]) {
      const sixteenths = Array.from({ length: 16 }, (_, trial) => {
        const { x, y } = sample('sobol', trial, [], {
          seed,
          parameters: { x: { uniform: [0, 16] }, y: { uniform: [0, 16] } },
        }) as Record<string, number>;
        return [Math.floor(x!), Math.floor(y!)];
      });
      for (const axis of [0, 1]) expect(new Set(sixteenths.map((each) => each[axis])).size).toBe(16);
    }
  });
});

describe('random', () => {
  const some = randomTrials(2000, () => 0).map(({ assignment }) => assignment as Record<string, number>);
  const share = (of: (assignment: Record<string, number>) => boolean) => some.filter(of).length / some.length;

  it('is even on the scale of each parameter', () => {
    expect(share(({ rate }) => rate! < 1e-3)).toBeCloseTo(1 / 3, 1);
    expect(share(({ units }) => units === 16)).toBeCloseTo(1 / 4, 1);
    expect(share(({ width }) => width! <= 31)).toBeCloseTo(1 / 2, 1);
    expect(share(({ momentum }) => momentum !== undefined)).toBeCloseTo(1 / 3, 1);
    expect(share(({ momentum, decay }) => (momentum === undefined) === (decay === undefined))).toBe(0);
  });

  it('has numbers of six digits within their range', () => {
    for (const { rate, width } of some) {
      expect(String(Number(rate!.toPrecision(6)))).toBe(String(rate));
      expect(rate! >= 1e-4 && rate! <= 1e-1 && Number.isInteger(width) && width! >= 1 && width! <= 1000).toBe(
        true,
      );
    }
  });
});

describe('TPE', () => {
  it('knows the normal distribution', () => {
    for (const [x, expected] of [
      [0, 0.5],
      [1, 0.8413447],
      [-1.96, 0.0249979],
      [4, 0.9999683],
    ] as const)
      expect(cumulative(x)).toBeCloseTo(expected, 6);
  });

  it('has densities whose integral is 1, with conditions', () => {
    const space = {
      type: { choices: ['a', 'b'] },
      x: { uniform: [0, 1], when: { type: 'a' } },
    } satisfies SearchSpec['parameters'];
    const some = [{ type: 'a', x: 0.1 }, { type: 'b' }, { type: 'a', x: 0.15 }, { type: 'a', x: 0.9 }];
    const { of } = densityOf(space, some);
    const cells = 1000;
    let integral = of({ type: 'b' });
    for (let cell = 0; cell < cells; cell++) integral += of({ type: 'a', x: (cell + 0.5) / cells }) / cells;
    expect(integral).toBeCloseTo(1, 4);
  });

  it('draws from its density', () => {
    const space = { x: { uniform: [0, 1] }, c: { choices: [1, 2, 3] } } satisfies SearchSpec['parameters'];
    const { of, sample: draw } = densityOf(space, [
      { x: 0.2, c: 1 },
      { x: 0.3, c: 1 },
      { x: 0.9, c: 3 },
    ]);
    const counts = new Map<string, number>();
    const draws = 6000;
    for (let n = 0; n < draws; n++) {
      const { x, c } = draw({ seed: 1, trial: 0, n }) as Record<string, number>;
      const key = `${Math.min(9, Math.floor(x! * 10))} ${c}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    for (let tenth = 0; tenth < 10; tenth++)
      for (const c of [1, 2, 3]) {
        let expected = 0;
        for (let n = 0; n < 20; n++) expected += of({ x: (tenth + (n + 0.5) / 20) / 10, c }) / 200;
        expect((counts.get(`${tenth} ${c}`) ?? 0) / draws).toBeCloseTo(expected, 1.6);
      }
  });

  it('looks near good trials, under conditions too', () => {
    const trials = randomTrials(60, ({ type, momentum }) =>
      type === 'sgd' ? Math.abs(Number(momentum) - 0.9) : 2,
    );
    const next = Array.from({ length: 20 }, (_, index) => sample('tpe', 60 + index, trials));
    const near = next.filter(
      ({ type, momentum }) => type === 'sgd' && Math.abs(Number(momentum) - 0.9) < 0.2,
    );
    expect(near.length).toBeGreaterThan(14);
  });

  it('is random at first, and where nothing succeeded', () => {
    expect(sample('tpe', 9, [])).toEqual(sample('random', 9, []));
    const failed = randomTrials(12, () => 0).map((trial) => ({ ...trial, losses: new Map(), failedAt: 1 }));
    expect(Object.keys(sample('tpe', 12, failed))).toContain('rate');
  });
});

describe('evolution', () => {
  const trials = randomTrials(40, ({ rate }) => Number(rate));

  it('changes one value of a good trial among the newest', () => {
    const alive = trials.slice(-populationOf(search));
    const median = [...alive].sort((a, b) => a.losses.get(1)! - b.losses.get(1)!)[
      Math.floor(alive.length / 2)
    ]!;
    let good = 0;
    for (let number = 40; number < 80; number++) {
      const child = sample('evolution', number, trials);
      const changes = alive.map(({ assignment }) => {
        const paths = new Set([...Object.keys(assignment), ...Object.keys(child)]);
        return [...paths].filter((path) => assignment[path] !== child[path]);
      });
      const parent = alive[changes.findIndex((paths) => paths.length === 1 || paths[0] === 'type')]!;
      expect(parent).toBeDefined();
      if (parent.losses.get(1)! < median.losses.get(1)!) good++;
      // With another type comes what depends on it, and goes what depended on the former.
      expect(child.momentum !== undefined).toBe(child.type === 'sgd');
      expect(child.decay !== undefined).toBe(child.type !== 'sgd');
    }
    expect(good).toBeGreaterThan(36);
  });

  it('keeps numbers in their range, and leaves what has one value', () => {
    const space = {
      a: { choices: [5] },
      b: { integers: [0, 1], step: 1, log: false },
    } satisfies SearchSpec['parameters'];
    const some = Array.from({ length: 30 }, (_, number) => trialOf(number, { a: 5, b: 0 }, number));
    for (let number = 30; number < 40; number++)
      expect(sample('evolution', number, some, { parameters: space })).toEqual({ a: 5, b: 1 });
    expect(sizeOf(space.a)).toBe(1);
  });

  it('says from whose weights a trial starts, if they are handed on', () => {
    const of = (inherit: boolean) => {
      const given: SearchSpec = { ...search, sampler: 'evolution', inherit };
      return samplerOf(given).sample(given, 60, trials);
    };
    const { assignment, parent } = of(true);
    const from = trials[parent!]!.assignment;
    expect(parent).toBeGreaterThanOrEqual(15);
    const changed = Object.keys(assignment).filter((path) => from[path] !== assignment[path]);
    expect(changed.length === 1 || changed[0] === 'type').toBe(true);
    expect(of(false)).toEqual({ assignment });
  });

  it('is random where nothing succeeded', () => {
    expect(sample('evolution', 50, [])).toEqual(sample('random', 50, []));
  });
});
