/** `kasane init` looks at data and writes a job file that runs: what it wrote is checked with the data, as before a training. */

import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadData } from '@kasane/coordinator/internal/submit/load-data';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { packData } from '@kasane/data/pack';
import { parseJobFile } from '@kasane/protocol/job-file';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type InitOptions, init } from '../src/commands/init/init.ts';

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  const rows = Array.from({ length: 40 }, (_, i) => `${i / 4},${i % 2 ? 'red' : 'blue'},${3 * i}`);
  writeFileSync(at('table.csv'), `size,colour,price\n${rows.join('\n')}\n`);
  writeFileSync(at('story.txt'), 'Once upon a time there was a gradient. '.repeat(60));
  for (const kind of ['cat', 'dog']) {
    mkdirSync(at(`pets/${kind}`), { recursive: true });
    for (let i = 0; i < 12; i++) {
      const create = {
        width: 20,
        height: 16,
        channels: 3,
        background: { r: 9 * i, g: 90, b: kind === 'cat' ? 90 : 99 },
      } as const;
      await sharp({ create })
        .png()
        .toFile(at(`pets/${kind}/${i}.png`));
    }
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function written(name: string, options: InitOptions) {
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await init(at(name), { yes: true, ...options });
  } finally {
    out.mockRestore();
  }
  const job = parseJobFile(readFileSync(at(name), 'utf8'), name);
  await loadData(job, anywhere);
  return job;
}

it('a table whose target is a quantity', async () => {
  const { spec, objective } = await written('price.yaml', { data: at('table.csv'), epochs: 3 });
  expect(spec.model).toMatchObject({ preset: 'tabular', features: 3, task: 'regression', outputs: 1 });
  expect(spec.data).toMatchObject({ format: 'csv', target: 'price', standardizeTarget: true });
  expect(spec.training.epochs).toBe(3);
  expect(objective.type).toBe('regression');
});

it('a table whose target is a class', async () => {
  const { spec } = await written('colour.yaml', { data: at('table.csv'), target: 'colour' });
  expect(spec.model).toMatchObject({ preset: 'tabular', features: 2, task: 'classification', outputs: 2 });
});

it('a text', async () => {
  const { spec } = await written('story.yaml', { data: at('story.txt') });
  expect(spec.model).toMatchObject({ preset: 'gpt', context: 128 });
});

it('a folder of images', async () => {
  const { spec } = await written('my pets.yaml', { data: at('pets'), size: 32 });
  expect(spec.name).toBe('my-pets');
  expect(spec.model).toMatchObject({ preset: 'resnet-18', classes: 2, image: [32, 32], stem: 'cifar' });
});

