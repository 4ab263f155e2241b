import { Checksum } from '@kasane/protocol/internal/wire/checksum';
import { bytesOf, type ParametersHeader } from '@kasane/protocol/internal/wire/frame';
import { ParameterStore } from '@kasane/worker/internal/job/parameters';
import { describe, expect, it } from 'vitest';

const bytes = (...values: number[]) => bytesOf(Float32Array.from(values));
/** @param pieces what has come of the version when this part has */
const header = (
  version: number,
  offset: number,
  total: number,
  ...pieces: Uint8Array[]
): ParametersHeader => ({
  kind: 'parameters',
  job: 'j',
  version,
  partition: 0,
  offset,
  total,
  digest: pieces.reduce((sum, piece) => sum.update(piece), new Checksum()).value,
});
/** Hands a store a payload, as a data link does. */
const give = (store: ParameterStore, part: ParametersHeader, payload: Uint8Array) =>
  store.receive(part, payload.length / 4, (into) => {
    into.set(payload);
    return true;
  });

describe('ParameterStore', () => {
  it('is whole only when every part is there', async () => {
    const store = new ParameterStore(4);
    expect(store.version).toBeUndefined();
    give(store, header(7, 0, 4, bytes(1, 2)), bytes(1, 2));
    expect(store.version).toBeUndefined();
    give(store, header(7, 2, 4, bytes(1, 2), bytes(3, 4)), bytes(3, 4));
    expect(store.version).toBe(7);
    expect([...store.values]).toEqual([1, 2, 3, 4]);
    give(store, header(8, 0, 4, bytes(5, 6)), bytes(5, 6));
    expect(store.version).toBeUndefined();
  });

  it('takes no more of a version that chunks of a newer one have overtaken', () => {
    const store = new ParameterStore(4);
    give(store, header(6, 0, 4, bytes(1, 2)), bytes(1, 2));
    store.receiveChunk(7, 0, bytes(5, 6), 2);
    give(store, header(6, 2, 4, bytes(1, 2), bytes(3, 4)), bytes(3, 4));
    store.receiveChunk(7, 2, bytes(7, 8), 2);
    expect([store.version, ...store.values]).toEqual([7, 5, 6, 7, 8]);
  });

  it('goes back to a version that is computed with again', async () => {
    const store = new ParameterStore(4);
    give(store, header(6, 0, 4, bytes(1, 2)), bytes(1, 2));
    store.receiveChunk(7, 0, bytes(5, 6), 2);
    store.rewind(6);
    expect(store.newest.version).toBe(-1);
    const waiting = store.wait(6);
    // The rest of what was sent before, then all of it.
    give(store, header(6, 2, 4, bytes(1, 2), bytes(3, 4)), bytes(3, 4));
    give(store, header(6, 0, 4, bytes(1, 2)), bytes(1, 2));
    give(store, header(6, 2, 4, bytes(1, 2), bytes(3, 4)), bytes(3, 4));
    expect(await waiting).toBe(true);
    store.rewind(6);
    expect(store.version).toBe(6);
  });

  it('moves to other memory with what has come, in mid-version too', () => {
    const store = new ParameterStore(4);
    give(store, header(7, 0, 4, bytes(1, 2)), bytes(1, 2));
    const place = new Float32Array(new SharedArrayBuffer(16));
    const seen: object[] = [];
    store.moveTo(place, (arrival) => seen.push(arrival));
    give(store, header(7, 2, 4, bytes(1, 2), bytes(3, 4)), bytes(3, 4));
    expect(store.version).toBe(7);
    expect([...place]).toEqual([1, 2, 3, 4]);
    expect(store.values).toBe(place);
    give(store, header(8, 0, 4, bytes(5, 6)), bytes(5, 6));
    expect(seen).toEqual([
      { version: 7, floats: 4 },
      { version: 8, floats: 0 },
      { version: 8, floats: 2 },
    ]);
  });

  it('wakes those who wait for a version to begin, and takes what lies in shared memory without a digest', async () => {
    const store = new ParameterStore(4);
    const five = store.begun(5);
    const six = store.begun(6);
    const whole = store.wait(6);
    const { digest: _, ...shared } = header(6, 0, 4);
    store.receive(shared, 2, (into) => {
      into.set(bytes(1, 2));
      return true;
    });
    expect(await five).toBe(false);
    expect(await six).toBe(true);
    expect(await store.begun(6)).toBe(true);
    expect(await store.begun(5)).toBe(false);
    expect(store.newest).toEqual({ version: 6, floats: 2 });
    store.receive({ ...shared, offset: 2 }, 2, () => true);
    expect(await whole).toBe(true);
  });

  it('wakes those who wait for a version, and tells those whose version was left out', async () => {
    const store = new ParameterStore(1);
    const three = store.wait(3);
    const four = store.wait(4);
    const five = store.wait(5);
    give(store, header(4, 0, 1, bytes(1)), bytes(1));
    expect(await three).toBe(false);
    expect(await four).toBe(true);
    expect(await store.wait(4)).toBe(true);
    expect(await store.wait(2)).toBe(false);
    store.close();
    expect(await five).toBe(false);
    expect(await store.wait(9)).toBe(false);
  });

  it('waits for a later version where a part of one could not be had', async () => {
    const store = new ParameterStore(4);
    const three = store.wait(3);
    store.receive(header(3, 0, 4), 2, () => false);
    give(store, header(3, 2, 4), bytes(3, 4));
    expect(store.version).toBeUndefined();
    give(store, header(4, 0, 4, bytes(1, 2, 3, 4)), bytes(1, 2, 3, 4));
    expect(store.version).toBe(4);
    expect(await three).toBe(false);
  });

  it.each([
    ['a part that is too long', header(1, 2, 4), bytes(1, 2, 3)],
    ['a part of another model', header(1, 0, 5, bytes(1)), bytes(1)],
    ['a part that is no whole number of floats', header(1, 0, 4), new Uint8Array(3)],
    ['a part with a gap before it', header(1, 1, 4, bytes(1)), bytes(1)],
    ['a part that is not what was sent', header(1, 0, 4, bytes(1, 2)), bytes(1, 3)],
  ])('refuses %s', (_, part, payload) => {
    expect(() => give(new ParameterStore(4), part, payload)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL' }),
    );
  });
});
