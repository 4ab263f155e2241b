/** Tables as people have them: odd names, notations of numbers, labels. */
import { describe, expect, it, vi } from 'vitest';
import { tableFiles } from './support/table-files.ts';

vi.setConfig({ testTimeout: 120_000 });

const { table, series } = tableFiles();
/** A table of numbers with a class in the last column. */
const rows = (count: number, row: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => `${row(i)},${i % 2 ? 'hi' : 'lo'}\n`).join('');

describe('names', () => {
  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', '', 'a b', 'é', '0'])(
    'a column called %j is a column',
    async (name) => {
      const { train, preparation } = await table(`x,${name},kind\n${rows(12, (i) => `${i},${i + 1}`)}`);
      expect(preparation.table!.columns.map((column) => [column.name, column.kind])).toEqual([
        ['x', 'number'],
        [name, 'number'],
      ]);
      expect([...train.inputs].every(Number.isFinite)).toBe(true);
    },
  );

  it.each(['constructor', '__proto__', 'toString'])('a class and a category called %j', async (name) => {
    const content = `x,kind\n${Array.from({ length: 12 }, (_, i) => `${i % 3 ? 'b' : name},${i % 2 ? name : 'a'}\n`).join('')}`;
    const { preparation } = await table(content);
    expect(preparation.classes).toEqual([name, 'a'].sort());
    expect(preparation.table!.columns).toEqual([
      { name: 'x', kind: 'category', categories: [name, 'b'].sort() },
    ]);
  });

  it('a name that is there twice is refused', async () => {
    await expect(table('x,x,kind\n1,2,a\n')).rejects.toThrow(/columns 1 and 2 are both named 'x'/);
    await expect(table(',x,\n1,2,a\n')).rejects.toThrow(/columns 1 and 3 have no name/);
  });

  it('a header that is none is refused, unless it is said to be one', async () => {
    await expect(series('1.5\n2.5\n3\n')).rejects.toThrow(/consists of numbers. Set data.header: false/);
    const numbers = Array.from({ length: 12 }, (_, i) => `${i / 2}\n`).join('');
    expect((await series(numbers, { header: false })).preparation.columns[0]!.name).toBe('1');
    expect((await series(numbers, { header: true })).preparation.columns[0]!.name).toBe('0');
    const counted = `0,1,2\n${rows(12, (i) => `${i},${i}`)}`;
    expect((await table(counted, { target: '2' })).preparation.classes).toEqual(['hi', 'lo']);
  });
});

