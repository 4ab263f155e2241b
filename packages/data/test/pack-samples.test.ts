/** Arrays, images and lists of files, packed sample by sample. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, expect, it } from 'vitest';
import { readSamples } from '../src/dataset.ts';
import { anywhere } from '../src/files/access.ts';
import { type DataOptions, openData } from '../src/open.ts';
import { packSamples } from '../src/packed/pack-samples.ts';
import { openPacked } from '../src/packed/packed.ts';
import { sampleOptions } from '../src/records/pack-options.ts';
import arrays from './support/array-files.json' with { type: 'json' };
import tables from './support/parquet-files.json' with { type: 'json' };

const folder = mkdtempSync(join(tmpdir(), 'kasane-pack-samples-'));
afterAll(() => rmSync(folder, { recursive: true }));
type Name = keyof typeof arrays;
const contentOf = (name: Name) => gunzipSync(Buffer.from(arrays[name], 'base64'));
const write = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
};
const file = (name: Name) => write(name.replace(/[<>? ]/g, '_'), contentOf(name));

let made = 0;
/** All samples of both parts as numbers. */
async function pack(path: string, given: object = {}) {
  const to = join(folder, `packed-${made++}`);
  const { digest, notes } = await packSamples(sampleOptions({ ...given, path }), to);
  const { train, test, preparation } = await openPacked(to, undefined, anywhere);
  const values = async (part: typeof train) => {
    const { inputs, targets } = await readSamples(
      part,
      Uint32Array.from({ length: part.samples }, (_, i) => i),
    );
    const read = (bytes: Uint8Array, dtype: string) =>
      dtype === 'u8'
        ? [...bytes]
        : [
            ...(dtype === 'f32'
              ? new Float32Array(bytes.slice().buffer)
              : new Int32Array(bytes.slice().buffer)),
          ];
    return { x: read(inputs, part.input.dtype), y: read(targets, part.target.dtype) };
  };
  return {
    digest,
    notes,
    input: train.input,
    target: train.target,
    preparation,
    train: await values(train),
    test: await values(test),
    samples: [train.samples, test.samples],
  };
}

