import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { partsOfArrays } from '../src/arrays.ts';
import type { Dataset } from '../src/dataset.ts';
import { readSeries, type SeriesOptions, seriesOfRead } from '../src/series/series.ts';
import { type CsvOptions, readCsv } from '../src/tables/csv.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-csv-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
/** As `openData` does, without its thread. */
const openCsv = async (options: CsvOptions) => partsOfArrays(await readCsv(options));
const openSeries = async (options: SeriesOptions) => seriesOfRead(await readSeries(options));
const table = (path: string, options: Partial<CsvOptions> = {}) =>
  openCsv({
    format: 'csv',
    path,
    validation: 0.25,
    seed: 1,
    delimiter: ',',
    target: 'y',
    task: 'classification',
    columns: {},
    standardize: true,
    standardizeTarget: false,
    missing: 'fail',
    onDamaged: 'fail',
    ...options,
  });
const bytes = (part: Dataset) => {
  const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const [inputs, targets] = [size(part.input.shape), size(part.target.shape)].map(
    (elements) => new Uint8Array(4 * elements * part.samples),
  ) as [Uint8Array, Uint8Array];
  part.gather(
    Uint32Array.from({ length: part.samples }, (_, i) => i),
    inputs,
    targets,
  );
  const goals =
    part.target.dtype === 'f32' ? new Float32Array(targets.buffer) : new Int32Array(targets.buffer);
  return { x: [...new Float32Array(inputs.buffer)], y: [...goals] };
};

