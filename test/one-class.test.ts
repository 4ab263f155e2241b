/** Data of which every training sample has the same target teach nothing, whatever their format: they are refused, never trained on to 100 %. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadData } from '@kasane/coordinator/internal/submit/load-data';
import { datasetOfArrays } from '@kasane/data/internal/arrays';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { packData } from '@kasane/data/pack';
import { checkData, type DataSpec } from '@kasane/protocol/job-data';
import { parseJobFile } from '@kasane/protocol/job-file';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { writeIdx } from './support/idx.ts';

vi.setConfig({ testTimeout: 120_000 });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-one-class-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
const place = (end = '') => join(folder, `d${made++}${end}`);
function csv(header: string, row: (i: number) => string): string {
  const path = place('.csv');
  writeFileSync(path, `${header}\n${Array.from({ length: 40 }, (_, i) => `${row(i)}\n`).join('')}`);
  return path;
}

async function classFolder(file: (path: string, i: number) => unknown): Promise<string> {
  const path = place();
  mkdirSync(join(path, 'only'), { recursive: true });
  for (let i = 0; i < 10; i++) await file(join(path, 'only', String(i)), i);
  return path;
}

/** Of each format, data sections of which every target is the same: a format without one does not compile. */
const constant: { [F in DataSpec['format']]: Record<string, () => Promise<object>> } = {
  idx: {
    'one label': async () => {
      const path = place();
      mkdirSync(path);
      for (const part of ['train', 't10k']) {
        writeIdx(
          join(path, `${part}-images-idx3-ubyte`),
          [6, 2, 2],
          Uint8Array.from({ length: 24 }, (_, i) => i),
        );
        writeIdx(join(path, `${part}-labels-idx1-ubyte`), [6], new Uint8Array(6).fill(3));
      }
      return { path };
    },
  },
  imagefolder: {
    'one folder': async () => ({
      path: await classFolder((path, i) =>
        sharp({ create: { width: 4, height: 4, channels: 3, background: { r: 20 * i, g: 0, b: 0 } } })
          .png()
          .toFile(`${path}.png`),
      ),
      size: 4,
    }),
  },
  csv: {
    'one class': async () => ({ path: csv('x,y', (i) => `${i},only`), target: 'y' }),
    'one class to train with, two to test with': async () => ({
      path: csv('x,y', (i) => `${i},only`),
      test: csv('x,y', (i) => `${i},${i % 2 ? 'only' : 'other'}`),
      ...{ target: 'y', onDamaged: 'skip' },
    }),
    'one number': async () => ({ path: csv('x,y', (i) => `${i},7`), target: 'y', task: 'regression' }),
    'two constant numbers': async () => ({
      path: csv('x,y,z', (i) => `${i},7,8`),
      ...{ target: ['y', 'z'], task: 'regression', standardizeTarget: true },
    }),
  },
  text: {
    'one folder': async () => ({
      path: await classFolder((path, i) => writeFileSync(`${path}.txt`, `text ${i}`)),
      ...{ objective: 'classification', context: 8 },
    }),
    'one label': async () => ({
      path: csv('text,label', (i) => `text ${i},only`),
      ...{ objective: 'classification', context: 8 },
    }),
  },
  series: {
    'one value': async () => ({ path: csv('t,v', (i) => `${i},5`), columns: ['v'], window: 3 }),
  },
  packed: {
    'one class': async () => {
      const part = datasetOfArrays({
        samples: 4,
        input: { dtype: 'f32', shape: [1] },
        target: { dtype: 'i32', shape: [] },
        inputs: Float32Array.of(1, 2, 3, 4),
        targets: Int32Array.of(1, 1, 1, 1),
        classes: 2,
      });
      const path = place();
      await packData({ train: part, test: part, preparation: { classes: ['other', 'only'] } }, path);
      return { path };
    },
  },
};

const cases = Object.entries(constant).flatMap(([format, ways]) =>
  Object.entries(ways).map(([name, make]) => [format, name, make] as const),
);

it.each(cases)('%s: %s is refused in a sentence that names the data', async (format, _, make) => {
  const data = { format, ...(await make()) } as { format: string; path: string };
  await expect(openData(checkData(data), anywhere)).rejects.toThrow(
    new RegExp(`^${data.path}[^\n]*(is the only class|the same value in every training sample)[^\n]*$`),
  );
});

it('one constant target among others is said', async () => {
  const path = csv('x,y,z', (i) => `${2 * i},${i},8`);
  const data = checkData({ format: 'csv', path, target: ['y', 'z'], task: 'regression' });
  expect((await openData(data, anywhere)).notes).toEqual([
    expect.stringContaining("target 'z' has the same value in every training sample"),
  ]);
});

it('labels that are one number written in two ways are refused, those that differ in case are said', async () => {
  const two = csv('x,y', (i) => `${i},${['0', '1', '0.0'][i % 3]}`);
  await expect(openData(checkData({ format: 'csv', path: two, target: 'y' }), anywhere)).rejects.toThrow(
    /the classes '0' and '0\.0' are the same number/,
  );
  const texts = csv('text,label', (i) => `text ${i},${['1', '1.0', '2'][i % 3]}`);
  const data = { format: 'text', path: texts, objective: 'classification', context: 8 };
  await expect(openData(checkData(data), anywhere)).rejects.toThrow(
    /the classes '1' and '1\.0' are the same/,
  );
  const cased = csv('x,y', (i) => `${i % 7},${['Yes', 'no', 'yes'][i % 3]}`);
  expect((await openData(checkData({ format: 'csv', path: cased, target: 'y' }), anywhere)).notes).toEqual([
    expect.stringContaining("the classes 'Yes' and 'yes' differ only in case"),
  ]);
  const unseen = csv(
    'x,y',
    (i) => `${i % 7},${['new york', 'no', 'new york\u200b', 'new\u00a0york'][i % 4]}`,
  );
  expect(
    (await openData(checkData({ format: 'csv', path: unseen, target: 'y' }), anywhere)).notes,
  ).toContainEqual(
    expect.stringMatching(
      /^the classes 'new york' and 'new york\\u{200b}' and 'new\\u{a0}york' differ only in spaces or invisible/,
    ),
  );
});

it.each([
  ['of a preset', { preset: 'tabular', features: 1, task: 'classification', outputs: 3 }],
  ['of layers', { input: [1], classes: 3, layers: [{ type: 'dense', units: 3 }] }],
])('more outputs %s than there are classes are said', async (_, model) => {
  const path = csv('x,y', (i) => `${i % 7},${i % 2 ? 'a' : 'b'}`);
  const data = { format: 'csv', path, target: 'y' };
  const job = parseJobFile(JSON.stringify({ name: 'spare', model, data }), 'job.yaml');
  expect((await loadData(job, anywhere)).notes).toEqual([
    expect.stringMatching(/the model has 3 classes, but the data has 2: .* to 2/),
  ]);
});
