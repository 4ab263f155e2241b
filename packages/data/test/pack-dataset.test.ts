/** Samples that a program makes become a dataset: what went in comes out, and what is no sample is refused by name. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSamples } from '../src/dataset.ts';
import { anywhere } from '../src/files/access.ts';
import { packDataset, type Sample, type SampleFields } from '../src/packed/pack-dataset.ts';
import { openPacked } from '../src/packed/packed.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-packing-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const tones: SampleFields = { input: { dtype: 'f32', shape: [2, 3] }, target: { classes: ['low', 'high'] } };
function* made(samples: number, from = 0): Generator<Sample> {
  for (let i = from; i < from + samples; i++)
    yield { input: Float32Array.from({ length: 6 }, (_, k) => i + k / 8), target: i % 3 === 0 ? 'high' : 0 };
}
const packed = (
  fields: SampleFields,
  train: Iterable<Sample> | AsyncIterable<Sample>,
  test: Iterable<Sample>,
) => packDataset(folder, fields, { train, test });

it('gives back the samples of an iterator, with classes by name or number', async () => {
  const { digest, train, test } = await packed(tones, made(7), made(2, 7));
  expect([train, test]).toEqual([7, 2]);
  const opened = await openPacked(folder, digest, anywhere);
  expect(opened.train).toMatchObject({ samples: 7, classes: 2, counts: [4, 3], input: tones.input });
  expect(opened.preparation).toEqual({ classes: ['low', 'high'] });
  const { inputs, targets } = await readSamples(opened.train, Uint32Array.of(6, 1));
  expect([...new Float32Array(inputs.buffer)].slice(5, 8)).toEqual([6.625, 1, 1.125]);
  expect([...new Int32Array(targets.buffer)]).toEqual([1, 0]);
});

it('takes an asynchronous one, in chunks, and tells how far it is', async () => {
  const large: SampleFields = {
    input: { dtype: 'u8', shape: [1024, 1024] },
    target: { shape: [] },
    mean: 0.5,
  };
  async function* slow() {
    for (let i = 0; i < 9; i++) yield { input: new Uint8Array(1 << 20).fill(i), target: i / 2 };
  }
  const told: number[] = [];
  const one = [{ input: new Uint8Array(1 << 20), target: -1 }];
  const options = { onProgress: (samples: number) => told.push(samples) };
  const { digest } = await packDataset(folder, large, { train: slow(), test: one }, options);
  expect(told).toEqual([3, 6, 9, 10]);
  const opened = await openPacked(folder, digest, anywhere);
  expect(opened.preparation).toEqual({ mean: 0.5, std: 1, shape: [1024, 1024] });
  expect(opened.train.ranges).toEqual([
    { name: 'target', least: { value: 0, at: 'train, sample:0' }, most: { value: 4, at: 'train, sample:8' } },
  ]);
  const { inputs } = await readSamples(opened.train, Uint32Array.of(8));
  expect(new Set(inputs)).toEqual(new Set([8]));
});

it.each([
  ['of an image', [2, 3]],
  ['of which there are many', [1001]],
])('numbers %s have one range together', async (_, shape) => {
  const size = shape.reduce((product, extent) => product * extent);
  const mask = (last: number) => ({ input: [0], target: new Float32Array(size).fill(last, size - 1) });
  const fields = { input: { dtype: 'f32', shape: [1] }, target: { shape } } as const;
  const { digest } = await packDataset(folder, fields, { train: [mask(1), mask(255)], test: [mask(1)] });
  const { train } = await openPacked(folder, digest, anywhere);
  expect(train.ranges).toEqual([
    {
      name: 'target',
      least: { value: 0, at: 'train, sample:0' },
      most: { value: 255, at: 'train, sample:1' },
    },
  ]);
});

it('equal samples give an equal digest, and an interrupted packing goes on', async () => {
  function* breaking() {
    yield* made(3);
    throw new Error('the disk of the recordings is gone');
  }
  await expect(packed(tones, breaking(), made(1))).rejects.toThrow('the disk of the recordings is gone');
  expect(existsSync(join(folder, 'index.json'))).toBe(false);
  const first = await packed(tones, made(3), made(1));
  const again = mkdtempSync(join(tmpdir(), 'kasane-packing-'));
  const second = await packDataset(again, tones, { train: made(3), test: made(1) });
  rmSync(again, { recursive: true });
  expect(second.digest).toBe(first.digest);
  await expect(packed(tones, made(3), made(1))).rejects.toThrow(`${folder}: it already contains packed data`);
});

it('keeps out of folders with other files', async () => {
  writeFileSync(join(folder, 'notes.txt'), '');
  await expect(packed(tones, made(3), made(1))).rejects.toThrow('it contains other files, such as notes.txt');
  expect(readdirSync(folder)).toEqual(['notes.txt']);
});

const numbers: SampleFields = { input: { dtype: 'f32', shape: [2] }, target: { shape: [2] } };
const tokens: SampleFields = {
  input: { dtype: 'i32', shape: [3] },
  target: { tokens: 5, shape: [3] },
};
const good = { input: [1, 2], target: [1, 2] };

describe('refuses, with the number of the sample', () => {
  it.each<[string, SampleFields, Sample, string]>([
    ['too few numbers', numbers, { input: [1], target: [1, 2] }, 'its input has 1 number; expected 2'],
    [
      'too few of a shape',
      tones,
      { input: [1], target: 'low' },
      'its input has 1 number; expected 6 ([2, 3])',
    ],
    ['one number for two', numbers, { input: [1, 2], target: 1 }, 'its target has 1 number; expected 2'],
    [
      'what is no number',
      numbers,
      { input: [1, Number.NaN], target: [1, 2] },
      'its input has NaN at 1; expected finite float32 numbers',
    ],
    [
      'what float32 cannot hold',
      numbers,
      { input: [1, 2], target: [1e39, 2] },
      'its target has 1e+39 at 0; expected finite float32 numbers',
    ],
    [
      'an unknown class',
      tones,
      { input: [1, 2, 3, 4, 5, 6], target: 'hihg' },
      "its target 'hihg' is none of the classes; did you mean 'high'?",
    ],
    [
      'a class that is too large',
      tones,
      { input: [1, 2, 3, 4, 5, 6], target: 2 },
      'its target has 2; expected a whole number from 0 to 1',
    ],
    ...(
      [
        [null, 'null'],
        ['', "''"],
        ['7', "'7'"],
        [true, 'true'],
        [[], 'a list'],
        [new Date(0), 'an object'],
        [1n, '1'],
      ] as const
    ).map(([value, shown]): [string, SampleFields, Sample, string] => [
      `${shown} in place of a number`,
      numbers,
      { input: [value, 2] as unknown as number[], target: [1, 2] },
      `its input has ${shown} at 0; expected finite float32 numbers`,
    ]),
    [
      'null in a target',
      numbers,
      { input: [1, 2], target: [null, 2] as unknown as number[] },
      'its target has null at 0; expected finite float32 numbers',
    ],
    [
      'no target',
      numbers,
      { input: [1, 2] } as unknown as Sample,
      'its target is undefined; expected numbers',
    ],
    [
      'a text for numbers',
      numbers,
      { input: '12', target: [1, 2] } as unknown as Sample,
      "its input is '12'; expected 2",
    ],
    ['nothing', numbers, undefined as unknown as Sample, 'it is undefined; expected { input, target }'],
    [
      'a name where numbers are',
      numbers,
      { input: [1, 2], target: 'low' },
      "its target is 'low'; expected numbers",
    ],
    [
      'a token beyond the vocabulary',
      tokens,
      { input: [1, 2, 3], target: [1, 2, 5] },
      'its target has 5; expected a whole number from -1 to 4',
    ],
    [
      'half a token',
      tokens,
      { input: [1, 2.5, 3], target: [1, 2, 3] },
      'its input has 2.5 at 1; expected whole numbers from 0 to 2147483647',
    ],
    ['no input', numbers, { target: [1, 2] } as unknown as Sample, 'its input is undefined; expected 2'],
  ])('%s', async (_, fields, sample, why) => {
    const first = fields === numbers ? [good] : [];
    await expect(packed(fields, [...first, sample], [])).rejects.toThrow(
      `train, sample ${first.length}: ${why}`,
    );
  });

  it('a pixel above 255', async () => {
    const fields: SampleFields = { input: { dtype: 'u8', shape: [1] }, target: { classes: ['a', 'b'] } };
    await expect(packed(fields, [{ input: [256], target: 'a' }], [])).rejects.toThrow(
      'train, sample 0: its input has 256 at 0; expected whole numbers from 0 to 255',
    );
  });
});

it.each<[string, Partial<SampleFields>, string]>([
  [
    'an unknown dtype',
    { input: { dtype: 'f64' as 'f32', shape: [1] } },
    "fields.input.dtype is 'f64'; expected u8, i32, f32",
  ],
  [
    'an empty extent',
    { input: { dtype: 'f32', shape: [0] } },
    'fields.input.shape is [0]; expected up to 8 whole numbers above 0',
  ],
  ['one class', { target: { classes: ['a'] } }, 'fields.target.classes has 1; expected at least 2'],
  ['a class twice', { target: { classes: ['a', 'a'] } }, "fields.target.classes: 'a' is listed twice"],
  [
    'no vocabulary',
    { target: { tokens: 1, shape: [2] } },
    'fields.target.tokens is 1; expected the size of the vocabulary',
  ],
  ['a mean of f32', { mean: 1 }, 'fields.mean and std apply to u8 input only; normalize f32 input yourself'],
])('refuses fields with %s', async (_, fields, why) => {
  await expect(packed({ ...numbers, ...fields }, [good], [good])).rejects.toThrow(why);
});

it('refuses a part without samples', async () => {
  await expect(packed(numbers, [good], [])).rejects.toThrow('test: it has no samples');
});

describe('refuses fields before anything is packed', () => {
  const pixels = { input: { dtype: 'u8', shape: [2, 2, 3] }, target: { classes: ['a', 'b'] } } as const;
  it.each<[unknown, string]>([
    [{ ...pixels, std: 0 }, 'fields.std is 0; expected a number above 0, or a list of one per channel (3)'],
    [{ ...pixels, std: [1, Number.NaN, 1] }, 'fields.std is [1,null,1]; expected'],
    [
      { ...pixels, mean: [0.5, 0.5] },
      'fields.mean is [0.5,0.5]; expected a number, or a list of one per channel (3)',
    ],
    [{ ...pixels, mean: '0.5' }, 'fields.mean is "0.5"; expected a number'],
    [
      { ...pixels, target: { classes: [8, 9] } },
      "fields.target.classes has 8 at 0; expected names, such as '8'",
    ],
    [{ ...pixels, target: { classes: ['\u00e9', 'e\u0301'] } }, 'is listed twice (compared as Unicode NFC)'],
    [{ ...pixels, input: { dtype: 'u8', shape: [2 ** 30, 2 ** 30] } }, 'expected at most 268435456 numbers'],
  ])('%j', async (fields, why) => {
    await expect(packed(fields as SampleFields, made(1), made(1))).rejects.toThrow(why);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([5, undefined, Promise.resolve([])])('parts that are no iterator: %s', async (part) => {
    await expect(packed(tones, part as unknown as Sample[], [])).rejects.toThrow(
      /^train is .*; expected an iterator of samples/,
    );
  });
});

it('takes class names as Unicode NFC, and a mean per channel with one deviation for all', async () => {
  const fields: SampleFields = {
    input: { dtype: 'u8', shape: [1, 2] },
    target: { classes: ['e\u0301', 'b'] },
    mean: [0.25, 0.5],
  };
  const samples = ['\u00e9', 'e\u0301', 'b'].map((target) => ({ input: [1, 2], target }));
  const { digest } = await packDataset(folder, fields, { train: samples, test: samples });
  const opened = await openPacked(folder, digest, anywhere);
  expect(opened.train.counts).toEqual([2, 1]);
  expect(opened.preparation).toMatchObject({ classes: ['\u00e9', 'b'], mean: [0.25, 0.5], std: [1, 1] });
});
