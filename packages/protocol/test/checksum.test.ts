import { Checksum, checksum } from '@kasane/protocol/internal/wire/checksum';
import { describe, expect, it } from 'vitest';

/** The definition, word by word. */
function plain(data: Uint8Array): number {
  const P = 0x9e3779b1;
  const round = (h: number, word: number) => {
    const mixed = h ^ word;
    return Math.imul((mixed << 13) | (mixed >>> 19), P);
  };
  const padded = new Uint8Array(Math.ceil(data.length / 128) * 128);
  padded.set(data);
  const view = new DataView(padded.buffer);
  const lanes = Array.from({ length: 32 }, (_, lane) => Math.imul(lane + 1, P));
  for (let word = 0; word < padded.length / 4; word++)
    lanes[word % 32] = round(lanes[word % 32]!, view.getInt32(4 * word, true));
  return lanes.reduce(round, data.length) >>> 0;
}

const bytes = (length: number) =>
  Uint8Array.from({ length }, (_, index) => (index * 167 + (index >> 8)) & 0xff);

describe('checksum', () => {
  it.each([0, 1, 127, 128, 129, 4096, 16_384, 16_385, 100_003])(
    'is its definition over %i bytes',
    (length) => {
      expect(checksum(bytes(length))).toBe(plain(bytes(length)));
    },
  );

  it('is the same of pieces, with that of the pieces so far on the way', () => {
    const data = bytes(100_003);
    const sum = new Checksum();
    for (const [start, end] of [
      [0, 128],
      [128, 65_536],
      [65_536, data.length],
    ] as const)
      expect(sum.update(data.subarray(start, end)).value).toBe(checksum(data.subarray(0, end)));
    expect(sum.reset().update(data).value).toBe(checksum(data));
  });

  it('reads views at any offset', () => {
    const data = bytes(1000);
    expect(checksum(data.subarray(3, 903))).toBe(checksum(data.slice(3, 903)));
  });

  it('changes with every single bit, with the length, and when two words change places', () => {
    const data = bytes(300);
    const right = checksum(data);
    for (let bit = 0; bit < 8 * data.length; bit++) {
      const damaged = data.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(checksum(damaged)).not.toBe(right);
    }
    expect(checksum(Uint8Array.of(...data, 0))).not.toBe(right);
    const swapped = data.slice();
    swapped.copyWithin(0, 128, 132);
    swapped.set(data.subarray(0, 4), 128);
    expect(checksum(swapped)).not.toBe(right);
  });

  it('sees two sign bits flipped at any distance', () => {
    const data = bytes(1024);
    const right = checksum(data);
    for (let other = 7; other < data.length; other += 4) {
      const damaged = data.slice();
      damaged[3]! ^= 0x80;
      damaged[other]! ^= 0x80;
      expect(checksum(damaged)).not.toBe(right);
    }
  });
});
