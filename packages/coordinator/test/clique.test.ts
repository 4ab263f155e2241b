import { describe, expect, it } from 'vitest';
import { closest } from '../src/peers/clique.ts';

/** Rates by pair, both ways; of the others nothing. */
const rates =
  (known: Readonly<Record<string, number>>, usual?: number) =>
  (a: string, b: string): number | undefined =>
    a + b in known ? known[a + b] : b + a in known ? known[b + a] : usual;

describe('workers that exchange gradients', () => {
  it('are all where all reach one another', () => {
    expect(closest(['a', 'b', 'c'], rates({}, 1e8))).toEqual(['a', 'b', 'c']);
  });

  it('are nobody where nobody reaches another', () => {
    expect(closest(['a', 'b'], rates({}))).toHaveLength(1);
    expect(closest([], rates({}))).toEqual([]);
  });

  it('leave out who is cut off, not those it is cut off from', () => {
    expect(closest(['a', 'b', 'c', 'd'], rates({ ab: 0, bc: 0, bd: 0 }, 1e8))).toEqual(['a', 'c', 'd']);
  });

  it('leave out one of two that do not reach one another: the later', () => {
    expect(closest(['a', 'b', 'c', 'd'], rates({ bd: 0 }, 1e8))).toEqual(['a', 'b', 'c']);
  });

  it('leave out a much slower one, where it is slow', () => {
    expect(closest(['a', 'b', 'c', 'd'], rates({ ab: 1e6, bc: 1e6, bd: 1e6 }, 1e7))).toEqual(['a', 'c', 'd']);
    expect(closest(['a', 'b', 'c', 'd'], rates({ ab: 1e8, bc: 1e8, bd: 1e8 }, 1e9))).toHaveLength(4);
  });

  it('are two even where their link is slow: there is nothing to compare it with', () => {
    expect(closest(['a', 'b'], rates({ ab: 1e5 }))).toEqual(['a', 'b']);
  });
});
