import { describe, expect, it } from 'vitest';
import { sampleToken } from '../src/sampling.ts';

const scores = [1, 3, 2, 3, -4];
const draws = (options: object, count = 4000) => {
  const counts = scores.map(() => 0);
  for (let place = 0; place < count; place++) counts[sampleToken(scores, place, options)]! += 1 / count;
  return counts;
};

describe('sampleToken', () => {
  it('takes the first of the best at temperature 0, and with one candidate', () => {
    expect(sampleToken(scores, 5, { temperature: 0 })).toBe(1);
    expect(draws({ topK: 1 }, 50)).toEqual([0, expect.closeTo(1, 9), 0, 0, 0]);
  });

  it('draws as softmax(scores / temperature) says, from the best of them', () => {
    for (const [temperature, topK] of [
      [1, 0],
      [2, 0],
      [0.5, 3],
    ] as const) {
      const kept = topK === 3 ? [1, 2, 3] : [0, 1, 2, 3, 4];
      const powers = scores.map((score, token) => (kept.includes(token) ? Math.exp(score / temperature) : 0));
      const total = powers.reduce((a, b) => a + b);
      draws({ temperature, topK }).forEach((part, token) => {
        expect(Math.abs(part - powers[token]! / total)).toBeLessThan(0.03);
      });
    }
  });

  it('draws the same for the same seed and place, other things otherwise', () => {
    const run = (seed: number) =>
      Array.from({ length: 40 }, (_, place) => sampleToken(scores, place, { seed }));
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
    expect(new Set(run(7)).size).toBeGreaterThan(1);
  });

  it('never takes what is no number or excluded', () => {
    expect(sampleToken([Number.NaN, -5, Number.NEGATIVE_INFINITY], 0)).toBe(1);
    expect(() => sampleToken([Number.NaN], 0)).toThrow('all scores are NaN');
  });
});
