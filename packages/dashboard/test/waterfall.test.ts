import { expect, it } from 'vitest';
import { timesUpTo } from '../src/page/waterfall.ts';

it.each([
  [100, 5, [0, 20, 40, 60, 80, 100]],
  [11.6, 3, [0, 5, 10]],
  [0.9, 9, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]],
  [1999, 1, [0]],
])('has times up to %d ms, about %d of them', (end, most, times) => {
  const found = timesUpTo(end, most);
  expect(found).toHaveLength(times.length);
  for (const [index, time] of times.entries()) expect(found[index]).toBeCloseTo(time, 9);
});
