/** Whether a table's columns stand where a model with several inputs looks for them, before anything is trained. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Preparation } from '@kasane/data/dataset';
import { datasetOfArrays } from '@kasane/data/internal/arrays';
import { anywhere } from '@kasane/data/internal/files/access';
import { packData } from '@kasane/data/pack';
import { checkJob } from '@kasane/protocol/job';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadData } from '../src/submit/load-data.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  const rows = Array.from({ length: 20 }, (_, i) => `${i},${i % 3},k${i % 4},c${i % 2}`);
  writeFileSync(join(folder, 'table.csv'), `a,b,kind,class\n${rows.join('\n')}\n`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const two = {
  classes: 2,
  layers: [
    { type: 'input', name: 'numbers', shape: [2] },
    { type: 'input', name: 'kinds', shape: [1] },
    { type: 'embedding', tokens: 5, units: 2 },
    { type: 'flatten', name: 'vector' },
    { type: 'concat', from: ['numbers', 'vector'] },
    { type: 'dense', units: 2 },
  ],
};
const load = (model: object, inputs?: object) => {
  const columns = { kind: 'index' };
  const data = { format: 'csv', path: join(folder, 'table.csv'), target: 'class', columns, inputs };
  return loadData(checkJob({ name: 'a', model, data }), anywhere);
};

it('refuses names so long that no message, and no header of weights, would hold them', async () => {
  const path = join(folder, 'texts.csv');
  const rows = Array.from({ length: 200 }, (_, i) => `${i},${'n'.repeat(30_000)}${i % 100}`);
  writeFileSync(path, `a,class\n${rows.join('\n')}\n`);
  const model = { input: [1], classes: 100, layers: [{ type: 'dense', units: 100 }] };
  const job = checkJob({ name: 'a', model, data: { format: 'csv', path, target: 'class' } });
  await expect(loadData(job, anywhere)).rejects.toThrow(
    /texts\.csv: the names of its classes .* take 600\d{4} bytes; the limit is 2621440\. The longest name has 30002 characters: choose columns of short names/,
  );
});

it('notes a model whose last layer makes probabilities for a loss that takes scores', async () => {
  const ending = (...last: readonly string[]) => ({
    input: [6],
    classes: 2,
    layers: [{ type: 'dense', units: 2 }, ...last.map((type) => ({ type }))],
  });
  const data = { format: 'csv', path: join(folder, 'table.csv'), target: 'class' };
  const notesOf = async (...last: readonly string[]) =>
    (await loadData(checkJob({ name: 'a', model: ending(...last), data }), anywhere)).notes ?? [];
  for (const last of ['softmax', 'sigmoid'])
    expect(await notesOf(last)).toContainEqual(
      expect.stringMatching(`^the last layer is ${last}, but objective classification takes the scores`),
    );
  for (const last of [[], ['softmax', 'tanh']])
    expect((await notesOf(...last)).filter((note) => note.includes('last layer'))).toEqual([]);
});

describe('a model with input layers', () => {
  it('takes a table whose columns are named for each', async () => {
    const { train } = await load(two, { numbers: ['b', 'a'], kinds: ['kind'] });
    expect(train.input).toEqual({ dtype: 'f32', shape: [3] });
  });

  it.each([
    [two, undefined, /table\.csv: data\.inputs is missing; .* input layers take numbers 2, kinds 1$/],
    [
      two,
      { kinds: ['kind'], numbers: ['a', 'b'] },
      /gives kinds 1, numbers 2 numbers; .* take numbers 2, kinds 1$/,
    ],
    [two, { numbers: ['a'], kinds: ['kind'] }, /gives numbers 1, kinds 1 numbers/],
    [
      { input: [1], classes: 2, layers: [{ type: 'dense', units: 2 }] },
      { numbers: ['a'] },
      /gives numbers 1 numbers; the model's layers include no input layer/,
    ],
  ])('refuses others: %#', async (model, inputs, message) => {
    await expect(load(model, inputs)).rejects.toThrow(message);
    await expect(load(model, inputs)).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});

describe('what the index of packed data says of its preparation', () => {
  const pairs = (first: readonly (readonly [number, number])[], more: number) => [
    ...first,
    ...Array.from({ length: more }, () => [first.length + 255, 97] as const),
  ];
  const doubling = Array.from(
    { length: 16 },
    (_, i) => (i === 0 ? [97, 97] : [255 + i, 255 + i]) as [number, number],
  );
  const text = { context: 4, objective: 'classification' };
  it.each<[string, object, RegExp]>([
    [
      'tokens of gigabytes',
      { text: { ...text, tokenizer: { kind: 'bpe', merges: pairs(doubling, 50_000) } } },
      /merges: its tokens are more than/,
    ],
    [
      'pairs of later tokens',
      { text: { ...text, tokenizer: { kind: 'bpe', merges: [[300, 1]] } } },
      /a pair names a later token/,
    ],
    ['no tokenizer', { text }, /preparation\.text\.tokenizer/],
    ['no columns', { table: { columns: 5 } }, /preparation\.table\.columns/],
    ['numbers for names', { classes: [1, 2] }, /preparation\.classes: expected a list of names/],
    [
      'millions of names',
      { classes: Array.from({ length: 3_000_000 }, () => 'class') },
      /preparation is \d+ bytes; at most/,
    ],
  ])('%s', async (what, preparation, message) => {
    const path = join(folder, `packed ${what}`);
    const part = (samples: number) =>
      datasetOfArrays({
        ...{ samples, input: { dtype: 'f32', shape: [2] }, target: { dtype: 'i32', shape: [] }, classes: 2 },
        ...{
          inputs: new Float32Array(2 * samples),
          targets: Int32Array.from({ length: samples }, (_, i) => i % 2),
        },
      });
    await packData({ train: part(8), test: part(4), preparation: preparation as Preparation }, path);
    const job = checkJob({
      ...{ name: 'a', data: { format: 'packed', path } },
      model: { input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] },
    });
    await expect(loadData(job, anywhere)).rejects.toThrow(message);
    await expect(loadData(job, anywhere)).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});
