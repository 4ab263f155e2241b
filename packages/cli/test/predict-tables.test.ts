/** Training and predictions read tables and series alike, however they are written: tables by chance, from names to ends of lines. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Preparation } from '@kasane/data/dataset';
import { type CsvOptions, readCsv } from '@kasane/data/internal/tables/csv';
import type { TableForm } from '@kasane/data/internal/tables/table-form';
import { readSeries, type SeriesOptions } from '@kasane/data/series';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readInputs } from '../src/commands/predict/inputs.ts';
import type { Trained } from '../src/model/trained.ts';

vi.setConfig({ testTimeout: 120_000 });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-tables-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const RUNS = 150;
const path = (name: string) => join(folder, name);

/** What a file of Latin-1 can hold too; spaces around are trimmed, and stay out of the way. */
const text = (characters: string) =>
  fc
    .array(fc.constantFrom(...characters), { maxLength: 8 })
    .map((found) => found.join('').trim())
    .filter((found) => !/^["#]/.test(found));
const oddNames = [
  'constructor',
  '__proto__',
  'toString',
  'a b',
  'é',
  '',
  '1',
  'x,y',
  'x;y',
  'two\nlines',
  'say "so"',
];
const names = fc.uniqueArray(fc.oneof(fc.constantFrom(...oddNames), text('abcé,;"\'|\t ')), {
  minLength: 2,
  maxLength: 5,
});

interface Written {
  readonly form: Partial<TableForm>;
  readonly newline: string;
  readonly mark: string;
}
const written: fc.Arbitrary<Written> = fc
  .record({
    delimiter: fc.constantFrom(',', ';', '\t', '|'),
    decimal: fc.constantFrom('.' as const, ',' as const),
    thousands: fc.constantFrom('', ',', '.', ' ', "'"),
    encoding: fc.constantFrom('utf-8', 'latin1', 'utf-16le'),
    newline: fc.constantFrom('\n', '\r\n', '\r'),
    mark: fc.boolean(),
  })
  .filter(({ decimal, thousands }) => decimal !== thousands)
  .map(({ newline, mark, ...form }) => ({
    form: { ...form, header: true },
    newline,
    mark: mark && form.encoding !== 'latin1' ? '\ufeff' : '',
  }));

const number = fc.oneof(
  fc.integer({ min: -9_999_999, max: 9_999_999 }),
  fc.integer({ min: -99_999, max: 99_999 }).map((value) => value / 100),
);

function notated(value: number, { decimal = '.', thousands = '' }: Partial<TableForm>): string {
  const [whole, rest] = String(Math.abs(value)).split('.') as [string, string?];
  const grouped = thousands === '' ? whole : whole.replace(/\B(?=(\d{3})+$)/g, thousands);
  return `${value < 0 ? '-' : ''}${grouped}${rest === undefined ? '' : decimal + rest}`;
}

function write(name: string, rows: readonly (readonly string[])[], { form, newline, mark }: Written): string {
  const field = (value: string) =>
    /[,;|\t"\n\r]/.test(value) || value === '' ? `"${value.replaceAll('"', '""')}"` : value;
  const all = mark + rows.map((row) => row.map(field).join(form.delimiter) + newline).join('');
  const encodings = { 'utf-8': 'utf8', latin1: 'latin1', 'utf-16le': 'utf16le' } as const;
  writeFileSync(path(name), Buffer.from(all, encodings[form.encoding as keyof typeof encodings]));
  return path(name);
}

const trained = (preparation: Preparation) =>
  ({
    model: { sampleShape: [1] },
    preparation: JSON.parse(JSON.stringify(preparation)),
  }) as unknown as Trained;

const tables = fc.record({ names, written, seed: fc.nat() }).chain(({ names: columns, written: how }) =>
  fc.record({
    columns: fc.constant(columns),
    how: fc.constant(how),
    rows: fc.array(
      fc.tuple(
        fc.array(fc.option(number, { freq: 8 }), { minLength: columns.length, maxLength: columns.length }),
        fc.constantFrom('red', 'blue', 'é', 'NA', 'x,y;z'),
        fc.constantFrom('yes', 'no', 'NA', 'constructor'),
      ),
      { minLength: 3, maxLength: 12 },
    ),
  }),
);

it('a table reads as it was written, and in predictions as in training', async () => {
  await fc.assert(
    fc.asyncProperty(tables, async ({ columns, how, rows }) => {
      const [category, target] = ['the category', 'the target'];
      const lines = rows.map(([values, kind, label]) => [
        ...values.map((value) => (value === null ? '' : notated(value, how.form))),
        kind,
        label,
      ]);
      const file = write('table.csv', [[...columns, category, target], ...lines], how);
      const kinds = Object.fromEntries(
        columns.filter((name) => name !== '__proto__').map((name) => [name, 'number']),
      );
      const options: CsvOptions = {
        ...{
          format: 'csv',
          path: file,
          test: file,
          validation: 0.5,
          seed: 1,
          target,
          task: 'classification',
        },
        ...{ columns: kinds as CsvOptions['columns'], standardize: false, standardizeTarget: false },
        ...{ missing: 'mean', onDamaged: 'fail' },
        ...how.form,
      };
      const { train, preparation } = await readCsv(options);
      const table = preparation.table!;
      expect(table.columns.map(({ name }) => name)).toEqual([...columns, category]);
      expect(train.samples).toBe(rows.length);
      const width = train.inputs.length / rows.length;
      const samples = await readInputs(trained(preparation), file, {});
      for (const [i, [values]] of rows.entries()) {
        const x = [...train.inputs.subarray(i * width, (i + 1) * width)];
        expect([...samples[i]!.x]).toEqual(x);
        for (const [at, value] of values.entries()) {
          const column = table.columns[at]!;
          if (column.kind === 'number') expect(x[at]).toBe(Math.fround(value ?? column.fill));
        }
      }
      expect(Array.from(train.targets, (label) => preparation.classes![label])).toEqual(
        rows.map(([, , label]) => label),
      );
    }),
    { numRuns: RUNS },
  );
});

it('a series reads as it was written, in any order, and in predictions as in training', async () => {
  const cases = fc.record({
    how: written,
    rows: fc.array(fc.tuple(number, fc.option(number, { freq: 5 })), { minLength: 8, maxLength: 20 }),
    order: fc.constantFrom('check' as const, 'sort' as const),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ how, rows, order }) => {
      const first = rows.map(([a, b], i) => [
        String(i),
        notated(a, how.form),
        b === null && i > 0 ? 'NA' : notated(b ?? 0, how.form),
      ]);
      const lines = order === 'sort' ? first.toReversed() : first;
      const file = write('series.csv', [['t', 'a', 'b'], ...lines], how);
      const options: SeriesOptions = {
        ...{ format: 'series', path: file, columns: ['a', 'b'], window: 3, horizon: 1, stride: 1 },
        ...{ validation: 0.3, standardize: false, missing: 'previous', onDamaged: 'fail', order },
        ...how.form,
      };
      const { values, preparation } = await readSeries(options);
      expect(values.filter((_, i) => i % 2 === 0)).toEqual(Float32Array.from(rows, ([a]) => a));
      const [window] = await readInputs(trained({ series: preparation }), file, {});
      expect([...window!.x]).toEqual([...values.slice(-6)]);
    }),
    { numRuns: RUNS },
  );
});

it('a row on the command line is written as the file was', async () => {
  const number = { kind: 'number', mean: 0, std: 1, fill: 0 } as const;
  const columns = ['a', 'b'].map((name) => ({ name, ...number }));
  const form = { delimiter: ';', decimal: ',', missingValues: ['-'] } as const;
  const preparation = { table: { columns, missing: 'mean', targets: [], form } } as const;
  const read = async (given: string) => [...(await readInputs(trained(preparation), given, {}))[0]!.x];
  expect(await read('1,5;2')).toEqual([1.5, 2]);
  expect(await read('b=1,5;a=-')).toEqual([0, 1.5]);
  await expect(read('1.5;2')).rejects.toThrow(/a is '1.5', which is not a number/);
  await expect(read('1,5')).rejects.toThrow(/as a row it has 1 value; expected 2: a;b/);
});

it('a file with rows too short or too long is refused or skipped, by training and predictions', async () => {
  const cases = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 6, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(cases, async (lengths) => {
      const lines = [...lengths, 3, 3].map((length) => ['1', 'yes', '2', '3', '4'].slice(0, length));
      const how = { form: {}, newline: '\n', mark: '' };
      const file = write('ragged.csv', [['x', 'y', 'z'], ...lines], how);
      const options: CsvOptions = {
        ...{ format: 'csv', path: file, test: file, validation: 0.5, seed: 1, target: 'y', columns: {} },
        ...{ task: 'classification', standardize: false, standardizeTarget: false, missing: 'fail' },
        onDamaged: 'fail',
      };
      const good = lines.filter(({ length }) => length === 3).length;
      const read = await readCsv(options).catch((error: Error) => error);
      if (good === lines.length) return;
      expect(String(read)).toMatch(/DataError: .*ragged\.csv:\d+: [^\n]*fields?/);
      const skipped = await readCsv({ ...options, onDamaged: 'skip' }).catch((error: Error) => error);
      // Where not even the first rows fit, the header is what is wrong.
      if (!(skipped instanceof Error)) expect(skipped.train.samples).toBe(good);
      const column = { name: 'x', kind: 'number', mean: 0, std: 1, fill: 0 } as const;
      const table = { columns: [column], missing: 'fail', targets: [] } as const;
      await expect(readInputs(trained({ table }), file, {})).rejects.toThrow(/fields?/);
    }),
    { numRuns: RUNS },
  );
});

