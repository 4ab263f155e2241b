/** `kasane init` on files as spreadsheets of other countries write them, and what it says when it cannot go on. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseJobFile } from '@kasane/protocol/job-file';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { kasane } from './support/kasane.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-init-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const row = (i: number) => `${i % 7},${i % 5}5;${(i * 13) % 37},25;${i % 2 ? 'früh' : 'spät'}\r\n`;
const body = Array.from({ length: 60 }, (_, i) => row(i)).join('');
const withNames = `größe;preis;klasse\r\n${body}`;

const dataOf = (job: string): unknown => parseJobFile(readFileSync(job, 'utf8'), job).spec.data;

async function initOf(name: string, bytes: Buffer | string, ...more: string[]) {
  writeFileSync(join(folder, name), bytes);
  const job = join(folder, `${name}.yaml`);
  const ended = await kasane(['init', job, '--data', join(folder, name), '--yes', ...more]);
  return { ...ended, data: ended.code === 0 ? dataOf(job) : undefined };
}

it('cuts numbers with decimal commas at semicolons, without a row of names', async () => {
  const { code, stderr, data } = await initOf('headless.csv', body);
  expect(code, stderr).toBe(0);
  expect(data).toMatchObject({ delimiter: ';', decimal: ',', header: false, target: '3' });
  expect(data).toHaveProperty('columns', {});
});

it.each([
  ['wide.csv', ';'],
  // As spreadsheets save "Unicode text".
  ['wide.txt', '\t'],
])('takes the encoding that a byte order mark names, and says so: %s', async (name, delimiter) => {
  const text = withNames.replaceAll(';', delimiter);
  const bytes = Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(text, 'utf16le')]);
  const { code, stdout, stderr, data } = await initOf(name, bytes);
  expect(code, stderr).toBe(0);
  expect(data).toMatchObject({ encoding: 'utf-16le', delimiter, decimal: ',', target: 'klasse' });
  expect(stdout).toMatch(/byte order mark says utf-16le/);
});

it.each([
  ['narrow.csv', Buffer.from(withNames, 'latin1'), /pass --set encoding=windows-1252/],
  ['unmarked.csv', Buffer.from(withNames, 'utf16le'), /pass --set encoding=utf-16le/],
])('advises its own option for %s', async (name, bytes, advice) => {
  const { code, stderr } = await initOf(name, bytes);
  expect([code, stderr]).toEqual([65, expect.stringMatching(advice)]);
});

it('takes ~/ as a shell does', async () => {
  writeFileSync(join(folder, 'home.csv'), withNames);
  const job = join(folder, 'home.yaml');
  const ended = await kasane(['init', job, '--data', '~/home.csv', '--yes'], { env: { HOME: folder } });
  expect(ended.code, ended.stderr).toBe(0);
  expect(dataOf(job)).toMatchObject({ path: join(folder, 'home.csv') });
});

it('a delimiter is one character, and a tab may be written as \\t', async () => {
  const tabs = withNames.replaceAll(';', '\t');
  const { data } = await initOf('tabs.csv', tabs, '--target', 'klasse', '--set', 'delimiter=\\t');
  expect(data).toMatchObject({ delimiter: '\t' });
  for (const delimiter of ['', ';;'])
    expect(await initOf('tabs.csv', tabs, '--force', '--set', `delimiter=${delimiter}`)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        '--set delimiter: expected one character, such as ";", or "\\t" for a tab',
      ),
    });
});
