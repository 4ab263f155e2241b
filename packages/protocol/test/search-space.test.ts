/** What a search assigns, and the job that a trial gets from it. */
import { describe, expect, it } from 'vitest';
import { checkJob } from '../src/job/job.ts';
import { jobOfTrial } from '../src/job/job-search.ts';
import type { ParameterSpec, SearchSpec } from '../src/job/search-schema.ts';
import { assign, gridPoints, placeOf, valueAt } from '../src/job/search-space.ts';

describe('the job of a trial', () => {
  const base = { name: 'a', model: { input: [4], layers: [{ type: 'dense', units: 4 }, { type: 'relu' }] } };

  it('has the values at their paths, and leaves the base as it is', () => {
    const before = JSON.stringify(base);
    expect(jobOfTrial(base, { 'model.layers.0.units': 9, 'training.optimizer.type': 'sgd' })).toEqual({
      name: 'a',
      model: { input: [4], layers: [{ type: 'dense', units: 9 }, { type: 'relu' }] },
      training: { optimizer: { type: 'sgd' } },
    });
    expect(JSON.stringify(base)).toBe(before);
  });

  it('may have whole sections, and keys inside of them', () => {
    const job = jobOfTrial(base, {
      'model.layers': [{ type: 'dense', units: 2 }],
      'model.layers.0.units': 3,
    });
    expect(job.model).toEqual({ input: [4], layers: [{ type: 'dense', units: 3 }] });
  });

  it('is not fooled by names that every object has', () => {
    for (const path of ['__proto__.polluted', 'constructor.x', 'training.toString'])
      expect(() =>
        checkJob(jobOfTrial({ name: 'a', model: { preset: 'mnist-mlp' } }, { [path]: 1 })),
      ).toThrow(/unknown key/);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe('conditions', () => {
  const parameters = {
    depth: { integers: [1, 3], step: 1, log: false },
    second: { choices: ['a', 'b'], when: { depth: [2, 3] } },
    third: { uniform: [0, 1], when: { depth: 3, second: 'b' } },
  } satisfies SearchSpec['parameters'];
  const at = (place: number) => assign(parameters, (parameter) => valueAt(parameter, place));

  it('leave out what they do not allow, and what depends on that', () => {
    expect(at(0.1)).toEqual({ depth: 1 });
    expect(at(0.5)).toEqual({ depth: 2, second: 'b' });
    expect(at(0.9)).toEqual({ depth: 3, second: 'b', third: 0.9 });
    expect([...gridPoints({ ...parameters, third: { ...parameters.third, points: 2 } })]).toHaveLength(
      1 + 2 + 1 + 2,
    );
  });
});

describe('places of values', () => {
  const ranges: readonly Exclude<ParameterSpec, { choices: unknown }>[] = [
    { uniform: [-5, 10] },
    { log: [1e-6, 10] },
    { integers: [16, 130], step: 16, log: false },
    { integers: [1, 1000], step: 1, log: true },
  ];

  it.each(ranges)('of %j lead back to them', (range) => {
    const [low, high] = Object.values(range)[0] as readonly [number, number];
    for (let step = 0; step <= 50; step++) {
      const value = valueAt(range, step / 50) as number;
      expect(value).toBeGreaterThanOrEqual(low);
      expect(value).toBeLessThanOrEqual(high);
      expect(valueAt(range, placeOf(range, value))).toBeCloseTo(value, 5);
    }
    expect(valueAt(range, 0)).toBe(low);
  });

  it('give each whole number the same share', () => {
    const counts = new Map<unknown, number>();
    for (let n = 0; n < 700; n++) {
      const value = valueAt({ integers: [16, 112], step: 16, log: false }, n / 700);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    expect([...counts]).toEqual([16, 32, 48, 64, 80, 96, 112].map((value) => [value, 100]));
  });
});
