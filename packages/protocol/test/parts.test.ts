import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkFloatsFor, PartLayout } from '../src/wire/parts.ts';

const layouts = fc.record({
  floats: fc.integer({ min: 1, max: 3_000_000 }),
  owners: fc.integer({ min: 2, max: 64 }),
});
const layoutOf = ({ floats, owners }: { floats: number; owners: number }) =>
  new PartLayout({
    ...{ number: 1, step: 0, floats, chunkFloats: chunkFloatsFor(floats, owners, false) },
    owners: Array.from({ length: owners }, (_, index) => `w${index}`),
  });

describe('a layout of parts', () => {
  it('gives each float to one owner', () => {
    fc.assert(
      fc.property(layouts, (sizes) => {
        const layout = layoutOf(sizes);
        const own = layout.owners
          .flatMap((owner) => layout.chunksOf(owner))
          .sort((a, b) => a.start - b.start);
        expect(own[0]?.start).toBe(0);
        expect(own.at(-1)?.end).toBe(sizes.floats);
        for (const [index, { start }] of own.entries())
          if (index > 0) expect(start).toBe(own[index - 1]!.end);
      }),
      { numRuns: 50 },
    );
  });

  it('cuts a range where chunks end, and names who owns each piece', () => {
    fc.assert(
      fc.property(
        layouts,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (sizes, a, b) => {
          const layout = layoutOf(sizes);
          const [start, end] = [a, b]
            .map((part) => Math.floor(part * sizes.floats))
            .sort((x, y) => x - y) as [number, number];
          const pieces = layout.pieces({ start, end });
          expect(pieces.reduce((sum, piece) => sum + piece.end - piece.start, 0)).toBe(end - start);
          for (const piece of pieces) {
            const chunk = layout
              .chunksOf(piece.owner)
              .find((one) => one.start <= piece.start && piece.end <= one.end);
            expect(chunk).toBeDefined();
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each([2, 3, 4, 8])('has the coordinator send as much as it receives, to %i owners alike', (count) => {
    const owners = Array.from({ length: count }, (_, index) => `w${index}`);
    const floats = count * (count - 1) * 100;
    const about = { number: 1, step: 0, floats, chunkFloats: 1, owners };
    const layout = new PartLayout({ ...about, relays: true });
    expect(layout.relayed).toHaveLength(floats / (count - 1));
    const sentTo = owners.map(
      (owner) => layout.relayed.filter(({ start }) => layout.ownerOf(start) !== owner).length,
    );
    expect(new Set(sentTo)).toEqual(new Set([floats / count]));
    expect(new PartLayout(about).relayed).toEqual([]);
  });

  it('has a few chunks for each owner, and none that is tiny', () => {
    expect(chunkFloatsFor(11_000_000, 8, false)).toBe(65_536);
    expect(chunkFloatsFor(800_000, 8, false)).toBe(6 * 1024);
    expect(chunkFloatsFor(1000, 64, false)).toBe(1024);
    expect(chunkFloatsFor(11_000_000, 8, true)).toBe(16_384);
    expect(chunkFloatsFor(800_000, 8, true)).toBe(6 * 1024);
  });
});
