/** `kasane init` on tables as people download them: mixed columns, texts with a class, series, small files, files of any name. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadData } from '@kasane/coordinator/internal/submit/load-data';
import { anywhere } from '@kasane/data/internal/files/access';
import { parseJobFile } from '@kasane/protocol/job-file';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { withSettings } from '../src/commands/data/settings.ts';
import { type InitOptions, init } from '../src/commands/init/init.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const lines = (row: (i: number) => string, count = 40) =>
  Array.from({ length: count }, (_, i) => `${row(i)}\n`).join('');

/** What init prints of a file or folder, and the job it wrote, which loads. */
async function made(name: string, content: string | undefined, options: InitOptions = {}) {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  if (content !== undefined) writeFileSync(path, content);
  const printed: string[] = [];
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  try {
    await init(`${path}.yaml`, { yes: true, data: path, force: true, ...options });
  } finally {
    out.mockRestore();
  }
  const { spec } = parseJobFile(readFileSync(`${path}.yaml`, 'utf8'), name);
  const { train, test } = await loadData(parseJobFile(readFileSync(`${path}.yaml`, 'utf8'), name), anywhere);
  return {
    name: spec.name,
    data: spec.data,
    model: spec.model,
    printed: printed.join(''),
    samples: train.samples + test.samples,
  };
}

const families = ['Braund', 'Cumings', 'Heikkinen', 'Futrelle', 'Allen', 'Moran', 'McCarthy'];
const titanic = `PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked\n${lines(
  (i) =>
    `${i + 1},${i % 3 ? 0 : 1},${1 + (i % 3)},"${families[i % 7]}, Mr. Owen the ${i}th",${i % 2 ? 'male' : 'female'},${i % 5 ? 20 + (i % 30) : ''},${i % 2},0,${i % 3 ? 1000 + i : `A/5 ${i}`},${7 + i / 4},${i % 6 ? '' : `C${i}`},${'SCQ'[i % 3]}`,
  120,
)}`;

it('a column of numbers and texts, nearly all different, is left out of a table', async () => {
  const { data, printed } = await made('titanic.csv', titanic, { target: 'Survived' });
  expect(data).toMatchObject({
    format: 'csv',
    task: 'classification',
    columns: { Name: 'ignore', Ticket: 'ignore', Cabin: 'ignore' },
  });
  expect(printed).toMatch(/column 'Ticket' contains numbers and texts, such as 'A\/5 0', .*: it is ignored/);
});

it('a column of numbers and a few texts is a category; one or two texts may be markers, and the reader asks', async () => {
  const dependents = `n,x,kind\n${lines((i) => `${['0', '1', '2', '3+'][i % 4]},${(i * 7) % 11}.5,${i % 3 ? 'a' : 'b'}`)}`;
  expect((await made('loan.csv', dependents)).data).toMatchObject({ columns: { n: 'category' } });
  const stray = `x,kind\n${lines((i) => `${i === 9 ? 'ERR' : i / 8},${i % 2 ? 'a' : 'b'}`)}`;
  await expect(made('stray.csv', stray)).rejects.toThrow(/Set data\.missingValues: \[ERR\]/);
});

