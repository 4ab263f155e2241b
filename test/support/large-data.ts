/** Large data of every format, as jobs name it: what takes long to read, and must not keep a coordinator's event loop busy. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encodeIndex } from '@kasane/data/internal/packed/packed-index';
import type { DataOptions } from '@kasane/data/open';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { buildModel } from '@kasane/tensor/nn/model';
import sharp from 'sharp';
import { writeIdx } from './idx.ts';

export interface Large {
  /** Writes the files into a folder of their own. */
  write(folder: string): unknown;
  /** The job's sections besides its name, of the files in `folder`. */
  job(folder: string): Readonly<Record<string, unknown>>;
}

const dense = (input: number, classes: number) => ({
  input: [input],
  classes,
  layers: [{ type: 'dense', units: classes }],
});
const training = { batch: 64, shards: 2, epochs: 2 };

function table(rows: number, columns: number) {
  const header = Array.from({ length: columns }, (_, i) => `c${i}`).join();
  const line = (row: number) => Array.from({ length: columns }, (_, i) => (row * 31 + i * 17) % 1009).join();
  return [`${header},y`, ...Array.from({ length: rows }, (_, row) => `${line(row)},${'abc'[row % 3]}`)].join(
    '\n',
  );
}
const csvJob = (columns: number) => (folder: string) => ({
  model: dense(columns, 3),
  data: { format: 'csv', path: join(folder, 'a.csv'), target: 'y' },
  training,
});

const texts = (objective: 'next-token' | 'classification', path: string, context: number) => ({
  objective: { type: objective },
  model: {
    input: [context],
    ...(objective === 'classification' ? { classes: 2 } : { output: [context, 300] }),
    layers: [
      { type: 'embedding', tokens: 300, units: 4 },
      ...(objective === 'classification' ? [{ type: 'flatten' }] : []),
      { type: 'dense', units: objective === 'classification' ? 2 : 300 },
    ],
  },
  data: { format: 'text', path, context, tokenizer: 'byte' },
  training,
});
const sentence = 'the quick brown fox jumps over the lazy dog and goes on ';

/** Numbers that pack to about a third. */
const pixels = (count: number) => {
  const all = new Uint8Array(count);
  for (let i = 0, state = 1; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    all[i] = (state >>> 24) & 7;
  }
  return all;
};
const idxFiles = (folder: string, images: number) => {
  for (const [part, count] of [
    ['train', images],
    ['t10k', 1000],
  ] as const) {
    writeIdx(join(folder, `${part}-images-idx3-ubyte`), [count, 28, 28], pixels(count * 784));
    writeIdx(join(folder, `${part}-labels-idx1-ubyte`), [count], pixels(count));
  }
};
const idxJob = (path: string) => ({
  model: { input: [784], classes: 10, layers: [{ type: 'dense', units: 10 }] },
  data: { path },
  training,
});

/** Files of one content in class folders a and b. */
const classFolders = (folder: string, name: string, content: Uint8Array, count: number) => {
  for (const own of ['a', 'b']) {
    mkdirSync(join(folder, own));
    const labelled = Buffer.concat([content, Buffer.from(own)]);
    for (let i = 0; i < count / 2; i++) writeFileSync(join(folder, own, `${i}-${name}`), labelled);
  }
};

const wide = {
  input: [2000],
  classes: 10,
  layers: [
    { type: 'dense', units: 2000 },
    { type: 'dense', units: 10 },
  ],
};
const wideJob = (folder: string) => ({
  model: wide,
  data: { format: 'csv', path: join(folder, 'a.csv'), target: 'y' },
  training: { ...training, shards: 1 },
});
const rowsOfWide = () =>
  [
    `${Array.from({ length: 2000 }, (_, i) => `c${i}`).join()},y`,
    ...Array.from(
      { length: 200 },
      (_, row) => `${Array.from({ length: 2000 }, (_, i) => (row + i) % 7).join()},${row % 10}`,
    ),
  ].join('\n');