it('a folder with a broken image and a note beside its classes: the job leaves them out, and says so', async () => {
  cpSync(at('pets'), at('messy'), { recursive: true });
  writeFileSync(at('messy/readme.txt'), 'cats and dogs');
  writeFileSync(at('messy/cat/notes.txt'), 'taken in May');
  writeFileSync(at('messy/cat/broken.jpg'), readFileSync(at('pets/cat/1.png')).subarray(0, 60));
  const { spec } = await written('messy.yaml', { data: at('messy'), size: 32 });
  expect(spec.data).toMatchObject({ format: 'imagefolder', onDamaged: 'skip' });
  const text = readFileSync(at('messy.yaml'), 'utf8');
  expect(text).toMatch(/^# .*only JPEG, PNG, WebP, GIF, AVIF, TIFF files are used; ignored: 1 \.txt$/m);
  expect(text).toMatch(/^# skipped 1 of 25 images: .*broken\.jpg: it is damaged or truncated/m);
});

it('a folder of parts, whatever they are called, is no folder of classes', async () => {
  for (const part of ['Train', 'valid']) cpSync(at('pets'), at(`split/${part}`), { recursive: true });
  const { spec } = await written('split.yaml', { data: at('split'), size: 32 });
  expect(spec.model).toMatchObject({ preset: 'resnet-18', classes: 2 });
  expect(readFileSync(at('split.yaml'), 'utf8')).toMatch(/^# .*trains on 'Train' and tests on 'valid'/m);
});

it('texts in class folders', async () => {
  for (const kind of ['good', 'bad', '.hidden']) {
    mkdirSync(at(`reviews/${kind}`), { recursive: true });
    for (let i = 0; i < 12; i++)
      writeFileSync(at(`reviews/${kind}/${i}.txt`), `it was ${kind} for ${i} times`);
  }
  const { spec } = await written('reviews.yaml', { data: at('reviews') });
  expect(spec.model).toMatchObject({ preset: 'lstm-text', classes: 2 });
  expect(spec.data).toMatchObject({ format: 'text', objective: 'classification' });
});

it('packed data, by its path or its URL', async () => {
  const { spec } = await written('pets.yaml', { data: at('pets'), size: 20 });
  await packData(await openData(spec.data, anywhere), at('packed'));
  expect((await written('local.yaml', { data: at('packed') })).spec.data).toMatchObject({
    path: at('packed'),
  });
  const server = createServer((request, response) => {
    response.end(readFileSync(join(at('packed'), request.url!)));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  vi.stubEnv('KASANE_ALLOW_LOCAL_URLS', '1');
  vi.stubEnv('KASANE_CACHE', at('cache'));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { spec: far } = await written('far.yaml', { data: url });
    expect(far.data).toMatchObject({ format: 'packed', path: url });
    expect(far.model).toMatchObject({ preset: 'resnet-18', classes: 2 });
  } finally {
    vi.unstubAllEnvs();
    server.close();
  }
});

it('refuses what is not there, and to write over what is', async () => {
  await expect(written('x.yaml', { data: at('absent') })).rejects.toThrow(/file or folder not found/);
  await expect(written('y.yaml', { data: at('table.csv'), target: 'prise' })).rejects.toThrow(
    /no column 'prise'/,
  );
  await expect(written('table.csv', { data: at('story.txt') })).rejects.toThrow(/already exists.*--force/);
});

/** What init prints of a table, and the data section it wrote. */
async function ofTable(name: string, content: string, options: InitOptions = {}) {
  writeFileSync(at(name), content);
  const printed: string[] = [];
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  try {
    await init(at(`${name}.yaml`), { yes: true, data: at(name), force: true, ...options });
  } finally {
    out.mockRestore();
  }
  const job = parseJobFile(readFileSync(at(`${name}.yaml`), 'utf8'), name);
  const { train, test } = await loadData(job, anywhere);
  return { data: job.spec.data, printed: printed.join(''), samples: train.samples + test.samples };
}
const lines = (row: (i: number) => string) => Array.from({ length: 40 }, (_, i) => `${row(i)}\n`).join('');

it('tables of tabs, of bars, of spaces and with the first line of Excel', async () => {
  const content = `x,kind\n${lines((i) => `${i},${i % 2 ? 'a' : 'b'}`)}`;
  for (const [name, text, data] of [
    ['t.tsv', content.replaceAll(',', '\t'), { delimiter: '\t' }],
    ['t.TAB', content.replaceAll(',', '\t'), { delimiter: '\t' }],
    ['s.csv', content.replaceAll(',', '  '), { delimiter: ' ' }],
    ['e.csv', `sep=;\r\n${content.replaceAll(',', ';')}`, { delimiter: ';', skipLines: 1 }],
  ] as const) {
    const made = await ofTable(name, text);
    expect(made.data).toMatchObject({ format: 'csv', target: 'kind', ...data });
    expect(made.samples).toBe(40);
  }
});

it('rows are not lost to empty columns, and names of rows are no categories', async () => {
  const content = `id no: 1,cabin,age,size,kind\n${lines((i) => `p-${i},${i % 9 ? '' : i},${i % 5 ? i : ''},${i},${i % 2 ? 'a' : 'b'}`)}`;
  const { data, printed, samples } = await ofTable('gaps.csv', content);
  expect(data).toMatchObject({ columns: { 'id no: 1': 'ignore', cabin: 'ignore' }, missing: 'mean' });
  expect(samples).toBe(40);
  expect(printed).toMatch(/column 'cabin' has a value in only 5 of 40 rows: it is ignored \(data.columns\)/);
  expect(printed).toMatch(/column 'id no: 1' has a different value in nearly every row: it is ignored/);
  expect(printed).toMatch(/8 of 40 rows lack a number, which is filled with the mean/);
  const kept = await ofTable('kept.csv', content, { set: ['missing=fail'] });
  expect(kept.samples).toBe(32);
  expect(kept.printed).toMatch(/skipped 8 of 40 rows/);
});

it('row numbers, dates and what a delimiter at the end leaves are left out', async () => {
  const day = (i: number) => new Date(Date.UTC(2024, 0, 1 + (i >> 1))).toISOString().slice(0, 10);
  const content = `Id,on,x,kind,\n${lines((i) => `${i + 1},${day(i)},.${(7 * i) % 11},${i % 2 ? 'a' : 'b'},`)}`;
  const { data, printed, samples } = await ofTable('columns.csv', content);
  expect(data).toMatchObject({ target: 'kind', columns: { Id: 'ignore', on: 'ignore', '': 'ignore' } });
  expect(samples).toBe(40);
  expect(printed).toMatch(/column 'Id' seems to number the rows: it is ignored \(data.columns\)/);
  expect(printed).toMatch(/column 'on' contains dates, which are not categories: it is ignored/);
});

it('the command that it prints works in a shell', async () => {
  const content = `x,kind\n${lines((i) => `${i},${i % 2 ? 'a' : 'b'}`)}`;
  const { printed } = await ofTable("my data's.csv", content);
  expect(printed).toContain(`kasane train '${at("my data'\\''s.csv.yaml")}'`);
});
