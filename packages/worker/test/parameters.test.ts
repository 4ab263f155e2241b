import { Checksum } from '@kasane/protocol/internal/wire/checksum';
import { bytesOf, type ParametersHeader } from '@kasane/protocol/internal/wire/frame';
import { floatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
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
    bytesOf(into).set(payload);
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
      bytesOf(into).set(bytes(1, 2));
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

describe('changes', () => {
  /** Four blocks of one parameter: two chunks. */
  const total = 4096;
  const chunk = 2048;
  const codec = floatCodec([{ offset: 0, size: total }], 'int8');
  const ones = (value: number, length = total) => new Float32Array(length).fill(value);
  const change = (value: number, length = total) => codec.encode(ones(value, length), 0).slice();
  function opened() {
    const missing: number[] = [];
    const store = new ParameterStore(total, { codec, onMissing: (version) => missing.push(version) });
    const whole = (version: number, value: number) =>
      give(store, header(version, 0, total, bytesOf(ones(value))), bytesOf(ones(value)));
    /** From the owner of a chunk. */
    const one = (version: number, part: 0 | 1, value = 1) =>
      store.receiveChunk(version, part * chunk, change(value, chunk), chunk);
    return { store, missing, whole, one };
  }
  const [first, last] = [
    (store: ParameterStore) => store.values[0],
    (store: ParameterStore) => store.values[total - 1],
  ];

  it('make a version of the one before, part by part, with its digest', () => {
    const { store, missing, whole } = opened();
    whole(5, 1);
    const result = bytesOf(ones(3));
    const half = result.subarray(0, 2 * total);
    store.receiveChanges({ ...header(6, 0, total, half), kind: 'changes' }, change(2, chunk));
    expect(store.newest).toEqual({ version: 6, floats: chunk });
    store.receiveChanges(
      { ...header(6, chunk, total, half, result.subarray(2 * total)), kind: 'changes' },
      change(2, chunk),
    );
    expect(store.version).toBe(6);
    expect(store.values).toEqual(ones(3));
    expect(missing).toEqual([]);
    const wrong = { ...header(7, 0, total, result), kind: 'changes' } as const;
    expect(() => store.receiveChanges(wrong, change(2))).toThrow('their digest does not match');
  });

  it('of a version that is not there are not taken, until one comes whole', () => {
    const { store, missing, whole } = opened();
    const of = (version: number, value: number) =>
      ({ ...header(version, 0, total, bytesOf(ones(value))), kind: 'changes' }) as const;
    whole(5, 1);
    store.receiveChanges(of(7, 9), change(2));
    expect(missing).toEqual([7]);
    expect([store.version, first(store)]).toEqual([undefined, 1]);
    whole(7, 4);
    store.receiveChanges(of(8, 5), change(1));
    expect([store.version, first(store)]).toEqual([8, 5]);
  });

  it('come from owners in any order, each added to the version that its chunk has', () => {
    const { store, whole, one } = opened();
    whole(5, 1);
    one(6, 1);
    expect(store.newest).toEqual({ version: 6, floats: 0 });
    // Its owner goes on to the next version while another is late.
    one(7, 1, 2);
    one(6, 0);
    one(6, 0);
    expect([store.version, first(store), last(store)]).toEqual([undefined, 2, 4]);
    one(7, 0, 4);
    expect([store.version, first(store), last(store)]).toEqual([7, 6, 4]);
  });

  it('wait for the version that they are of', () => {
    const { store, missing, whole, one } = opened();
    one(6, 0);
    one(6, 1);
    one(7, 0);
    whole(5, 1);
    expect([store.version, first(store), last(store)]).toEqual([undefined, 3, 2]);
    one(7, 1);
    expect([store.version, last(store)]).toEqual([7, 3]);
    expect(missing).toEqual([]);
    // Of a version that came after all.
    one(8, 1);
    store.rewind(7);
    one(8, 0);
    whole(7, 3);
    one(8, 1);
    expect([store.version, first(store), last(store)]).toEqual([8, 4, 4]);
  });

  it('are asked for whole where one has not come', () => {
    const { store, missing, whole, one } = opened();
    whole(5, 1);
    one(6, 0);
    one(7, 0);
    one(7, 1, 5);
    expect(missing).toEqual([7]);
    one(8, 0, 2);
    expect(store.version).toBeUndefined();
    whole(7, 20);
    one(8, 1, 2);
    expect([store.version, first(store), last(store)]).toEqual([8, 22, 22]);
    expect(missing).toEqual([7]);
    // Other chunks, while those before are not whole.
    one(9, 0);
    store.receiveChunk(10, 0, change(1, 1024), 1024);
    expect(missing).toEqual([7, 9]);
    whole(9, 30);
    for (const offset of [1024, 2048, 3072]) store.receiveChunk(10, offset, change(1, 1024), 1024);
    expect([store.version, first(store), last(store)]).toEqual([10, 31, 31]);
  });

  it('are not kept without end', () => {
    const { store, missing, whole, one } = opened();
    for (let version = 6; version < 100; version++) one(version, 0);
    whole(97, 1);
    one(98, 1);
    one(99, 1);
    expect([store.version, first(store), last(store)]).toEqual([99, 3, 3]);
    for (let version = 105; version < 110; version++) one(version, 1);
    expect(missing).toEqual([104]);
  });

  it('are refused of a job that has none', () => {
    const store = new ParameterStore(total);
    expect(() => store.receiveChanges({ ...header(1, 0, total), kind: 'changes' }, change(1))).toThrow(
      'that come whole',
    );
  });
});