it('prices with a unit are no classes, and it is said to remove the unit', async () => {
  const prices = `a,b,price\n${lines((i) => `${i / 7},${(i * 5) % 13},${100 + i * 3} EUR`)}`;
  await expect(made('prices.csv', prices, { target: 'price' })).rejects.toThrow(
    /are not classes\. To predict numbers, remove the unit 'EUR' from its numbers\. To predict another/,
  );
  const { printed } = await made('prices.csv', prices);
  expect(printed).toMatch(
    /'price' has a different value .* such as '100 EUR' \(remove the unit 'EUR' from its numbers/,
  );
  const weights = `a,w\n${lines((i) => `${i / 7},${i % 3} kg`)}`;
  expect((await made('weights.csv', weights, { target: 'w' })).printed).toMatch(
    /such as '0 kg', are classes; to predict numbers, remove the unit 'kg'/,
  );
});

it('dates beside numbers with a few texts are a series, and the texts are named', async () => {
  const content = `date,v\n${lines((i) => `2025-01-${String((i % 28) + 1).padStart(2, '0')}T${i < 28 ? '00' : '12'}:00,${i % 20 === 4 ? 'ERR' : i / 4}`)}`;
  await expect(made('err.csv', content)).rejects.toThrow(
    /column 'v': 38 of 40 values are numbers; .*err\.csv:6: 'ERR' is not\. Set data\.missingValues: \[ERR\]/,
  );
  const { data } = await made('err.csv', content, { set: ['missingValues=[ERR]'] });
  expect(data).toMatchObject({ format: 'series', missingValues: ['ERR'] });
});

it('what names or fills each row is not predicted', async () => {
  const pixels = `emotion,pixels\n${lines((i) => `${i % 3},${i} ${i * 7} 3 4`)}`;
  await expect(made('pixels.csv', pixels)).rejects.toThrow(
    /predict emotion from: 'pixels' has .*--set columns\.pixels=/,
  );
  await expect(made('titanic.csv', titanic, { target: 'Name' })).rejects.toThrow(
    /so they are not classes\. Name another column with --target.*task=classification/,
  );
});

it('columns that --set names join those that init decides on', async () => {
  for (const set of ['columns={"Sex":"ignore"}', 'columns.Sex=ignore']) {
    const { data } = await made('merged.csv', titanic, {
      target: 'Survived',
      set: [set, 'columns.Cabin=category'],
    });
    expect(data).toMatchObject({
      columns: { Name: 'ignore', Ticket: 'ignore', Sex: 'ignore', Cabin: 'category' },
    });
  }
  expect(withSettings({ columns: { a: 'index' } }, ['columns.b c=ignore', 'size=3'])).toEqual({
    columns: { a: 'index', 'b c': 'ignore' },
    size: 3,
  });
  expect(() => withSettings({ size: 3 }, ['size.x=1'])).toThrow(/size is not an object/);
  expect(() => withSettings({}, ['columns.x'])).toThrow(/columns\.NAME=ignore/);
});

const review = (i: number) =>
  `the film number ${i} was ${i % 2 ? 'good, and I liked it' : 'bad "beyond" words'}`;
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;

it('texts with a class each, in a table', async () => {
  const [review1, plain] = [(i: number) => quoted(review(i)), (i: number) => review(i).replaceAll(',', '')];
  const bare = { format: 'text', objective: 'classification' };
  for (const [name, content, columns] of [
    [
      'imdb.csv',
      `review,sentiment\n${lines((i) => `${review1(i)},${i % 2 ? 'pos' : 'neg'}`)}`,
      ['review', 'sentiment'],
    ],
    ['named.csv', `text,label\n${lines((i) => `${review1(i)},${i % 2}`)}`, ['text', 'label']],
    [
      'id.tsv',
      `id\tsentiment\treview\n${lines((i) => `${7 * i}_x\t${i % 2}\t${review1(i)}`)}`,
      ['review', 'sentiment'],
    ],
    ['SMSSpamCollection', lines((i) => `${i % 2 ? 'ham' : 'spam'}\t${plain(i)}`), ['2', '1']],
    [
      'news.csv',
      `Class Index,Title,Description\n${lines((i) => `${1 + (i % 4)},a title of ${i},${review1(i)}`)}`,
      ['Description', 'Class Index'],
    ],
  ] as const) {
    const { data, model, printed, samples } = await made(name, content);
    expect(data, name).toMatchObject({ ...bare, text: columns[0], label: columns[1] });
    expect(model).toMatchObject({ preset: 'lstm-text' });
    expect(samples).toBe(40);
    expect(printed).toMatch(/--set text=COLUMN/);
  }
});

it('more texts than can be missed by their number, and a file with none but texts', async () => {
  const many = `review,sentiment\n${lines((i) => `${quoted(review(i))},${i % 2 ? 'pos' : 'neg'}`, 1500)}`;
  expect((await made('many.csv', many)).data).toMatchObject({ format: 'text', text: 'review' });
  const pairs = `en,fr\n${lines((i) => `the word number ${i} here,le mot de ${i} ici`)}`;
  await expect(made('pairs.csv', pairs)).rejects.toThrow(/--set format=text text=COLUMN label=COLUMN/);
  const chosen = await made(
    'pairs.csv',
    pairs.replace(/ici\n/g, (_, at: number) => (at % 2 ? 'a\n' : 'b\n')),
    {
      set: ['format=text'],
    },
  );
  expect(chosen.model).toMatchObject({ preset: 'gpt' });
});

it('whole numbers of a small table, and decimals, are quantities; few with many rows each are classes', async () => {
  const task = async (row: (i: number) => string, count: number) => {
    const { data, printed } = await made('small.csv', `x,y\n${lines(row, count)}`);
    expect(printed).toMatch(/--set task=/);
    return (data as { readonly task?: string }).task;
  };
  expect(await task((i) => `${i},${2 * i + 1}`, 10)).toBe('regression');
  expect(await task((i) => `${i},${2 * i + 1}`, 20)).toBe('regression');
  expect(await task((i) => `${i},${3.25 + (i % 4)}`, 40)).toBe('regression');
  expect(await task((i) => `${i},${i % 3}`, 40)).toBe('classification');
});

it('a job is called after its file, in any script; long names are told apart by digits', async () => {
  const named = async (file: string) => {
    const content = `x,kind\n${lines((i) => `${(i * 7) % 11}.5,${i % 2 ? 'a' : 'b'}`)}`;
    return (await made(file, content, { target: 'kind' })).name;
  };
  expect(await named('売上.csv')).toBe('売上.csv');
  expect(await named('Gro\u0308ße 2.csv')).toBe('Gr\u00f6ße-2.csv');
  const long = [await named(`${'a'.repeat(90)}.csv`), await named(`${'a'.repeat(91)}.csv`)];
  expect(new Set(long).size).toBe(2);
  for (const name of [...long, await named(`${'売'.repeat(62)}.csv`)]) expect(name).toHaveLength(64);
  // No half of a character is left.
  expect(await named(`a${'\u{20000}'.repeat(40)}.csv`)).toMatch(/^a\u{20000}+-[0-9a-f]{6}$/u);
});

it('a time and a number: a series', async () => {
  const month = (i: number) => `${1949 + Math.floor(i / 12)}-${String(1 + (i % 12)).padStart(2, '0')}`;
  const passengers = await made(
    'air.csv',
    `Month,Passengers\n${lines((i) => `${month(i)},${112 + i}`, 144)}`,
  );
  expect(passengers.data).toMatchObject({ format: 'series', window: 12 });
  expect(passengers.printed).toMatch(/predicted from the previous 12 .*--set window=N/);
  const hour = (i: number) => new Date(Date.UTC(2004, 0, 1, i)).toISOString().slice(0, 19).replace('T', ' ');
  const load = await made('pjm.csv', `Datetime,MW\n${lines((i) => `${hour(i ^ 1)},${i % 24}`, 200)}`);
  expect(load.data).toMatchObject({ format: 'series', window: 24, order: 'sort' });
  const named = await made(
    'sales.csv',
    `Month,Sales\n${lines((i) => `${(1 + i / 12) | 0}-M${i % 12},${i / 4}`, 36)}`,
  );
  expect(named.data).toMatchObject({ format: 'series', order: 'file' });
  const other = await made('us.csv', `Date,Temp\n${lines((i) => `1/${1 + (i % 28)}/1981,${i / 4}`, 28)}`);
  expect(other.data).toMatchObject({ format: 'series', order: 'file' });
});

it.each([
  ['hour', (i: number) => String(i % 24)],
  ['Time', (i: number) => `${i % 24}:00:00`],
])('a date and a column %s are the times of a series together', async (clock, of) => {
  const rows = Array.from(
    { length: 96 },
    (_, i) =>
      `2026-01-${String(1 + Math.floor(i / 24)).padStart(2, '0')},${of(i)},${(37 * i) % 101},${i % 7}`,
  );
  const { data, printed } = await made('hours.csv', `date,${clock},load,other\n${rows.join('\n')}\n`);
  expect(data).toMatchObject({ format: 'series', time: ['date', clock], window: 19 });
  expect(printed).toContain(`columns 'date' and '${clock}' contain the times of the rows`);
});

it('a series whose rows are numbered, as R and pandas write them', async () => {
  const day = (i: number) => `2026-01-${String(1 + i).padStart(2, '0')}`;
  const { data, printed } = await made(
    'r.csv',
    `"",date,v\n${lines((i) => `"${1 + i}",${day(i)},${(i * 7) % 5}`, 28)}`,
  );
  expect(data).toMatchObject({ format: 'series', columns: ['v'] });
  expect(printed).toContain("columns that number the rows are ignored: ''");
});

it.each([
  ['newest first', (i: number) => `${28 - (i % 28)}.01.2026`],
  ['in no order', (i: number) => `1/${1 + ((5 * i) % 28)}/2026`],
])('a series whose dates can not be read and do not rise is refused: %s', async (_, date) => {
  const table = made('other.csv', `Date,Temp\n${lines((i) => `${date(i)},${i / 4}`, 28)}`);
  await expect(table).rejects.toThrow(/cannot be read as a time\. Write .*--set order=file/);
});

it('a series with one time that cannot be read: that row is named, and the order stays checked', async () => {
  const day = (i: number) => new Date(Date.UTC(2026, 0, 1 + i)).toISOString().slice(0, 10);
  const content = `date,v\n${lines((i) => `${day(i)},${i % 7}`)}Total,115\n`;
  const { data, printed } = await made('total.csv', content);
  expect(printed).toMatch(/skipped 1 of 41 rows: .*total\.csv:42: date is 'Total', which is not a time/);
  expect(data).not.toHaveProperty('order', 'file');
});

it('--target of a series is honoured, and refused where there is none', async () => {
  const day = (i: number) => new Date(Date.UTC(2024, 0, 1 + i + (i >> 3))).toISOString().slice(0, 10);
  const stock = `Date,Open,Close\n${lines((i) => `${day(i)},${i / 2},${i / 3}`, 60)}`;
  const { data, printed } = await made('stock.csv', stock, { target: 'Close' });
  expect(data).toMatchObject({ format: 'series', target: 'Close', gaps: 'accept' });
  expect(printed).toMatch(/\(data\.gaps\)/);
  await expect(made('stock.csv', stock, { target: 'Nonsense' })).rejects.toThrow(/'Nonsense'/);
  await expect(made('stock.csv', stock, { set: ['format=series'], target: 'Nonsense' })).rejects.toThrow(
    /'Nonsense'/,
  );
  const table = await made('stock.csv', stock, { target: 'Close', set: ['format=csv'] });
  expect(table.data).toMatchObject({ format: 'csv', target: 'Close', columns: { Date: 'ignore' } });
  const story = 'Once upon a time there was a gradient. '.repeat(60);
  await expect(made('story.txt', story, { target: 'x' })).rejects.toThrow(/--target names a column/);
  await expect(made('stock.csv', stock, { size: 3 })).rejects.toThrow(
    /--size sets the side length of images/,
  );
  mkdirSync(join(folder, 'pets/cat'), { recursive: true });
  await expect(made('pets', undefined, { target: 'x' })).rejects.toThrow(/folder of images/);
});

it('tables whatever their file is called; other files are said to be texts', async () => {
  const iris = lines((i) => `5.${i % 9},3.${i % 4},1.4,0.${i % 5},Iris-${i % 2 ? 'setosa' : 'virginica'}`);
  expect((await made('iris.data', iris)).data).toMatchObject({ format: 'csv', header: false, target: '5' });
  const adult = lines(
    (i) => `${17 + i}, ${i % 3 ? 'Private' : '?'}, ${77516 + 31 * i}, ${i % 2 ? '<=50K' : '>50K'}`,
  );
  expect((await made('adult.data', adult)).data).toMatchObject({ format: 'csv', header: false, target: '4' });
  const power = `Date;Time;Power;Voltage\n${lines((i) => `${1 + (i % 28)}/12/2006;17:${10 + (i % 50)}:00;${i / 8};23${i % 10}.5`)}`;
  const { data, printed } = await made('power.txt', power);
  expect(data).toMatchObject({ format: 'csv', delimiter: ';', target: 'Voltage' });
  expect(printed).toMatch(/read as a table \(--set format=text/);
  const lined = lines((i) => ` 0.0${i}  ${i}.5   ${(3 * i) % 7}.25`);
  expect((await made('housing.data', lined)).data).toMatchObject({ format: 'csv', delimiter: ' ' });
  const records = lines((i) => JSON.stringify({ x: i, y: 2 * i }));
  expect((await made('records.jsonl', records)).data).toMatchObject({ format: 'csv', target: 'y' });
  await expect(made('records.json', records)).rejects.toThrow(/contains JSON.*--set format=text/);
  const story = await made(
    'story',
    'Once upon a time, there was a gradient.\nIt went down, and down.\n'.repeat(40),
  );
  expect(story.data).toMatchObject({ format: 'text' });
  expect(story.printed).toMatch(/read as text for a model that generates text.*--set format=csv/);
});

it('class folders of texts whose names have no ending', async () => {
  for (const kind of ['sci.space', 'alt.atheism']) {
    mkdirSync(join(folder, 'news', kind), { recursive: true });
    for (let i = 0; i < 12; i++)
      writeFileSync(join(folder, 'news', kind, String(53068 + i)), `From: ${kind}\nthe ${i}th letter`);
  }
  const { data, model, samples } = await made('news', undefined);
  expect(data).toMatchObject({ format: 'text', objective: 'classification' });
  expect(model).toMatchObject({ preset: 'lstm-text', classes: 2 });
  expect(samples).toBe(24);
});

const surnames = [
  'Abe',
  'Baker',
  'Chen',
  'Dubois',
  'Eriksen',
  'Fischer',
  'Garcia',
  'Haddad',
  'Ito',
  'Jansen',
];

it('short texts are named as what can be classified', async () => {
  const names = lines((i) => `${surnames[i % 10]} ${'abcd'[Math.floor(i / 10)]},${i % 2 ? 'yes' : 'no'}`);
  await expect(made('names.csv', `name,member\n${names}`, { target: 'member' })).rejects.toThrow(
    /no columns are left.*Column 'name' contains texts; .* --set format=text text=name label=member. Keep one/,
  );
  const beside = lines(
    (i) => `${surnames[i % 10]} ${'abcd'[Math.floor(i / 10)]},${i},${i % 2 ? 'yes' : 'no'}`,
  );
  const { printed } = await made('beside.csv', `name,age,member\n${beside}`, { target: 'member' });
  expect(printed).toMatch(/column 'name' contains texts; to classify them instead, use --set format=text/);
  // Codes are no texts.
  const codes = lines((i) => `ID-${1000 + 7 * i}x,${i % 7},${i % 2 ? 'yes' : 'no'}`);
  expect((await made('codes.csv', `id,age,member\n${codes}`, { target: 'member' })).printed).not.toMatch(
    /contains texts/,
  );
});

it.each([
  ['time', 1],
  ['timestamp', 1000],
])('seconds and milliseconds since 1970 in %s are the times of a series', async (name, scale) => {
  const rows = lines((i) => `${(1_609_459_200 + i * 86_400) * scale},${10 + (i % 7)}.5`, 60);
  const { data, printed } = await made(`epoch-${name}.csv`, `${name},v\n${rows}`);
  expect(data).toMatchObject({ format: 'series' });
  expect(printed).toMatch(new RegExp(`column '${name}' contains the times of the rows`));
  // Of another column nobody knows.
  const other = lines((i) => `${1_609_459_200 + i * 86_400},${10 + (i % 7)}.5`, 60);
  expect((await made('serial.csv', `serial,v\n${other}`)).data.format).toBe('csv');
});

it('what was guessed is said, too, where it then fails: the guess may be the fault', async () => {
  const said: string[] = [];
  const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  try {
    const german = `Preis;Menge;Wert\n${lines((i) => `${1 + (i % 9)}.${100 + i},${10 + i};${i % 7},5;${i === 7 ? 'k. A.' : `${i},25`}`)}`;
    await expect(made('de.csv', german)).rejects.toThrow(
      /'k\. A\.' is not\. Set data\.missingValues|--set missingValues/,
    );
  } finally {
    err.mockRestore();
  }
  expect(said.join('')).toMatch(
    /^Note: fields are separated by ';' \(data\.delimiter\)\nNote: numbers are read with ',' as their decimal sign \(data\.decimal\)\nNote: numbers are read with '\.' as their thousands/,
  );
});