describe('numbers', () => {
  it('with a decimal comma are refused with what reads them', async () => {
    const content = `x;kind\n${rows(12, (i) => `${i},5`).replaceAll(/,(hi|lo)/g, ';$1')}`;
    await expect(table(content)).rejects.toThrow(/has no ',', but ';'. Set data.delimiter: ';'/);
    await expect(table(content, { delimiter: ';' })).rejects.toThrow(
      /column 'x': 0 of 12 values are numbers; .*csv:2: '0,5' is not. Set data.decimal: ","/,
    );
    const { train } = await table(content, { delimiter: ';', decimal: ',' });
    expect([...train.inputs].sort((a, b) => a - b)[0]).toBe(0.5);
  });

  it('with one stray text are refused with its line and the option that takes it for none', async () => {
    const content = `x,kind\n${rows(40, (i) => (i === 17 ? 'ERR' : `${i}`))}`;
    await expect(table(content)).rejects.toThrow(
      /'x': 39 of 40 values are numbers; .*:19: 'ERR' is not. Set data.missingValues: \[ERR\]/,
    );
    const { train, test } = await table(content, { missingValues: ['ERR'], missing: 'mean' });
    expect(train.samples + test.samples).toBe(40);
    const left = await table(content, { columns: { x: 'number' }, onDamaged: 'skip' });
    expect(left.train.samples + left.test.samples).toBe(39);
  });

  it.each([
    ['1.234,5', { decimal: ',', thousands: '.' }, 1234.5],
    ['1,234.5', { thousands: ',' }, 1234.5],
    ['18.035.064', { decimal: ',', thousands: '.' }, 18_035_064],
    ['12,34,567', { thousands: ',' }, 1_234_567],
    ['1\u202f234', { thousands: ' ' }, 1234],
    ["1'234", { thousands: "'" }, 1234],
  ] as const)('%s', async (text, form, value) => {
    const content = `x|kind\n${Array.from({ length: 12 }, (_, i) => `${text}|${i % 2 ? 'a' : 'b'}\n`).join('')}`;
    await expect(table(content, { delimiter: '|' })).rejects.toThrow(
      /0 of 12 values are numbers.*Set data\./,
    );
    const { train } = await table(content, { delimiter: '|', ...form });
    expect(train.inputs[0]).toBe(value);
  });

  it.each(['12 %', '$3.50', '3.50 €', '(12)', '\u22125', 'inf'])(
    '%s is no set of categories',
    async (text) => {
      await expect(table(`x,kind\n${rows(12, () => text)}`)).rejects.toThrow(
        /0 of 12 values are numbers.*columns: \{ x: category \}/,
      );
    },
  );

  it('1.300 is 1.3: a point is no thousands separator unless that is said', async () => {
    const content = `x,kind\n${rows(12, () => '1.300')}`;
    expect((await table(content)).train.inputs[0]).toBe(Math.fround(1.3));
    const { train } = await table(content, { decimal: ',', thousands: '.' });
    expect(train.inputs[0]).toBe(1300);
  });

  it('of which kind a column is does not depend on which rows are for testing', async () => {
    for (const stray of [3, 17, 39]) {
      const content = `x,kind\n${rows(40, (i) => (i === stray ? 'ERR' : `${i}`))}`;
      for (const seed of [1, 2, 3, 4])
        for (const onDamaged of ['fail', 'skip'] as const)
          await expect(table(content, { seed, onDamaged })).rejects.toThrow(
            /'x': 39 of 40 values are numbers/,
          );
      const footer = `${content.replace('ERR', '7')}Total,\n`;
      expect((await table(footer, { onDamaged: 'skip' })).preparation.table!.columns[0]!.kind).toBe('number');
    }
  });

  it('a column with a text of its own in each row is no set of categories, unless that is said', async () => {
    const content = `x,id,kind\n${rows(40, (i) => `${i},user-${i}`)}`;
    await expect(table(content)).rejects.toThrow(
      /column 'id' has 40 different values in 40 rows, such as 'user-0'.*data.columns: \{ id: ignore \}/,
    );
    expect((await table(content, { columns: { id: 'ignore' } })).preparation.table!.columns.length).toBe(1);
    expect((await table(content, { columns: { id: 'category' } })).preparation.table!.columns.length).toBe(2);
  });

  it.each([
    ['１２', '12'],
    ['٣٠', '30'],
    ['٣٫٥', '3.5'],
    ['۱۲', '12'],
    ['५०', '50'],
    ['๑๒', '12'],
    ['-１２．５', '-12.5'],
  ])('%s is written in other digits than 0 to 9, and that is said', async (text, digits) => {
    await expect(table(`x,kind\n${rows(12, () => text)}`)).rejects.toThrow(
      `'${text}' is not. Write its numbers with the digits 0 to 9: '${digits}' for '${text}'. Fix the file`,
    );
  });

  it('quantities with units and times of day are said', async () => {
    for (const text of ['8 kg', '10:30', '3,5 cm']) {
      const { notes } = await table(`x,kind\n${rows(12, () => `"${text}"`)}`);
      expect(notes).toEqual([
        expect.stringContaining(`column 'x': values such as '${text}' are used as categories`),
        expect.stringContaining('the same value in all training rows'),
      ]);
    }
  });

  it('1.2.3 and S, M, 42 are categories', async () => {
    const sizes = ['S', 'M', 'L', '42'];
    const { preparation, notes } = await table(
      `v,s,kind\n${rows(12, (i) => `1.2.${i % 3},${sizes[i % 4]}`)}`,
    );
    expect(preparation.table!.columns.map(({ kind }) => kind)).toEqual(['category', 'category']);
    expect(notes.join()).toMatch(
      /column 's': 3 of 12 values are numbers, .*; to change this, set data\.columns/,
    );
  });

  it('too large for what trains are refused', async () => {
    await expect(table(`x,kind\n${rows(12, () => '1e300')}`)).rejects.toThrow(/too large/);
    await expect(series(`v\n${'1e60\n'.repeat(12)}`)).rejects.toThrow(/too large/);
  });
});

describe('labels', () => {
  it('NA is a class; what is empty, or said to be none, is missing', async () => {
    const content = `x,kind\n${Array.from({ length: 12 }, (_, i) => `${i},${['EU', 'NA', 'None'][i % 3]}\n`).join('')}`;
    expect((await table(content)).preparation.classes).toEqual(['EU', 'NA', 'None']);
    await expect(table(content, { missingValues: ['NA'] })).rejects.toThrow(/the target kind is missing/);
    await expect(table(`${content}9,\n`)).rejects.toThrow(/:14: the target kind is missing/);
  });

  it('a class with one row is for training, and said', async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { preparation, notes } = await table(`x,kind\n${rows(80, (i) => `${2 * i}`)}99,rare\n`, { seed });
      expect(preparation.classes).toEqual(['hi', 'lo', 'rare']);
      expect(notes).toEqual([expect.stringContaining('class rare: too few rows')]);
    }
  });
});
