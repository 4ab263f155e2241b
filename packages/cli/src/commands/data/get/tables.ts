/** Makes the text of a dataset from the npm package that has it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatasetName } from './datasets.ts';

/** Characters to keep of each email. */
const MAIL = 600;

type Row = Readonly<Record<string, unknown>>;

const rowsOf = (folder: string, name: string) =>
  JSON.parse(readFileSync(join(folder, 'data', name), 'utf8')) as Row[];
const whole = (rows: readonly Row[]) =>
  rows.filter((row) => Object.values(row).every((value) => value !== null && value !== '.'));

/** What makes each, of the folder that its package was unpacked to. */
export const texts = {
  penguins: (folder) => csv(whole(rowsOf(folder, 'penguins.json'))),
  cars: (folder) =>
    csv(
      whole(
        rowsOf(folder, 'cars.json').map(({ Name: _, Year, ...car }) => ({
          ...car,
          Year: String(Year).slice(0, 4),
        })),
      ),
    ),
  seattle: (folder) => readFileSync(join(folder, 'data', 'seattle-weather.csv'), 'utf8'),
  'moby-dick': (folder) => book(join(folder, 'data')),
  mail: (folder) => csv(mails(join(folder, 'data'))),
} as const satisfies Partial<Record<DatasetName, (folder: string) => string>>;

/** The keys of the first row are the columns. */
function csv(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const cell = (value: unknown) => {
    const text = String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
  return `${lines.map((line) => line.map(cell).join()).join('\n')}\n`;
}

function book(folder: string): string {
  const chapter = (name: string) => Number(/\d+/.exec(name)?.[0] ?? 0);
  const files = readdirSync(folder).filter((name) => /^chapter_\d+\.txt$/.test(name));
  const chapters = files
    .sort((a, b) => chapter(a) - chapter(b))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
  return chapters.join('\n\n');
}

/** Emails in the order of folders and names, without duplicates. Of the headers, only the subject is kept. */
function mails(folder: string): Row[] {
  const all = ['easy-ham-1', 'easy-ham-2', 'hard-ham-1', 'spam-1', 'spam-2'].flatMap((group) => {
    const label = group.startsWith('spam') ? 'spam' : 'ham';
    const files = readdirSync(join(folder, group))
      .filter((name) => name.endsWith('.txt'))
      .sort();
    return files.map((name) => {
      const mail = readFileSync(join(folder, group, name), 'latin1');
      const end = mail.search(/\r?\n\r?\n/);
      const subject = /^subject:(.*)$/im.exec(mail.slice(0, end))?.[1] ?? '';
      const body = mail.slice(end).replace(/<[^>]*>/g, ' ');
      const text = `${subject} ${body}`
        .replace(/[^\x20-\x7e]+|\s+/g, ' ')
        .replace(/ +/g, ' ')
        .trim();
      return { text: text.slice(0, MAIL), label };
    });
  });
  return [...new Map(all.map((mail) => [mail.text, mail])).values()];
}
