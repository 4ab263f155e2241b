import { describe, expect, it } from 'vitest';
import { NetworkWait } from '../src/run/network-wait.ts';

const answer = (worker: string, computeMs: number, samplesMs = 0) => ({ worker, computeMs, samplesMs });
/** What is told of so many steps alike. */
function told(steps: number, stepMs: number, answers: readonly ReturnType<typeof answer>[]) {
  const wait = new NetworkWait();
  return Array.from({ length: steps }, () => wait.step({ stepMs, answers })).filter(
    (part) => part !== undefined,
  );
}

describe('the wait for the network', () => {
  it('is told once where it is more than the computation, after a while', () => {
    expect(told(4, 6000, [answer('a', 1000), answer('b', 900)])).toEqual([]);
    expect(told(60, 6000, [answer('a', 1000), answer('b', 900)])).toEqual([5 / 6]);
  });

  it('is not what workers compute one after the other, what samples take, or the work of coordinating', () => {
    expect(told(60, 2000, [answer('a', 900), answer('a', 900)])).toEqual([]);
    expect(told(60, 2000, [answer('a', 500, 1200)])).toEqual([]);
    expect(told(10_000, 15, [answer('a', 1)])).toEqual([]);
  });
});
