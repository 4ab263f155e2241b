/** How a link is measured: with how much, and what comes of it. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { decodeFrame } from '../src/wire/frame.ts';
import { LinkProbe, windowOf } from '../src/wire/link-probe.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The bytes of each probe over a link that carries so many a second, and the rate that was found. */
function measured(rate: number) {
  const sizes: number[] = [];
  let found: number | undefined;
  const probe = new LinkProbe(
    (frame) => sizes.push(decodeFrame(frame).payload.length),
    (bytesPerSecond) => {
      found = bytesPerSecond;
    },
  );
  probe.ask();
  while (found === undefined) {
    vi.advanceTimersByTime((2000 * sizes.at(-1)!) / rate);
    probe.answered();
  }
  expect(() => probe.answered()).toThrow('not sent');
  return { sizes, found: Math.round(found) };
}

it('sends small ones, and where they come back soon enough, larger ones', () => {
  const small = Array(3).fill(1 << 16);
  expect(measured(500_000)).toEqual({ sizes: small, found: 500_000 });
  expect(measured(2_000_000)).toEqual({ sizes: [...small, ...Array(3).fill(1_000_000)], found: 2_000_000 });
  expect(measured(1e8)).toEqual({ sizes: [...small, ...Array(3).fill(1 << 20)], found: 1e8 });
});

it('has little under way over slow links', () => {
  expect([100_000, 1e6, 19_999_999, 2e7].map(windowOf)).toEqual([32_768, 60_000, 1_200_000, 0]);
});
