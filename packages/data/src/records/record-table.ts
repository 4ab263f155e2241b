/** Tables in Parquet and JSON Lines, as readers of CSV files have them: each value as it would be written in a CSV file, so that all rules of columns apply. */
import { DataError } from '../dataset.ts';
import { shownName } from '../files/folder.ts';
import type { CsvForm, CsvReader, CsvRow } from '../tables/csv-file.ts';
import { listed } from '../tables/listed.ts';
import { blankLines, MOST_COLUMNS, MOST_FIELDS } from '../tables/table-limits.ts';
import { openRecordFile } from './open-record-file.ts';
import type { RecordColumn, RecordValue } from './record-file.ts';

/** Characters of all fields together: rows are in memory while a table is opened. */
const MOST_CHARACTERS = 2 ** 30;

/** @throws DataError naming file, row and column */
export async function openRecordTable(path: string, options: CsvForm): Promise<CsvReader> {
  const file = await openRecordFile(path, options.onDamaged);
  const plain = file.columns.filter(({ nested }) => nested === undefined);
  const left = file.columns.filter(({ nested }) => nested !== undefined);
  const written = plain.map(({ name }) => name);
  const columns = written.map(shownName);
  checkNames(path, columns);
  if (columns.length === 0)
    throw new DataError(`${path}: ${leftOut(left)}, and it has no other columns. ${packCure(path, left)}`);
  const decimal = options.decimal ?? '.';
  const asWritten = options.asWritten === undefined ? -1 : columns.indexOf(options.asWritten);
  return {
    columns,
    skipped: file.skipped,
    notes: () => [
      ...(left.length > 0
        ? [
            `${path}: ${leftOut(left)} and ${left.length === 1 ? 'is' : 'are'} not used. ${packCure(path, left)}`,
          ]
        : []),
      ...(file.blank.length > 0 ? [blankLines(path, file.blank)] : []),
    ],
    async *rows(): AsyncGenerator<CsvRow> {
      let fields = 0;
      let characters = 0;
      for await (const { line, values } of file.rows(written)) {
        fields += values.length;
        if (fields > MOST_FIELDS)
          throw new DataError(`${path}:${line}: more than ${MOST_FIELDS} fields, which is the maximum`);
        const texts = values.map((value, at) => {
          const text = textOf(value, decimal);
          characters += text.length;
          return at === asWritten || typeof value !== 'string' ? text : shownName(text);
        });
        if (characters > MOST_CHARACTERS)
          throw new DataError(
            `${path}:${line}: more than ${MOST_CHARACTERS} characters, which is the maximum`,
          );
        yield { line, fields: texts };
      }
    },
  };
}

/** As a CSV file would have it. NaN is how data frames write that there is none. */
function textOf(value: RecordValue, decimal: string): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'number') return String(value);
  if (Number.isNaN(value)) return '';
  return decimal === '.' ? String(value) : String(value).replace('.', decimal);
}

function checkNames(path: string, columns: readonly string[]): void {
  if (columns.length > MOST_COLUMNS)
    throw new DataError(`${path}: ${columns.length} columns; at most ${MOST_COLUMNS} are supported`);
  const seen = new Set<string>();
  const twice = columns.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined)
    throw new DataError(
      `${path}: two columns are named '${twice}' (compared as Unicode NFC). Rename one of them`,
    );
}

const leftOut = (left: readonly RecordColumn[]): string =>
  left.length === 1
    ? `column '${left[0]!.name}' holds ${left[0]!.nested}`
    : `the columns ${listed(left.map(({ name }) => name))} hold lists, objects or bytes`;

const packCure = (path: string, left: readonly RecordColumn[]): string =>
  `To train on lists of numbers or on images, pack them: kasane data pack ${path} FOLDER --set input=${left[0]!.name}`;