describe('csv', () => {
  it('encodes numbers and categories, fitted on the training rows only', async () => {
    const train = file('train.csv', '\ufeffa,colour,y\n1,red,no\n3,blue,yes\n"5","red",no\n');
    const test = file('test.csv', 'a,colour,y\n100,green,yes\n3,blue,no\n');
    const parts = await table(train, { test });
    const std = Math.sqrt(8 / 3);
    const f = Math.fround;
    expect(bytes(parts.train)).toEqual({
      x: [f(-2 / std), 0, 1, 0, 1, 0, f(2 / std), 0, 1],
      y: [0, 1, 0],
    });
    expect(bytes(parts.test)).toEqual({ x: [f(97 / std), 0, 0, 0, 1, 0], y: [1, 0] });
    expect(parts.train.classes).toBe(2);
    expect(parts.preparation.classes).toEqual(['no', 'yes']);
    expect(parts.preparation.table!.columns[1]).toEqual({
      name: 'colour',
      kind: 'category',
      categories: ['blue', 'red'],
    });
  });

  it('divides by the seed, and every row goes to one part', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => `${i},${i % 2}`).join('\n');
    const path = file('a.csv', `a,y\n${rows}\n`);
    const values = async (seed: number) => {
      const { train, test } = await table(path, { seed, standardize: false });
      expect([train.samples, test.samples]).toEqual([30, 10]);
      const [a, b] = [bytes(train).x, bytes(test).x];
      expect([...a, ...b].sort((one, other) => one - other)).toEqual(Array.from({ length: 40 }, (_, i) => i));
      return b.join();
    };
    expect(await values(1)).toBe(await values(1));
    expect(await values(1)).not.toBe(await values(2));
  });

  it('tells numbers, of one column or of several, scaled when asked', async () => {
    const path = file('a.csv', 'a;b;y\n1;10;0\n2;20;4\n3;30;8\n');
    const test = file('b.csv', 'a;b;y\n1;10;12\n');
    const options = { test, delimiter: ';', task: 'regression', standardize: false } as const;
    const one = await table(path, options);
    expect(one.train.target).toEqual({ dtype: 'f32', shape: [1] });
    expect(bytes(one.train)).toEqual({ x: [1, 10, 2, 20, 3, 30], y: [0, 4, 8] });
    const two = await table(path, { ...options, target: ['y', 'b'], standardizeTarget: true });
    const away = Math.fround(-Math.sqrt(1.5));
    expect(bytes(two.train)).toEqual({ x: [1, 2, 3], y: [away, away, 0, 0, -away, -away] });
    expect(two.preparation.table!.targets.map(({ name, mean }) => [name, mean])).toEqual([
      ['y', 4],
      ['b', 20],
    ]);
  });

  it('missing numbers are an error or the mean, missing categories a category', async () => {
    const path = file('a.csv', 'a,c,y\n1,u,p\n,NA,p\n3,u,q\n');
    const test = file('b.csv', 'a,c,y\n2,u,p\n');
    await expect(table(path, { test })).rejects.toThrow(/a\.csv:3: a is missing/);
    const { train } = await table(path, { test, missing: 'mean', standardize: false });
    expect(bytes(train).x).toEqual([1, 0, 1, 2, 1, 0, 3, 0, 1]);
  });

  it('gives each input layer its columns, and categories by number', async () => {
    const path = file('a.csv', 'a,b,kind,left,y\n1,2,u,7,p\n3,4,w,7,q\n');
    const test = file('b.csv', 'a,b,kind,left,y\n5,6,v,7,p\n7,8,w,7,p\n');
    const options = { test, standardize: false, columns: { kind: 'index' } } as const;
    const parts = await table(path, { ...options, inputs: { kinds: ['kind'], numbers: ['b', 'a'] } });
    expect(bytes(parts.train).x).toEqual([1, 2, 1, 2, 4, 3]);
    expect(bytes(parts.test).x).toEqual([0, 6, 5, 2, 8, 7]);
    expect(parts.preparation.table!.inputs).toEqual([
      { name: 'kinds', features: 1 },
      { name: 'numbers', features: 2 },
    ]);
    const refused = (inputs: object) => expect(table(path, { ...options, ...inputs })).rejects;
    await refused({ inputs: { x: ['z'] } }).toThrow(/no column 'z'; its columns are: a, b, kind, left, y/);
    await refused({ inputs: { x: ['a'], z: ['a'] } }).toThrow(/data\.inputs\.z: column 'a' is listed twice/);
    await refused({ inputs: { x: ['y'] } }).toThrow(/data\.inputs\.x: column 'y' is the target/);
    await refused({ inputs: { x: ['a'] }, columns: { a: 'ignore' } }).toThrow(
      /column 'a' is ignored \(data\.columns\)/,
    );
  });

  it.each<[string, string, Partial<CsvOptions>, RegExp]>([
    ['a short row', 'a,y\n1,p\n2\n3,q\n4,q\n', {}, /a\.csv:3: 1 field; the header has 2/],
    ['a long row', 'a,y\n1,p\n2,q,9\n3,q\n4,q\n', {}, /a\.csv:3: 3 fields; the header has 2/],
    ['a missing target', 'a,y\n1,p\n2,\n3,q\n4,q\n', {}, /a\.csv:3: the target y is missing/],
    [
      'a target that is no number',
      'a,y\n1,4\n2,x\n3,5\n4,6\n',
      { task: 'regression' },
      /a\.csv:3: the target y is 'x'/,
    ],
  ])('%s is named with its line, or left out and counted', async (_, text, options, message) => {
    const path = file('a.csv', text);
    await expect(table(path, options)).rejects.toThrow(message);
    await expect(table(path, options)).rejects.toThrow(/^[^\n]+$/);
    const { train, test, notes } = await table(path, { ...options, onDamaged: 'skip' });
    expect(train.samples + test.samples).toBe(3);
    expect(notes!.join()).toMatch(/skipped 1 of 4 rows: /);
  });

  it('counts the line where a row begins, whatever its fields and comments span', async () => {
    const rows = ['# one', '1,"p', 'p"', '', '"2', '', '3",q', '# two', 'x,q', '2,q'].join('\n');
    const read = (columns: CsvOptions['columns']) =>
      table(file('lines.csv', `a,y\n${rows}\n`), { columns, comment: '#' });
    await expect(read({ a: 'number' })).rejects.toThrow(/lines\.csv:6: /);
    const later = rows.replace('"2\n\n3"', '2');
    await expect(
      table(file('later.csv', `a,y\n${later}\n`), { columns: { a: 'number' }, comment: '#' }),
    ).rejects.toThrow(/later\.csv:8: /);
  });

  it('says what is wrong with the file or the options', async () => {
    const path = file('a.csv', 'a,y\n1,p\n2,q\n3,p\n4,q\n5,p\n6,q\n7,p\n8,q\n');
    await expect(table(join(folder, 'none.csv'))).rejects.toThrow(/file or folder not found/);
    await expect(table(file('b.csv', ''))).rejects.toThrow(/it is empty/);
    await expect(table(file('c.csv', 'a,a\n1,2\n'))).rejects.toThrow(/columns 1 and 2 are both named 'a'/);
    await expect(table(path, { target: 'z' })).rejects.toThrow(/no column 'z'; its columns are: a, y/);
    await expect(table(path, { columns: { b: 'number' } })).rejects.toThrow(/no column 'b'/);
    await expect(table(path, { columns: { a: 'ignore' } })).rejects.toThrow(/no columns are left/);
    await expect(table(file('d.csv', 'a,y\n1,p\nx,q\n2,q\n'), { columns: { a: 'number' } })).rejects.toThrow(
      /d\.csv:3: a is 'x', which is not a number|a is 'x'/,
    );
    await expect(table(file('e.csv', 'a,y\n"1,p\n2,q\n'))).rejects.toThrow(/e\.csv(:\d+)?: .*[Qq]uot/);
    await expect(table(path, { test: file('f.csv', 'a,b\n1,p\n') })).rejects.toThrow(/its columns are a, b/);
    const many = Array.from({ length: 1500 }, (_, i) => `v${i},p`).join('\n');
    await expect(table(file('g.csv', `a,y\n${many}\n`))).rejects.toThrow(
      /'a' has more than 1000 categories.*ignore/,
    );
  });
});

