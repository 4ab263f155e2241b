/** Trials of a sweep open their data once, other jobs anew. */
import type { DataParts } from '@kasane/data/dataset';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { checkJob } from '@kasane/protocol/job';
import { beforeEach, expect, it } from 'vitest';
import { OpenedData } from '../src/submit/opened-data.ts';

let opens = 0;
let opened: OpenedData;
beforeEach(() => {
  opens = 0;
  opened = new OpenedData((section, access) => {
    opens++;
    return openData(section, access);
  });
});
const job = (mean = 0.1) => checkJob({ name: 'a', model: { preset: 'mnist-mlp' }, data: { mean, std: 0.3 } });
const load = (sweep: string, mean?: number): Promise<DataParts> => opened.load(job(mean), anywhere, sweep);

it('is opened once for all trials of a sweep that read it alike', async () => {
  const first = await load('s');
  expect(await load('s')).toBe(first);
  expect(opens).toBe(1);
  expect(await load('s', 0.2)).not.toBe(first);
  expect(await load('other')).not.toBe(first);
  expect(opens).toBe(3);
  opened.forget('s');
  await load('s');
  expect(opens).toBe(4);
});

it('is opened anew for other jobs, and kept from the check of a job to its start', async () => {
  const first = await load('');
  expect(await load('')).not.toBe(first);
  expect(opens).toBe(2);
  opened.keep('a', first);
  expect(opened.take('b')).toBeUndefined();
  expect(opened.take('a')).toBe(first);
  expect(opened.take('a')).toBeUndefined();
});

it('knows whether a job begins with other data than it was checked with', async () => {
  const first = await load('');
  for (const id of ['a', 'b', 'c']) opened.keep(id, first);
  expect(await opened.hasChanged('a', await load(''))).toBe(false);
  const { train, test } = first;
  const others = { ...first, train: { ...train, digest: 'other' }, test };
  expect(await opened.hasChanged('b', others)).toBe(true);
  // Once told, and of a job that nobody has submitted here, it is not known.
  expect(await opened.hasChanged('b', others)).toBe(false);
  expect(await opened.hasChanged('z', others)).toBe(false);
});
