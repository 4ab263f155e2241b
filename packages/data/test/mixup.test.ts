import { keyOfSeed } from '@kasane/tensor/random';
import { describe, expect, it } from 'vitest';
import { mixUp } from '../src/images/mixup.ts';

const key = keyOfSeed(1);
const ids = Uint32Array.of(7, 2, 900);
const mixed = (order: Uint32Array, epoch: number, { alpha = 1, classes = true, seed = key } = {}) => {
  const x = Float32Array.from([...order].flatMap((id) => [id, -id]));
  const targets = classes ? Int32Array.from(order, (id) => id % 10) : Float32Array.from(order, (id) => id);
  return { x, targets: mixUp(x, targets, order, epoch, { alpha, classes }, seed) };
};

describe('mixup', () => {
  it('gives each sample and its next one their shares, and says both classes', () => {
    const { x, targets } = mixed(ids, 0);
    for (const [i, id] of ids.entries()) {
      const next = ids[(i + 1) % 3]!;
      const [own, other, share] = targets.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
      expect([own, other]).toEqual([id % 10, next % 10]);
      expect(share).toBeGreaterThan(0);
      expect(share).toBeLessThan(1);
      expect(x[2 * i]).toBeCloseTo(share * id + (1 - share) * next, 3);
      expect(x[2 * i + 1]).toBe(-x[2 * i]!);
    }
  });

  it('mixes targets that are numbers as it does inputs', () => {
    const { x, targets } = mixed(ids, 0, { classes: false });
    expect([...targets]).toEqual([x[0], x[2], x[4]]);
  });

  it('draws by seed, epoch and sample, whatever comes with it', () => {
    const shareOf = (order: readonly number[], epoch: number, seed = key) =>
      mixed(Uint32Array.from(order), epoch, { seed }).targets[2];
    expect(shareOf([7, 2, 900], 3)).toBe(shareOf([7, 1], 3));
    const others = [shareOf([7], 4), shareOf([8], 3), shareOf([7], 3, keyOfSeed(2))];
    expect(new Set([...others, shareOf([7], 3)]).size).toBe(4);
    // One sample has nobody to be mixed with.
    expect([...mixed(Uint32Array.of(7), 3).x]).toEqual([7, -7]);
  });

  it.each([0.05, 0.2, 1])('draws shares of Beta(%d, the same)', (alpha) => {
    const many = Uint32Array.from({ length: 4000 }, (_, id) => id);
    const { targets } = mixed(many, 0, { alpha });
    const shares = [...many].map((_, i) => targets[3 * i + 2]!);
    const mean = shares.reduce((a, b) => a + b) / shares.length;
    const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length;
    expect(mean).toBeCloseTo(0.5, 1);
    expect(variance / (1 / (8 * alpha + 4))).toBeCloseTo(1, 1);
  });
});
