/** Each objective's targets are checked on submit: all values of the domain are taken, and the first beyond it is named. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { packData } from '@kasane/data/pack';
import { checkJob } from '@kasane/protocol/job';
import { checkData } from '@kasane/protocol/job-data';
import { domainOf } from '@kasane/tensor/objective';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadData } from '../src/submit/load-data.ts';

// Each reading starts a thread.
vi.setConfig({ testTimeout: 60_000 });

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-domain-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A table of one feature and a target, of which one value is given. */
function write(name: string, value: string, row = 7): string {
  const rows = Array.from({ length: 20 }, (_, i) => `${i},${i === row ? value : i % 2},0.5`);
  const path = join(folder, name);
  writeFileSync(path, `a,ill,other\n${rows.join('\n')}\n`);
  return path;
}

/** What is said of a job when it is submitted; empty: it is taken. */
async function said(data: object, objective: object, outputs = 1, input = [1]): Promise<string> {
  const model = {
    input,
    output: [outputs],
    layers: [{ type: 'flatten' }, { type: 'dense', units: outputs }],
  };
  try {
    await loadData(checkJob({ name: 'a', model, data, objective }), anywhere);
    return '';
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message.replaceAll(`${folder}/`, '')}`;
  }
}

const binary = { type: 'binary' };
const table = (path: string, more: object = {}) => ({
  ...{ format: 'csv', path, target: 'ill', columns: { other: 'ignore' }, ...more },
});
const series = (path: string, more: object = {}) => ({
  ...{ format: 'series', path, target: 'ill', window: 2, standardize: false, ...more },
});
async function packed(name: string, data: object): Promise<object> {
  const path = join(folder, name);
  await packData(await openData(checkData(data), anywhere), path);
  return { format: 'packed', path };
}

describe('binary', () => {
  it.each(['0', '1', '0.25', '1e-30', '-0'])('takes %s', async (value) => {
    const path = write('good.csv', value);
    expect(await said(table(path), binary)).toBe('');
    expect(await said(series(path), binary, 1, [2, 3])).toBe('');
    expect(await said(await packed(`good${value}`, table(path, { task: 'regression' })), binary)).toBe('');
  });

  const cure = 'Write 0 for no and 1 for yes, or set objective: { type: regression }';
  it.each([
    ['2', '2'],
    ['-1', '-1'],
    ['1.0001', '1.0001'],
    ['-1e-9', '-1e-9'],
    ['100', '100'],
  ])('refuses %s with its column, its row and the cure', async (value, shown) => {
    const path = write('bad.csv', value);
    const message = `bad.csv:9: target 'ill' is ${shown}, but objective binary takes numbers from 0 to 1. ${cure}`;
    expect(await said(table(path), binary)).toBe(`DATA_INVALID: ${message}`);
    expect(await said(series(path), binary, 1, [2, 3])).toBe(`DATA_INVALID: ${message}`);
    const both = table(path, { target: ['other', 'ill'], columns: {} });
    expect(await said(both, binary, 2)).toBe(`DATA_INVALID: ${message}`);
    const pack = await packed(`bad${value}`, table(path, { task: 'regression' }));
    expect(await said(pack, binary)).toBe(`DATA_INVALID: bad${value}: ${message}`);
    // Nothing of the machine that packed it.
    expect(readFileSync(join((pack as { path: string }).path, 'index.json'), 'utf8')).not.toContain(folder);
  });

  it('also of the rows for testing, and of a test file', async () => {
    const test = write('test.csv', '3');
    expect(await said(table(write('train.csv', '1'), { test }), binary)).toMatch(
      /^DATA_INVALID: test.csv:9: /,
    );
    expect(await said(series(write('end.csv', '3', 19)), binary, 1, [2, 3])).toMatch(
      /end.csv:21: target 'ill'/,
    );
  });

  it('a series: rows that are only looked at may have any value', async () => {
    expect(await said(series(write('first.csv', '5', 1)), binary, 1, [2, 3])).toBe('');
  });

  it('what is standardised is no number from 0 to 1 any more', async () => {
    const path = write('standard.csv', '1');
    expect(await said(table(path, { standardizeTarget: true }), binary)).toMatch(
      /^JOB_INVALID: .*objective binary takes targets from 0 to 1, and data.standardizeTarget changes them. Remove it/,
    );
    expect(await said(series(path, { standardize: true }), binary, 1, [2, 3])).toMatch(
      /^JOB_INVALID: .*and data.standardize changes them. Set data.standardize: false/,
    );
    const pack = await packed('standard', table(path, { task: 'regression', standardizeTarget: true }));
    expect(await said(pack, binary)).toMatch(
      /^DATA_INVALID: .*standardized.*Pack it again without data.standardizeTarget/,
    );
  });

  it('packed data that does not say is to be packed again', async () => {
    const data = (await packed('old', table(write('old.csv', '1'), { task: 'regression' }))) as {
      path: string;
    };
    const index = join(data.path, 'index.json');
    const content = JSON.parse(readFileSync(index, 'utf8'));
    delete content.digest;
    for (const part of ['train', 'test']) delete content[part].ranges;
    writeFileSync(index, JSON.stringify(content));
    expect(await said(data, binary)).toMatch(/^DATA_INVALID: old: .*Pack it again/);
    expect(await said(data, { type: 'regression' })).toBe('');
  });
});

it('regression takes any number that float32 holds, and names one that it does not', async () => {
  expect(await said(table(write('any.csv', '-3e38')), { type: 'regression' })).toBe('');
  expect(await said(table(write('large.csv', '1e39')), { type: 'regression' })).toBe(
    'DATA_INVALID: large.csv:9: the target ill is 1e39, which is too large. Fix the file, or set data.onDamaged: skip',
  );
});

it('every objective whose targets are numbers says which', () => {
  expect(domainOf).toEqual({
    ...{ classification: undefined, binary: [0, 1], regression: undefined },
    ...{ 'next-token': undefined, 'masked-token': undefined },
  });
});
