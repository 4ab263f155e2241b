/** Pictures are turned bright on dark, as the network learnt them, when their border is bright. */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors } from '@kasane/tensor/io/safetensors';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kasane } from './support/kasane.ts';

let folder: string;

/** Class 1 when the middle pixel of 3 x 3 is bright, otherwise class 0. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  const weight = new Float32Array(18);
  weight[2 * 4 + 1] = 10;
  const model = { input: [9], classes: 2, layers: [{ type: 'dense', units: 2 }] };
  const tensors = [
    { name: 'dense1.weight', shape: [9, 2], data: weight },
    { name: 'dense1.bias', shape: [2], data: Float32Array.of(5, 0) },
  ];
  const metadata = { 'kasane.model': JSON.stringify(model), 'kasane.data': '{"mean":0,"std":1}' };
  writeFileSync(join(folder, 'middle.safetensors'), encodeSafetensors(tensors, metadata));
  const dot = (middle: number, around: number) =>
    sharp(Buffer.from([around, around, around, around, middle, around, around, around, around]), {
      raw: { width: 3, height: 3, channels: 1 },
    });
  await dot(0, 255).png().toFile(join(folder, 'ink.png'));
  await dot(255, 0).png().toFile(join(folder, 'chalk.png'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const classes = async (...flags: string[]) => {
  const ended = await kasane(['predict', 'middle.safetensors', 'ink.png', 'chalk.png', '--json', ...flags], {
    cwd: folder,
  });
  expect(ended.stderr).toBe('');
  const lines = ended.stdout.trim().split('\n');
  return lines.map(
    (line) => JSON.parse(line) as { class: number; inverted: boolean; probabilities: number[] },
  );
};

test('dark on bright is inverted, bright on dark is not', { timeout: 60_000 }, async () => {
  const [ink, chalk] = await classes();
  expect(ink).toMatchObject({ class: 1, inverted: true });
  expect(chalk).toMatchObject({ class: 1, inverted: false });
  expect(ink!.probabilities).toEqual(chalk!.probabilities);
  expect(ink!.probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
});

test('--no-invert and --invert decide otherwise', { timeout: 60_000 }, async () => {
  expect((await classes('--no-invert')).map((one) => one.class)).toEqual([0, 1]);
  expect((await classes('--invert')).map((one) => one.class)).toEqual([1, 0]);
});

test('what is no picture is named', { timeout: 60_000 }, async () => {
  writeFileSync(join(folder, 'text.png'), 'not a picture');
  const ended = await kasane(['predict', 'middle.safetensors', 'text.png'], { cwd: folder });
  expect(ended.stderr).toMatch(/^kasane: text\.png: [^\n]+\n$/);
  expect(ended.code).toBe(65);
});

test('one that can not be read does not keep the others from their answers', {
  timeout: 60_000,
}, async () => {
  writeFileSync(join(folder, 'text.png'), 'not a picture');
  const ended = await kasane(
    ['predict', 'middle.safetensors', 'ink.png', 'text.png', 'none.png', 'chalk.png'],
    {
      cwd: folder,
    },
  );
  expect(
    ended.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/[ :]/)[0]),
  ).toEqual(['ink.png', 'chalk.png']);
  expect(ended.stderr).toMatch(/^kasane: text\.png: [^\n]+\nkasane: none\.png: [^\n]+\n$/);
  expect(ended.code).toBe(66);
});

test('a folder is a row a file, by name, whatever else lies in it', { timeout: 120_000 }, async () => {
  const photos = join(folder, 'photos');
  mkdirSync(join(photos, 'more, and "more"'), { recursive: true });
  const put = (from: string, to: string) => copyFileSync(join(folder, from), join(photos, to));
  put('ink.png', 'b.png');
  put('chalk.png', 'a.png');
  put('chalk.png', 'more, and "more"/c.png');
  writeFileSync(join(photos, 'notes.txt'), 'not a picture');
  writeFileSync(join(photos, '.hidden'), '');
  symlinkSync('nowhere', join(photos, 'broken.png'));
  const run = (...args: string[]) => kasane(['predict', 'middle.safetensors', ...args], { cwd: folder });
  const rows = [
    'input,label,probability',
    'photos/a.png,1,',
    'photos/b.png,1,',
    '"photos/more, and ""more""/c.png",1,',
  ];
  const check = (text: string) => {
    const lines = text.trimEnd().split('\n');
    expect(lines.map((line, i) => (i > 0 ? line.replace(/[\d.]+$/, '') : line))).toEqual(rows);
  };
  const ended = await run('photos');
  check(ended.stdout);
  expect(ended.stderr).toMatch(/^kasane: photos\/broken\.png: [^\n]+\nkasane: photos\/notes\.txt: [^\n]+\n$/);
  expect(ended.code).toBeGreaterThanOrEqual(65);
  const written = await run('photos', '--out', 'all.csv');
  expect(written.stdout).toBe('');
  expect(written.stderr).toContain('3 predictions written to all.csv\n');
  check(readFileSync(join(folder, 'all.csv'), 'utf8'));
  const json = (await run('photos', 'ink.png', '--json')).stdout.trimEnd().split('\n');
  expect(json.map((line) => (JSON.parse(line) as { input: string }).input)).toEqual([
    ...['photos/a.png', 'photos/b.png', 'photos/more, and "more"/c.png', 'ink.png'],
  ]);
  mkdirSync(join(folder, 'none'));
  const refused = async (says: RegExp, ...args: string[]) => {
    const { stdout, stderr, code } = await run(...args);
    expect([stdout, code]).toEqual(['', expect.toBeOneOf([2, 65])]);
    expect(stderr).toMatch(says);
  };
  await refused(/^kasane: none: the folder contains no files\n$/, 'none');
  await refused(/the predictions cannot be written to photos: it is a folder/, 'ink.png', '--out', 'photos');
  await refused(/--out.*--json|--json.*--out/, 'ink.png', '--out', 'x.csv', '--json');
});
