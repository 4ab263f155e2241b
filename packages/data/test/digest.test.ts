import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { sha256InTurns } from '../src/packed/digest.ts';

it.each([0, 1, 4 << 20, (12 << 20) + 5])(
  '%i bytes: the same as at once, with turns for others',
  async (size) => {
    const bytes = new Uint8Array(size).fill(7);
    let turns = 0;
    let over = false;
    const count = () => {
      turns++;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    expect(await sha256InTurns(bytes)).toBe(createHash('sha256').update(bytes).digest('hex'));
    over = true;
    expect(turns).toBeGreaterThanOrEqual(Math.max(0, Math.ceil(size / (4 << 20)) - 1));
  },
);
