import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors, SafetensorsError } from '../src/io/safetensors.ts';
import type { NamedTensor } from '../src/named-tensor.ts';

const tensors: NamedTensor[] = [
  { name: 'dense1.weight', shape: [2, 3], data: Float32Array.of(1, -0, 1e-40, Infinity, 3.5, -7) },
  { name: '10', shape: [1], data: Float32Array.of(10) },
  { name: '2', shape: [1], data: Float32Array.of(2) },
  { name: 'scalar "quoted" \u91cd', shape: [], data: Float32Array.of(42) },
  { name: 'nothing', shape: [0, 4], data: new Float32Array() },
  { name: '__proto__', shape: [1], data: Float32Array.of(5) },
];

/** A file with this header and this many bytes after it. */
function fileOf(header: unknown, bodyBytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + bodyBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

const entry = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => ({
  dtype,
  shape,
  data_offsets: offsets,
});

describe('safetensors', () => {
  it('comes back as it went, in order, whatever the names', () => {
    const { tensors: back, metadata } = decodeSafetensors(
      encodeSafetensors(tensors, { format: 'pt', note: '1' }),
    );
    expect(metadata).toEqual({ format: 'pt', note: '1' });
    const byName = new Map(back.map((tensor) => [tensor.name, tensor]));
    for (const { name, shape, data } of tensors) {
      expect(byName.get(name)!.shape).toEqual(shape);
      expect(new Uint32Array(byName.get(name)!.data.buffer)).toEqual(new Uint32Array(data.buffer));
    }
    expect(back).toHaveLength(tensors.length);
  });

  it('writes the layout that the format prescribes', () => {
    const bytes = encodeSafetensors([{ name: 'a', shape: [2], data: Float32Array.of(1, 2) }], { k: 'v' });
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect((8 + length) % 8).toBe(0);
    const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
    expect(header.trimEnd()).toBe(
      '{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    );
    expect(header).toMatch(/} *$/);
    expect([...new Float32Array(bytes.slice(8 + length).buffer)]).toEqual([1, 2]);
  });

  it('reads half precision, every number of it, and skips other types when asked', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const file = (dtype: string) => {
      const header = { a: entry([65536], [0, 131072], dtype), n: entry([], [131072, 131080], 'I64') };
      const bytes = fileOf(header, 131080);
      bytes.set(new Uint8Array(all.buffer), bytes.length - 131080);
      return decodeSafetensors(bytes, { others: 'skip' }).tensors;
    };
    const [half] = file('F16');
    expect(file('F16')).toHaveLength(1);
    // One of each kind: zero, subnormal, one, largest, infinite, negative.
    const known = {
      0: 0,
      1: 2 ** -24,
      1023: 1023 * 2 ** -24,
      15360: 1,
      31743: 65504,
      31744: Infinity,
      49536: -2.75,
    };
    for (const [bits, value] of Object.entries(known)) expect(half!.data[Number(bits)]).toBe(value);
    expect(half!.data[0x7c01]).toBeNaN();
    const [brain] = file('BF16');
    const bits = new Uint32Array(brain!.data.buffer);
    expect(bits.every((value, i) => value === i * 65536)).toBe(true);
  });

  it('gives the same bytes for the same tensors, in views and shared memory too', () => {
    const shared = new Float32Array(new SharedArrayBuffer(64), 4, 6);
    shared.set(tensors[0]!.data);
    const again = [{ ...tensors[0]!, data: shared }, ...tensors.slice(1)];
    expect(encodeSafetensors(again)).toEqual(encodeSafetensors(tensors));
  });

  it('reads from an unaligned view', () => {
    const bytes = encodeSafetensors(tensors);
    const moved = new Uint8Array(bytes.length + 3);
    moved.set(bytes, 3);
    expect(decodeSafetensors(moved.subarray(3))).toEqual(decodeSafetensors(bytes));
  });

  it('refuses to write what does not fit', () => {
    const data = Float32Array.of(1);
    expect(() => encodeSafetensors([{ name: 'a', shape: [2], data }])).toThrow(
      /'a': shape \[2\] does not fit 1/,
    );
    const twice = { name: 'a', shape: [1], data };
    expect(() => encodeSafetensors([twice, twice])).toThrow(/'a' is already in use/);
    expect(() => encodeSafetensors([{ ...twice, name: '__metadata__' }])).toThrow(/already in use/);
  });

  const whole = encodeSafetensors(tensors.slice(0, 1));
  it.each([
    ['nothing', new Uint8Array(), /0 bytes are too few/],
    ['no header', whole.slice(0, 20), /not the length of a header.* or truncated/],
    [
      'half the numbers',
      whole.slice(0, -4),
      /tensors end at byte 24, but 20 bytes follow.*truncated; copy it again/,
    ],
    ['bytes behind', Uint8Array.from([...whole, 0]), /but 25 bytes follow/],
    ['a huge header', new Uint8Array(16).fill(255), /its first eight bytes are not the length of a header/],
    ['another file', new TextEncoder().encode('PK\x03\x04 this is a zip file'), /it is a ZIP file/],
    ['no JSON', fileOf('{"a":', 0), /not JSON/],
    ['a list', fileOf('[]', 0), /does not start with '\{'/],
    ['no UTF-8', fileOf('{"\xff"', 0).map((byte, i) => (i === 10 ? 255 : byte)), /not JSON in UTF-8/],
    [
      'metadata that is no text',
      fileOf({ __metadata__: { a: 1 } }, 0),
      /__metadata__ must map names to strings/,
    ],
    ['an entry that is none', fileOf({ a: 3 }, 0), /'a': its entry is not an object/],
    [
      'another type',
      fileOf({ a: entry([2], [0, 16], 'I64') }, 16),
      /'a': type "I64"; only F32, F16, BF16 and F64/,
    ],
    ['half as many bytes as a half has', fileOf({ a: entry([2], [0, 2], 'F16') }, 2), /needs 4/],
    ['a negative extent', fileOf({ a: entry([-1], [0, 4]) }, 4), /'a': shape is not a list/],
    ['a shape of text', fileOf({ a: entry('2', [0, 8]) }, 8), /'a': shape is not a list/],
    ['one offset', fileOf({ a: entry([1], [0]) }, 4), /data_offsets must be two/],
    [
      'backward offsets',
      fileOf({ a: entry([1], [4, 0]) }, 4),
      /4 to 0 are -4 bytes, but shape \[1\] needs 4/,
    ],
    ['an endless shape', fileOf({ a: entry([2 ** 40, 2 ** 40], [0, 4]) }, 4), /is too large/],
    ['offsets outside', fileOf({ a: entry([2], [0, 8]) }, 4), /end at byte 8, but 4 bytes follow/],
    ['a gap', fileOf({ a: entry([1], [4, 8]) }, 8), /'a' starts at byte 4, expected 0/],
    [
      'an overlap',
      fileOf({ a: entry([2], [0, 8]), b: entry([1], [4, 8]) }, 8),
      /'b' starts at byte 4, expected 8/,
    ],
    [
      'a name twice',
      fileOf(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        8,
      ),
      /expected 0/,
    ],
  ] as const)('refuses %s', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(message);
    expect(() => decodeSafetensors(bytes)).toThrow(SafetensorsError);
  });

  it('answers any damage to the header with its own error, or finds a well-formed file', () => {
    const bytes = encodeSafetensors(tensors, { format: 'pt' });
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = bytes.slice();
        damaged[at]! ^= flip;
        try {
          const total = decodeSafetensors(damaged).tensors.reduce((sum, { data }) => sum + data.length, 0);
          expect(total).toBeLessThanOrEqual(bytes.length / 4);
        } catch (error) {
          expect(error).toBeInstanceOf(SafetensorsError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