it('a category that training never saw is said, of one row and of many', async () => {
  const table = {
    missing: 'fail',
    targets: [],
    columns: [{ name: 'colour', kind: 'category', categories: ['red', 'blue'] }],
  } as const;
  const file = path('colours.csv');
  writeFileSync(file, 'colour\nred\ngreen\n');
  const [one] = await readInputs(trained({ table }), 'green', {});
  expect(one!.notes).toEqual([
    "green: colour is 'green', a category that does not occur in the training data; it is treated as none of the known ones",
  ]);
  expect((await readInputs(trained({ table }), 'red', {}))[0]!.notes ?? []).toEqual([]);
  const [first, second] = await readInputs(trained({ table }), file, {});
  expect([first!.notes, second!.notes?.[0]]).toEqual([
    [],
    expect.stringContaining(`${file}:3: colour is 'green'`),
  ]);
});

it('a series is predicted from rows in the order of time that training had', async () => {
  const days = Array.from(
    { length: 20 },
    (_, i) => `2026-01-${String(i + 1).padStart(2, '0')},${(i * 7) % 5}`,
  );
  const file = path('days.csv');
  const write = (header: string, lines: readonly string[]) => {
    writeFileSync(file, `${header}\n${lines.join('\n')}\n`);
    return file;
  };
  const options = {
    ...({ format: 'series', missing: 'fail', onDamaged: 'fail' } as const),
    ...{ path: write('when,v', days), window: 3, horizon: 1, stride: 1, validation: 0.3, standardize: false },
  };
  const { preparation } = await readSeries(options);
  const predicted = () => readInputs(trained({ series: preparation }), file, {});
  expect((await predicted())[0]!.x.length).toBe(3);
  write('when,v', days.toReversed());
  await expect(predicted()).rejects.toThrow(
    /:3: when 2026-01-19 comes after 2026-01-20 on line 2\. Use the format/,
  );
  write(
    'v',
    days.map((line) => line.split(',')[1]!),
  );
  await expect(predicted()).rejects.toThrow(
    /there is no column 'when' to order the rows by; its columns are: v/,
  );
  const weekly = ['2026-01-05', '2026-01-12', '2026-01-19', '2026-01-26'];
  write(
    'when,v',
    weekly.map((day) => `${day},1`),
  );
  await expect(predicted()).rejects.toThrow(
    "days.csv: the step of 'when' is 7 times that of the training data. Give rows with the step of the training data",
  );
  write(
    'when,v',
    [0, 1, 2, 3].map((hour) => `2026-01-05 0${hour}:00,1`),
  );
  await expect(predicted()).rejects.toThrow("the step of 'when' is 0.0417 times that of the training data");
  // A month of 28 days beside those of 31 is the same step.
  write('when,v', [
    '2026-01,1',
    '2026-02,2',
    '2026-03,3',
    '2026-04,4',
    '2026-05,5',
    '2026-06,6',
    '2026-07,7',
    '2026-08,8',
  ]);
  const months = (await readSeries({ ...options, validation: 0.5, window: 2 })).preparation;
  write('when,v', ['2027-02,1', '2027-03,2']);
  expect(await readInputs(trained({ series: months }), file, {})).toHaveLength(1);
  // Without a usual step, whoever trained has accepted any.
  write('when,v', days);
  const { preparation: any } = await readSeries({ ...options, gaps: 'accept' });
  write(
    'when,v',
    weekly.map((day) => `${day},1`),
  );
  expect(await readInputs(trained({ series: any }), file, {})).toHaveLength(1);
});

