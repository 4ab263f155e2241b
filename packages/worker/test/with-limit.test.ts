import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { withLimit } from '../src/connection/with-limit.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it.each([
  ['done', () => Promise.resolve(1)],
  ['refused', () => Promise.reject(new Error('no'))],
])('ends with what it waits for, and leaves no timer: %s', async (_, wait) => {
  await withLimit(wait(), 1000);
  expect(vi.getTimerCount()).toBe(0);
});

it('waits for as long as it takes, within the limit', async () => {
  const ended: string[] = [];
  let finish = () => {};
  const slow = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const waiting = withLimit(slow, 1000).then(() => ended.push('slow'));
  await vi.advanceTimersByTimeAsync(999);
  expect(ended).toEqual([]);
  finish();
  await waiting;
  const never = withLimit(new Promise(() => {}), 1000).then(() => ended.push('never'));
  await vi.advanceTimersByTimeAsync(1000);
  await never;
  expect(ended).toEqual(['slow', 'never']);
  expect(vi.getTimerCount()).toBe(0);
});