/** Of each format, by what makes it large. */
export const largeData: Record<DataOptions['format'], Readonly<Record<string, Large>>> = {
  csv: {
    'many rows': {
      write: (folder) => writeFileSync(join(folder, 'a.csv'), table(150_000, 6)),
      job: csvJob(6),
    },
    'many columns': {
      write: (folder) => writeFileSync(join(folder, 'a.csv'), table(200, 4_000)),
      job: csvJob(4_000),
    },
  },
  series: {
    'many rows': {
      write: (folder) => writeFileSync(join(folder, 'a.csv'), table(200_000, 3)),
      job: (folder) => ({
        model: { input: [32, 3], output: [3], layers: [{ type: 'flatten' }, { type: 'dense', units: 3 }] },
        data: { format: 'series', path: join(folder, 'a.csv'), window: 32 },
        objective: { type: 'regression' },
        training,
      }),
    },
  },
  text: {
    'one long text': {
      write: (folder) => writeFileSync(join(folder, 'a.txt'), sentence.repeat((10 << 20) / sentence.length)),
      job: (folder) => texts('next-token', join(folder, 'a.txt'), 64),
    },
    'many labelled rows': {
      write: (folder) =>
        writeFileSync(
          join(folder, 'a.csv'),
          `text,label\n${Array.from({ length: 50_000 }, (_, i) => `${sentence}${i},${i % 2}`).join('\n')}`,
        ),
      job: (folder) => texts('classification', join(folder, 'a.csv'), 256),
    },
    'many files': {
      write: (folder) => classFolders(folder, 'x.txt', Buffer.from(sentence), 10_000),
      job: (folder) => texts('classification', folder, 64),
    },
  },
  imagefolder: {
    'many files': {
      write: async (folder) => {
        const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: '#fff' } });
        classFolders(folder, 'x.png', await picture.png().toBuffer(), 6_000);
      },
      job: (folder) => ({
        model: { input: [8, 8, 3], classes: 2, layers: [{ type: 'flatten' }, { type: 'dense', units: 2 }] },
        data: { format: 'imagefolder', path: folder, size: 8, validation: 0.1 },
        training,
      }),
    },
  },
  idx: {
    'many images': { write: (folder) => idxFiles(folder, 40_000), job: idxJob },
    'many images, packed': {
      write: (folder) => {
        idxFiles(folder, 20_000);
        const path = join(folder, 'train-images-idx3-ubyte');
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 1 }));
        rmSync(path);
      },
      job: idxJob,
    },
  },
  packed: {
    'many chunks': {
      write: (folder) => {
        const record = new Uint8Array(12);
        const digest = createHash('sha256').update(record).digest('hex');
        const part = (samples: number) => ({
          ...{ samples, classes: 3 },
          chunks: new Array<string>(samples).fill(digest),
        });
        const index = encodeIndex({
          input: { dtype: 'f32', shape: [2] },
          target: { dtype: 'i32', shape: [] },
          chunkSamples: 1,
          preparation: {},
          train: part(300_000),
          test: part(1_000),
        });
        mkdirSync(join(folder, 'chunks'));
        writeFileSync(join(folder, 'chunks', digest), record);
        writeFileSync(join(folder, 'index.json'), index);
      },
      job: (folder) => ({ model: dense(2, 3), data: { format: 'packed', path: folder }, training }),
    },
  },
};

/** Large models. */
export const largeModels: Readonly<Record<string, Large>> = {
  'fresh weights': {
    write: (folder) => writeFileSync(join(folder, 'a.csv'), rowsOfWide()),
    job: wideJob,
  },
  'weights of a file': {
    write: (folder) => {
      writeFileSync(join(folder, 'a.csv'), rowsOfWide());
      const model = buildModel(wide as Parameters<typeof buildModel>[0]);
      const parameters = new Float32Array(model.parameterCount).fill(0.01);
      writeFileSync(join(folder, 'a.safetensors'), encodeModelFile({ model, parameters, about: {} }));
    },
    job: (folder) => ({ ...wideJob(folder), init: join(folder, 'a.safetensors') }),
  },
};
