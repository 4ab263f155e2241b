/** What a job takes, by clocks that are set back. */
import { expect, it } from 'vitest';
import { elapsedSeconds } from '../src/job/elapsed.ts';

const epoch = {
  epoch: 1,
  trainLoss: 1,
  trainMetric: 0,
  testLoss: 1,
  testMetric: 0,
  endedAt: 0,
  testMetrics: {},
};
const history = [
  { ...epoch, seconds: 2 },
  { ...epoch, epoch: 2, seconds: 3 },
];

it('a clock that is set back makes no job shorter than its epochs', () => {
  const start = 1_000_000;
  expect(elapsedSeconds({ startedAt: start, endedAt: start + 7000, history })).toBe(7);
  expect(elapsedSeconds({ startedAt: start, endedAt: start - 3_600_000, history })).toBe(5);
  expect(elapsedSeconds({ startedAt: start, endedAt: 0, history }, start + 9000)).toBe(9);
  expect(elapsedSeconds({ startedAt: start, endedAt: 0, history: [] }, start - 9000)).toBe(0);
  expect(elapsedSeconds({ startedAt: 0, endedAt: 0, history: [] })).toBe(0);
});
