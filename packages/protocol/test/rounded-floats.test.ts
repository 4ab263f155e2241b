import { openRounder } from '@kasane/tensor/internal/backends/wasm/rounding';
import { buildModel } from '@kasane/tensor/nn/model';
import { describe, expect, it } from 'vitest';
import { exchangedBytes, type FloatCodec, floatCodec } from '../src/wire/rounded-floats.ts';

const { parameters, parameterCount: floats } = buildModel({
  input: [61],
  classes: 10,
  layers: [{ type: 'dense', units: 301 }, { type: 'batchNorm' }, { type: 'dense', units: 10 }],
});
const numbers = Float32Array.from(
  { length: floats },
  (_, i) => Math.sin(1 + i * 1.618) * 2 ** ((i % 40) - 20),
);
const node = { step: 1, first: 0, count: 1 };
const weight = parameters[0]!;
const decoded = (codec: FloatCodec, bytes: Uint8Array, start: number) => {
  const into = new Float32Array(codec.count(bytes, start));
  codec.decode(bytes, start, into);
  return into;
};

describe.each([
  ['f32', 4],
  ['bf16', 2],
  ['int8', 1],
] as const)('%s', (precision, bytesEach) => {
  const codec = floatCodec(parameters, precision);
  const rounded = numbers.slice();
  if (precision !== 'f32') openRounder(parameters, { precision, seed: 1 }).round(rounded, 0, floats, node);

  it('loses nothing of what has been rounded, whole and in parts', () => {
    rounded.fill(0, 3000, 3010);
    const bytes = codec.encode(rounded, 0).slice();
    expect(exchangedBytes(parameters, precision)).toBe(bytes.length);
    const statistics = parameters.reduce((sum, { size, statistic }) => sum + (statistic ? size : 0), 0);
    expect(bytes.length).toBeLessThanOrEqual(
      (bytesEach + 1 / 512) * floats + (4 - bytesEach) * statistics + 10,
    );
    expect(decoded(codec, bytes, 0)).toEqual(rounded);
    const cuts = [0, 1024, 3 * 1024, ...parameters.map(({ offset, size }) => offset + size)].sort(
      (a, b) => a - b,
    );
    for (const [index, end] of cuts.slice(1).entries()) {
      const part = rounded.subarray(cuts[index], end);
      if (part.length > 0)
        expect(decoded(codec, codec.encode(part, cuts[index]!), cuts[index]!)).toEqual(part);
    }
  });

  it('keeps what is not finite', () => {
    const bad = rounded.slice();
    bad[weight.offset + 5] = Number.NaN;
    bad[2100] = Number.POSITIVE_INFINITY;
    const found = decoded(codec, codec.encode(bad, 0), 0);
    for (const [i, value] of found.entries())
      if (!Number.isFinite(bad[i])) expect(Number.isFinite(value)).toBe(false);
    expect(found.subarray(3 * 1024)).toEqual(rounded.subarray(3 * 1024));
  });

  it('takes the largest and the least', () => {
    for (const value of [127 * 2 ** 121, -(2 ** -126), 2 ** -120]) {
      const same = new Float32Array(floats).fill(value);
      expect(decoded(codec, codec.encode(same, 0), 0)).toEqual(same);
    }
  });

  it('refuses bytes that are no floats of the model', () => {
    const bytes = codec.encode(rounded, 0).slice();
    if (bytesEach > 1 || precision === 'int8') {
      expect(() => decoded(codec, bytes.subarray(0, 1001), 0)).toThrow();
      if (precision === 'f32') return;
      expect(() => decoded(codec, Uint8Array.of(...bytes, 1, 2, 3, 4, 5, 6, 7, 8), 0)).toThrow(
        'not whole blocks',
      );
      expect(() => decoded(codec, bytes.subarray(0, 0), 0)).toThrow('not whole blocks');
      expect(() => decoded(codec, bytes, floats)).toThrow('not whole blocks');
    }
  });
});

it('adds changes, and takes statistics as they are', () => {
  const codec = floatCodec(parameters, 'int8');
  const start = 1024;
  const [changes, into] = [
    new Float32Array(floats - start).fill(2),
    new Float32Array(floats - start).fill(1),
  ];
  codec.add(codec.encode(changes, start), start, into);
  for (const { offset, size, statistic } of parameters)
    for (let i = Math.max(offset, start); i < offset + size; i++)
      expect(into[i - start]).toBe(statistic ? 2 : 3);
});

it('refuses a scale that there is not', () => {
  const codec = floatCodec(parameters, 'int8');
  const bytes = codec.encode(numbers, 0).slice();
  for (const exponent of [0, 250, 254]) {
    bytes[0] = exponent;
    expect(() => decoded(codec, bytes, 0)).toThrow(`exponent ${exponent} is out of range`);
  }
});
