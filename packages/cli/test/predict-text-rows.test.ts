/** Files of rows that a text classifier is given: a sample for each row, never the whole file as one text. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTokenizer } from '@kasane/data/internal/text/tokenizer';
import { afterAll, expect, it } from 'vitest';
import { readInputs } from '../src/commands/predict/inputs.ts';
import type { Trained } from '../src/model/trained.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-text-rows-'));
afterAll(() => rmSync(folder, { recursive: true }));

const write = (name: string, content: string) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const tokenizer = { kind: 'byte' } as const;
const text = { tokenizer, context: 4, objective: 'classification', pad: 'end' } as const;
const trained = (data: object | undefined) =>
  ({ model: { sampleShape: [4] }, preparation: { text }, about: { data } }) as unknown as Trained;
const tokensOf = (word: string) => [...openTokenizer(tokenizer).encode(word)];

it.each([
  ['a.csv', 'label,text\n1,abcd\n0,wxyz\n', { format: 'text', text: 'text' }],
  ['b.TSV', 'review\tid\nabcd\t1\nwxyz\t2\n', { format: 'text', text: 'review', delimiter: '\t' }],
  ['c.csv', '1,abcd\n2,wxyz\n', { format: 'text', text: '2', header: false }],
  ['d.csv', 'text\nabcd\nwxyz\n', { format: 'packed' }],
  ['e.csv', 'text\nabcd\nwxyz\n', undefined],
  ['f.jsonl', '{"text": "abcd"}\n{"id": 1, "text": "wxyz"}\n', { format: 'text' }],
] as const)('%s', async (name, content, data) => {
  const path = write(name, content);
  const samples = await readInputs(trained(data), path, {});
  expect(samples.map(({ x }) => [...x])).toEqual([tokensOf('abcd'), tokensOf('wxyz')]);
  const from = /^[1{]/.test(content) ? 1 : 2;
  expect(samples.map((sample) => sample.name)).toEqual([`${path}:${from}`, `${path}:${from + 1}`]);
});

it.each([
  [
    'no.csv',
    'label,review\n1,abcd\n',
    /no\.csv: there is no column 'text', .*; its columns are: label, review\. Rename/,
  ],
  ['empty.csv', 'text,label\n,1\n', /empty\.csv:2: the text is missing/],
  ['none.csv', 'text,label\n', /none\.csv: it contains no rows/],
])('%s is refused', async (name, content, why) => {
  await expect(readInputs(trained({ text: 'text' }), write(name, content), {})).rejects.toThrow(why);
});

it('a text that is called like a table, and a text file, are one text', async () => {
  for (const given of ['what a.csv', write('t.txt', 'text\nabcd\n')])
    expect(await readInputs(trained(undefined), given, {})).toHaveLength(1);
});