it('.npy: pixels, with labels of every kind beside them', async () => {
  const target = file('labels.npy');
  const { input, samples, train, test, preparation, notes } = await pack(file('pixels.npy'), {
    target,
    validation: 0.25,
  });
  expect(input).toEqual({ dtype: 'u8', shape: [4, 3] });
  expect(samples).toEqual([9, 3]);
  expect(preparation).toMatchObject({ mean: 0, std: 1, classes: ['0', '1', '2'] });
  expect([...train.x, ...test.x].sort((a, b) => a - b)).toEqual(Array.from({ length: 144 }, (_, i) => i));
  expect(notes.at(-1)).toMatch(/25 % of the samples are held out for testing \(--set validation=/);
  for (const [name, classes] of [
    ['names.npy', ['cat', 'dog', 'été']],
    ['bytes.npy', ['cat', 'dog', 'fox']],
  ] as const) {
    const other = await pack(file('pixels.npy'), { target: file(name), validation: 0.25 });
    expect(other.preparation).toMatchObject({ classes });
    expect(other.train).toEqual(train);
  }
});

it.each(['<f2', '>f4', '<f8', '<i2', '>i8', '<u4', '?'] as const)(
  '.npy of %s holds its numbers',
  async (kind) => {
    const given = { target: file('of <f8.npy'), inputType: 'numbers', task: 'regression' };
    const { input, target, train, test } = await pack(file(`of ${kind}.npy`), given);
    expect([input, target]).toEqual([
      { dtype: 'f32', shape: [2] },
      { dtype: 'f32', shape: [2] },
    ]);
    const as = /f\d/.test(kind) ? (v: number) => v : kind === '?' ? Math.sign : Math.floor;
    expect(train.x).toEqual(train.y.map(as));
    expect(test.x).toEqual(test.y.map(as));
  },
);

it('.npz: the same as .npy, and the parts that its names tell', async () => {
  const { digest } = await pack(file('pixels.npy'), { target: file('labels.npy') });
  const { digest: other, notes } = await pack(file('plain.npz'));
  expect(other).toBe(digest);
  expect(notes.slice(0, 2)).toEqual([
    expect.stringMatching(/'x' is the input \(--set input=NAME\)$/),
    expect.stringMatching(/'y' is the target \(--set target=NAME\)$/),
  ]);
  const parts = await pack(file('parts.npz'));
  expect(parts.samples).toEqual([12, 6]);
  expect(parts.test.x).toEqual(parts.train.x.slice(0, 72));
  expect(parts.notes[0]).toMatch(
    /the arrays x_train, y_train are for training and x_test, y_test for testing/,
  );
});

it('tokens: to classify, and to predict the next one', async () => {
  const tokens = file('tokens.npy');
  const labelled = await pack(tokens, { target: file('labels.npy'), inputType: 'tokens' });
  expect(labelled.input).toEqual({ dtype: 'i32', shape: [6] });
  const path = write('ids.jsonl', '{"ids": [1, 2, 3, 4, 5]}\n{"ids": [6, 7]}\n{"ids": [6, 7, 8]}\n');
  await expect(pack(path, { task: 'next-token' })).rejects.toThrow(
    /ids\.jsonl:2: ids: it has 2 tokens, and the first sample 5\. Set --set context=N/,
  );
  const { input, target, train, test } = await pack(path, {
    task: 'next-token',
    context: 3,
    validation: 0.3,
  });
  expect([input, target]).toEqual([
    { dtype: 'i32', shape: [3] },
    { dtype: 'i32', shape: [3] },
  ]);
  // What is filled up does not count.
  const pairs = [train, test].flatMap(({ x, y }) =>
    Array.from({ length: x.length / 3 }, (_, i) =>
      JSON.stringify([x.slice(3 * i, 3 * i + 3), y.slice(3 * i, 3 * i + 3)]),
    ),
  );
  expect(pairs.sort()).toEqual(['[[1,2,3],[2,3,4]]', '[[6,7,0],[7,-1,-1]]', '[[6,7,8],[7,8,-1]]']);
});

it('WebDataset: archives of every kind, one shard or several, give the same', async () => {
  const given = { size: 2, validation: 0.25 };
  const { digest, input, samples, preparation, train } = await pack(file('ustar.tar'), given);
  expect(input).toEqual({ dtype: 'u8', shape: [2, 2, 3] });
  expect(samples).toEqual([9, 3]);
  expect(preparation).toMatchObject({
    classes: ['0', '1', '2'],
    image: { height: 2, width: 2, channels: 3, fit: 'cover' },
    mean: [0.485, 0.456, 0.406],
  });
  // One colour each, by which its class is known.
  for (const [at, label] of train.y.entries()) expect(train.x[12 * at + 1]! % 3).toBe(label);
  const shards = ['first.tar', 'second.tar'] as const;
  for (const [at, name] of shards.entries()) write(`shards/s-${at}.tar`, contentOf(name));
  write('shards/README.md', 'about it');
  const others = [
    file('gnu.tar'),
    file('pax.tar'),
    write('pax.tar.gz', gzipSync(contentOf('pax.tar'))),
    write('other.tgz', gzipSync(contentOf('ustar.tar'))),
    join(folder, 'shards'),
    join(folder, 'shards/s-{0..1}.tar'),
  ];
  for (const path of others) expect((await pack(path, given)).digest, path).toBe(digest);
  for (const name of ['train-0.tar', 'val-0.tar'])
    write(`parts/${name}`, contentOf(name === 'val-0.tar' ? 'first.tar' : 'ustar.tar'));
  const parts = await pack(join(folder, 'parts'), given);
  expect(parts.samples).toEqual([12, 6]);
  expect(parts.notes[0]).toMatch(/train-0\.tar is for training and val-0\.tar for testing, by their names$/);
});

it('WebDataset: what is in JSON, and a sample without its image', async () => {
  const { input, train } = await pack(file('ustar.tar'), {
    input: 'json.box',
    target: 'json.width',
    task: 'regression',
    inputType: 'numbers',
  });
  expect(input).toEqual({ dtype: 'f32', shape: [2] });
  expect(train.y).toEqual(train.x.filter((_, i) => i % 2 === 0).map((v) => v / 2));
  await expect(pack(file('without.tar'), { size: 2 })).rejects.toThrow(
    /without\.tar, shard\/0004: png: it is missing\. Fix it, or set --set onDamaged=skip$/,
  );
  const { samples, notes } = await pack(file('without.tar'), { size: 2, onDamaged: 'skip' });
  expect(samples[0]! + samples[1]!).toBe(11);
  expect(notes.at(-1)).toMatch(/^skipped 1 sample: .*shard\/0004: png: it is missing$/);
});

it('Parquet and JSON Lines: lists, images, lists of tokens', async () => {
  const path = write('lists.parquet', Buffer.from(tables.snappy, 'base64'));
  const { input, train, preparation } = await pack(path, { input: 'v', target: 'kind' });
  expect(input).toEqual({ dtype: 'f32', shape: [3] });
  expect(preparation).toMatchObject({ classes: ['grün', 'rot', '青'] });
  expect(train.x.slice(1, 3)).toEqual([1.5, -2]);
  const images = await pack(path, { input: 'image', target: 'ok', size: [2, 2] });
  expect(images.input).toEqual({ dtype: 'u8', shape: [2, 2, 3] });
  expect((await pack(path, { input: 'tokens', task: 'next-token' })).input).toEqual({
    dtype: 'i32',
    shape: [4],
  });
  const rows = Array.from({ length: 8 }, (_, i) =>
    JSON.stringify({
      v: [
        [0.5, i],
        [1, 2],
      ],
      y: i / 3,
    }),
  );
  const { input: nested, target } = await pack(write('lists.jsonl', rows.join('\n')), { task: 'regression' });
  expect([nested.shape, target]).toEqual([[2, 2], { dtype: 'f32', shape: [1] }]);
});

interface Given {
  readonly target?: string;
  readonly test?: string;
  readonly input?: string;
  readonly inputs?: string;
  readonly size?: string;
}

const skewed =
  '{"v": [0.5, 1], "y": "a"}\n{"v": [0.5], "y": "b"}\n{"v": [0.5, null], "y": "a"}\n{"v": [1e40, 0], "y": "a"}\n';
it.each([
  ['pixels.npy', {}, /pixels\.npy: it holds one array; set target to the \.npy file with the targets/],
  ['fortran.npy', { target: 'labels.npy' }, /in Fortran order.*numpy\.ascontiguousarray/],
  [
    'objects.npy',
    { target: 'labels.npy' },
    /it holds Python objects \(pickle\), which are not read, because they can run code/,
  ],
  ['fields.npy', { target: 'labels.npy' }, /its rows have named fields/],
  ['scalar.npy', { target: 'labels.npy' }, /it is a single value/],
  [
    'empty.npy',
    { target: 'labels.npy' },
    /its shape is \(0, 4\); expected a row per sample, and no empty axis/,
  ],
  [
    'dates.npy',
    { target: 'labels.npy' },
    /its values have the type <M8\[D\], which is not supported\. Save the times as numbers/,
  ],
  [
    'tokens.npy',
    { target: 'labels.npy' },
    /whole numbers, which may be amounts or tokens\. Set --set inputType=numbers, or tokens/,
  ],
  ['uneven.npz', {}, /'x' has 12 rows and 'y' 5/],
  ['plain.npz', { input: 'z' }, /there is no 'z' for input.*x, y/],
  ['plain.npz', { test: 'parts.npz' }, /parts\.npz: there is no array 'x'/],
  [
    'ustar.tar',
    { target: 'json.width' },
    /holds numbers with decimals, such as 0\.5\. Set --set task=regression/,
  ],
  ['ustar.tar', { inputs: 'x' }, /--set inputs: there is no such option; did you mean 'input'/],
  ['ustar.tar', { size: 'big' }, /--set size: it is "big"; expected a whole number of pixels/],
  ['ustar.tar', { input: 'cls', target: 'cls' }, /'cls' is both input and target/],
] as const)('%s %j is refused', async (name, { target, test, ...given }: Given, why) => {
  const said = {
    ...given,
    ...(target && { target: target.endsWith('.npy') ? file(target as Name) : target }),
    ...(test && { test: file(test as Name) }),
  };
  await expect(pack(file(name), said)).rejects.toThrow(why);
});

it('rows of other shapes, missing and too large numbers are named, and left out where that is said', async () => {
  const path = write('skewed.jsonl', `${skewed}${'{"v": [0.5, 1], "y": "b"}\n'.repeat(6)}`);
  await expect(pack(path, { test: path })).rejects.toThrow(
    /skewed\.jsonl:2: v: its shape is 1; that of the first sample is 2\. Fix it/,
  );
  const { samples, notes } = await pack(path, { test: path, onDamaged: 'skip' });
  expect(samples).toEqual([7, 7]);
  expect(notes.at(-1)).toMatch(
    /:2: v: its shape.*:3: v: it has a missing value where a number.*:4: v: it has 1e\+40 at 0; expected finite float32/,
  );
});

it.each([
  ['pixels.npy', -1],
  ['plain.npz', -1],
  ['parts.npz', -100],
  ['ustar.tar', 3000],
] as const)('%s that ends early is refused, and nothing is packed', async (name, to) => {
  const path = write(`cut-${name}`, contentOf(name).subarray(0, to));
  await expect(
    pack(path, name === 'pixels.npy' ? { target: file('labels.npy') } : { size: 2 }),
  ).rejects.toThrow(
    /cut-.*(it ends in row 11 of 12|it is no whole (ZIP|tar) archive).*(Copy|Write|write).* (again|it again)/,
  );
  expect(readdirSync(folder).filter((name) => name === `packed-${made - 1}`)).toEqual([]);
});

it.each([
  ['csv', 'plain.npz'],
  ['imagefolder', 'ustar.tar'],
  ['text', 'pixels.npy'],
] as const)('a job of format %s that names %s is told the command', async (format, name) => {
  const path = file(name);
  await expect(openData({ format, path } as unknown as DataOptions, anywhere)).rejects.toThrow(
    `${path}: format ${format} does not read such files. Pack it: kasane data pack ${path} FOLDER; then set data: { format: packed, path: FOLDER }`,
  );
});

it('damaged lines of JSON are named, and left out where that is said', async () => {
  const cut = write('cut.jsonl', `${'{"v": [0.5], "y": "a"}\n{"v": [1.5], "y": "b"}\n'.repeat(3)}{"v": [`);
  await expect(pack(cut)).rejects.toThrow(/cut\.jsonl:7: it is not JSON/);
  const { notes, samples } = await pack(cut, { onDamaged: 'skip' });
  expect(samples[0]! + samples[1]!).toBe(6);
  expect(notes.at(-1)).toMatch(/^skipped 1 line: .*cut\.jsonl:7: it is not JSON/);
});

it('a gzip archive that unpacks to other than it says is refused', async () => {
  const gz = gzipSync(contentOf('ustar.tar'));
  await expect(pack(write('cut.tar.gz', gz.subarray(0, gz.length - 40)))).rejects.toThrow(
    /cut\.tar\.gz: it is no whole tar archive/,
  );
});