it('messages name no options of a job: whoever predicts has none', async () => {
  const number = { name: 'x', kind: 'number', mean: 0, std: 1, fill: 0 } as const;
  const table = { columns: [number, { ...number, name: 'y' }], missing: 'fail', targets: [] } as const;
  const png = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  for (const [content, message] of [
    [
      'x;y\n1;2\n',
      /:1: 'x;y' has no ',', but ';'\. Use the format of the file that the model was trained with/,
    ],
    ['x,y\n1,2\n1,"2\n', /a quotation mark that is never closed\. /],
    ['x,y\n1,2\n1,2,3\n', /:3: 3 fields; the header has 2\. /],
    ['x,y\n1,2\n1,\n', /:3: y is missing/],
    ['x,y\n1,2\n1,"2,5"\n', /:3: y is '2,5', which is not a number/],
    ['sep=;\nx;y\n1;2\n', /tells Excel/],
    [Buffer.from('x,y\n\xe91,2\n', 'latin1'), /it is not UTF-8\. Save the file as UTF-8/],
    [png, /it is a PNG image; the model takes a CSV file/],
  ] as const) {
    const file = path('odd.data.csv');
    writeFileSync(file, content);
    const error = await readInputs(trained({ table }), file, {}).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ message: expect.stringMatching(message) });
    expect((error as Error).message.replaceAll(file, '')).not.toMatch(/data\.\w|\s[,;.]|[,;]$/);
  }
});