describe('series', () => {
  const series = (path: string, options: Partial<SeriesOptions> = {}) =>
    openSeries({
      format: 'series',
      path,
      delimiter: ',',
      window: 3,
      horizon: 2,
      stride: 1,
      validation: 0.4,
      standardize: false,
      missing: 'fail',
      onDamaged: 'fail',
      ...options,
    });
  const ten = () =>
    file('s.csv', `day,a,b\n${Array.from({ length: 10 }, (_, i) => `d${i},${i},${10 * i}`).join('\n')}\n`);

  it('cuts windows; those for testing tell only what training has not seen', async () => {
    const { train, test, preparation } = await series(ten(), { target: 'b' });
    expect(preparation.series!.columns.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(train.input).toEqual({ dtype: 'f32', shape: [3, 2] });
    expect(bytes(train)).toEqual({ x: [0, 0, 1, 10, 2, 20, 1, 10, 2, 20, 3, 30], y: [30, 40, 40, 50] });
    expect(bytes(test).y).toEqual([60, 70, 70, 80, 80, 90]);
    expect(bytes(test).x.slice(0, 6)).toEqual([3, 30, 4, 40, 5, 50]);
  });

  it('scales by the training part, and steps by the stride', async () => {
    const { train, preparation } = await series(ten(), {
      columns: ['a'],
      standardize: true,
      stride: 2,
      horizon: 1,
    });
    const { mean, std } = preparation.series!.columns[0]!;
    expect([mean, std]).toEqual([2.5, Math.sqrt(35 / 12)]);
    expect(bytes(train).x.map((v) => Math.abs(Math.round(v * std + mean)))).toEqual([0, 1, 2, 2, 3, 4]);
  });

  it('names what is missing or no number, fills in the one before it when asked', async () => {
    const path = file('t.csv', `a\n1\nNA\n${[3, 4, 5, 6, 7, 8, 9, 10].join('\n')}\n`);
    await expect(series(path)).rejects.toThrow(/t\.csv:3: a is missing/);
    const { train } = await series(path, { missing: 'previous' });
    expect(bytes(train).x.slice(0, 3)).toEqual([1, 1, 3]);
    await expect(series(path, { columns: ['b'] })).rejects.toThrow(/no column 'b'; its columns are: a/);
    await expect(series(path, { missing: 'previous', target: 'b' })).rejects.toThrow(
      /target 'b' is not among/,
    );
    await expect(series(path, { missing: 'previous', window: 20 })).rejects.toThrow(
      /10 rows.*do not fit.* Set data\.window to \d or less, or add rows$/,
    );
    await expect(series(path, { missing: 'previous', window: 2, horizon: 9 })).rejects.toThrow(
      /do not fit.* Reduce data\.horizon and data\.window, or add rows$/,
    );
    await expect(series(file('u.csv', 'a\nx\ny\n'))).rejects.toThrow(/no column consists of numbers/);
  });
});
