/** The same accents are written as one character or as two, by system; in tables what looks the same is the same. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { checkData } from '@kasane/protocol/job-data';
import { afterAll, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
afterAll(() => rmSync(folder, { recursive: true }));
let made = 0;
const write = (content: string) => {
  const path = join(folder, `${made++}.csv`);
  writeFileSync(path, content);
  return path;
};
const lines = (count: number, row: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => `${row(i)}\n`).join('');
const open = (content: string, options: object) =>
  openData(checkData({ format: 'csv', path: write(content), ...options }), anywhere);
const [one, two] = ['Café', 'Café'].map((name, i) => name.normalize(i === 0 ? 'NFC' : 'NFD')) as [
  string,
  string,
];
const either = (i: number) => (i % 3 ? one : two);
const city = (i: number) => (i % 2 ? either(i) : 'Bern');

it('labels', async () => {
  const content = `size,kind\n${lines(40, (i) => `${(7 * i) % 11},${city(i)}`)}`;
  expect((await open(content, { target: 'kind' })).preparation.classes).toEqual(['Bern', one]);
});

it('categories', async () => {
  const content = `place,kind\n${lines(40, (i) => `${city(i)},${i % 4 < 2 ? 'hi' : 'lo'}`)}`;
  const { preparation } = await open(content, { target: 'kind' });
  expect(preparation.table!.columns).toEqual([
    { name: 'place', kind: 'category', categories: ['Bern', one] },
  ]);
});

it.each([
  [one, two],
  [two, one],
])('names of columns, in the file and in the job (%#)', async (there, said) => {
  const content = `size,x${there},${there}\n${lines(40, (i) => `${i % 7},${i % 5},${i % 2 ? 'a' : 'b'}`)}`;
  const { preparation } = await open(content, { target: said, columns: { [`x${said}`]: 'ignore' } });
  expect(preparation.classes).toEqual(['a', 'b']);
  expect(preparation.table!.columns.map(({ name }) => name)).toEqual(['size']);
});

it('two columns of one name are refused', async () => {
  const content = `${one},${two},kind\n${lines(40, (i) => `${i % 7},${i % 5},${i % 2 ? 'a' : 'b'}`)}`;
  await expect(open(content, { target: 'kind' })).rejects.toThrow(/columns 1 and 2 are both named 'Café'/);
});

it('labels of texts, whose own characters stay as they are', async () => {
  const path = write(`text,label\n${lines(40, (i) => `${i % 2 ? two : 'bern'},${city(i)}`)}`);
  const data = { format: 'text', path, objective: 'classification', context: 8 };
  const { preparation } = await openData(checkData(data), anywhere);
  expect(preparation.classes).toEqual(['Bern', one]);
  const { tokenizer } = preparation.text!;
  expect(tokenizer).toMatchObject({ characters: expect.arrayContaining(['\u0301']) });
});
