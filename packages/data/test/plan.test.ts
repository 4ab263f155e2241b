import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputReader, normalizationTable, normalizeInto } from '../src/normalize.ts';
import { planEpoch, planEvaluation, type Range } from '../src/plan.ts';
import { epochPermutation, SampleOrder } from '../src/shuffle.ts';

const tile = (ranges: readonly Range[], samples: number) => {
  let reached = 0;
  for (const { start, end } of ranges) {
    if (start !== reached || end <= start) return false;
    reached = end;
  }
  return reached === samples;
};

describe('plan of an epoch', () => {
  it('counts every sample exactly once, in shards of nearly equal size', () => {
    const sizes = {
      samples: fc.integer({ min: 1, max: 500 }),
      batch: fc.integer({ min: 1, max: 90 }),
      shards: fc.integer({ min: 1, max: 9 }),
    };
    fc.assert(
      fc.property(fc.record(sizes), ({ samples, batch, shards }) => {
        const plan = planEpoch({ samples, batch, shards });
        const steps = Array.from({ length: plan.stepsPerEpoch }, (_, step) => plan.shards(step));
        expect(tile(steps.flat(), samples)).toBe(true);
        for (const [step, ranges] of steps.entries()) {
          for (let shard = -1; shard <= shards; shard++)
            expect(plan.shard(step, shard)).toEqual(ranges[shard]);
          const lengths = ranges.map(({ start, end }) => end - start);
          expect(lengths.length).toBeLessThanOrEqual(shards);
          expect(lengths[0]! - lengths.at(-1)!).toBeLessThanOrEqual(1);
          for (const length of lengths) expect(plan.shardSizes()).toContain(length);
        }
      }),
    );
  });

  it('cuts MNIST at batch 128 into 468 full steps and one of 96', () => {
    const plan = planEpoch({ samples: 60_000, batch: 128, shards: 2 });
    expect(plan.stepsPerEpoch).toBe(469);
    expect(plan.shards(468)).toEqual([
      { start: 59_904, end: 59_952 },
      { start: 59_952, end: 60_000 },
    ]);
    expect(plan.shardSizes()).toEqual([64, 48]);
    expect(() => plan.shards(469)).toThrow(RangeError);
  });

  it('covers the test set', () => {
    expect(tile(planEvaluation({ samples: 10_000, shardSamples: 999 }), 10_000)).toBe(true);
  });
});

describe('shuffling', () => {
  it('is a permutation that depends on seed and epoch', () => {
    const of = (seed: number, epoch: number) => epochPermutation(1000, seed, epoch);
    expect([...of(1, 0)].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(of(1, 0)).toEqual(of(1, 0));
    expect(of(1, 0)).not.toEqual(of(1, 1));
    expect(of(1, 0)).not.toEqual(of(2 ** 32 + 1, 0));
  });

  it('stays the same, whoever draws it', () => {
    const digest = (samples: number, seed: number, epoch: number) => {
      const order = epochPermutation(samples, seed, epoch);
      return crc32(new Uint8Array(order.buffer));
    };
    expect([...epochPermutation(8, 1, 0)]).toEqual([4, 6, 0, 5, 2, 1, 7, 3]);
    expect(digest(60_000, 1, 9)).toBe(592_476_480);
    expect(digest(200_000, 2 ** 40 + 3, 7)).toBe(2_684_753_209);
  });

  it('has no favourite: each value lands everywhere about equally often', () => {
    const counts = new Uint32Array(36);
    for (let epoch = 0; epoch < 6000; epoch++) {
      for (const [at, value] of epochPermutation(6, 7, epoch).entries()) counts[6 * at + value]!++;
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    // 25 degrees of freedom: beyond 60 with probability 1e-4; the draws are fixed, so this cannot flicker.
    expect(chiSquare).toBeLessThan(60);
  });
});

it('normalises as (v / 255 - mean) / std', () => {
  const out = new Float32Array(3);
  normalizeInto(Uint8Array.of(0, 255, 51), normalizationTable(0.5, 0.25), out);
  expect([...out]).toEqual([-2, 2, Math.fround(-1.2)]);
});

it('normalises pixels that begin and end anywhere in memory', () => {
  const bytes = Uint8Array.from({ length: 40 }, (_, index) => 37 * index);
  const table = normalizationTable(0.25, 0.5);
  for (let start = 0; start < 5; start++)
    for (let end = start; end < 24; end++) {
      const out = new Float32Array(end - start + 1).fill(7);
      normalizeInto(bytes.subarray(start, end), table, out);
      expect([...out]).toEqual([...bytes.subarray(start, end)].map((byte) => table[byte]).concat(7));
    }
});

it('normalises each channel by its own mean, or all by one, and refuses another number of means', () => {
  const field = { dtype: 'u8', shape: [1, 2, 3] } as const;
  const out = new Float32Array(6);
  inputReader(field, [0, 0.5, 1], [1, 0.5, 2])(Uint8Array.of(255, 255, 255, 0, 0, 0), out);
  expect([...out]).toEqual([1, 1, 0, 0, -1, -0.5]);
  inputReader(field, [0.5], [0.5])(Uint8Array.of(255, 255, 255, 0, 0, 0), out);
  expect([...out]).toEqual([1, 1, 1, -1, -1, -1]);
  expect(() => inputReader(field, [0, 0], [1, 1])).toThrow(/2 means .* 1 x 2 x 3/);
});

it('makes a large order in pieces, the same as at once', async () => {
  const samples = 100_000;
  const order = new SampleOrder(samples, 3);
  let turns = 0;
  const counting = setInterval(() => turns++);
  await Promise.all([order.prepare(1), order.prepare(1)]);
  clearInterval(counting);
  expect(order.prepare(1)).toBeUndefined();
  expect(order.indices('train', 1, 0, samples)).toEqual(epochPermutation(samples, 3, 1));
  expect(turns).toBeGreaterThan(0);
});