describe('one row on the command line', () => {
  const number = (name: string) => ({ name, kind: 'number', mean: 0, std: 1, fill: 0 }) as const;
  const table = { columns: [number('c'), number('a')], missing: 'fail', targets: [] } as const;
  const inputs = [
    { name: 'first', features: 1 },
    { name: 'second', features: 1 },
  ];

  it('is told with the order of its columns where it does not fit', async () => {
    await expect(readInputs(trained({ table }), '1,red', {})).rejects.toThrow(
      "1,red: file not found, and as a row of c,a: a is 'red', which is not a number",
    );
    await expect(readInputs(trained({ table }), 'a=red,c=1', {})).rejects.toThrow(
      "a=red,c=1: file not found, and as a row: a is 'red', which is not a number",
    );
  });

  it('says how it is read where the columns are in the order of the inputs, not of a file', async () => {
    const several = trained({ table: { ...table, inputs } });
    expect(await readInputs(several, '1,2', {})).toEqual([
      {
        name: '1,2',
        x: Float32Array.of(1, 2),
        notes: [
          "1,2: read as c=1,a=2, in the order of the model's inputs; name the values for another order",
        ],
      },
    ]);
    expect(await readInputs(several, 'a=2,c=1', {})).toEqual([{ name: 'a=2,c=1', x: Float32Array.of(1, 2) }]);
    expect(await readInputs(trained({ table }), '1,2', {})).toEqual([
      { name: '1,2', x: Float32Array.of(1, 2) },
    ]);
  });
});
