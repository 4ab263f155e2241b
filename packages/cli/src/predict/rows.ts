/** Rows of tables as samples: given on the command line, or in a CSV file. */
import { openCsvFile } from '@kasane/data/csv-file';
import { DataError, type SeriesPreparation, type TablePreparation } from '@kasane/data/dataset';
import { encodeRow, featuresOf, parseNumber } from '@kasane/data/table';
import { kindOfPath } from '@kasane/tensor/node/regular-file';
import type { ReadInput } from './inputs.ts';

const FORM = { delimiter: ',', onDamaged: 'fail' } as const;

/** A CSV file, each row of it a sample; or one row: values in the order of the columns, or NAME=VALUE pairs. */
export async function readTable(given: string, table: TablePreparation): Promise<readonly ReadInput[]> {
  const names = table.columns.map(({ name }) => name);
  const encode = (name: string, fieldOf: (column: string) => string): ReadInput => {
    const x = new Float32Array(featuresOf(table.columns));
    const why = encodeRow(table.columns, fieldOf, table.missing, x, 0);
    if (why !== undefined) throw new DataError(`${name}: ${why}`);
    return { name, x };
  };
  if (kindOfPath(given) === 'nothing') {
    const fields = fieldsOf(given, names);
    return [encode(given, (column) => fields.get(column)!)];
  }
  const file = await openCsvFile(given, FORM);
  checkColumns(given, file.columns, names);
  const samples: ReadInput[] = [];
  for await (const { fields, line } of file.rows()) {
    samples.push(encode(`${given}:${line}`, (column) => fields[file.columns.indexOf(column)]!));
  }
  if (samples.length === 0) throw new DataError(`${given}: it has no rows`);
  return samples;
}

/** One row's values by column. */
function fieldsOf(given: string, names: readonly string[]): Map<string, string> {
  const parts = given.split(',').map((part) => part.trim());
  if (parts.length !== names.length) {
    throw new DataError(
      `${given}: no such file, and as a row it has ${parts.length} values; expected ${names.length}: ${names.join(',')}`,
    );
  }
  const named = parts.every((part) => part.includes('='));
  if (!named) return new Map(names.map((name, index) => [name, parts[index]!]));
  const pairs = new Map(
    parts.map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]),
  );
  checkColumns(given, [...pairs.keys()], names);
  return pairs;
}

function checkColumns(given: string, there: readonly string[], wanted: readonly string[]): void {
  const lacking = wanted.filter((name) => !there.includes(name));
  if (lacking.length === 0) return;
  throw new DataError(
    `${given}: it lacks ${lacking.join(', ')}; the model was trained on ${wanted.join(', ')}`,
  );
}

/** A CSV file: its last rows are the window that is told on from. */
export async function readSeries(given: string, series: SeriesPreparation): Promise<readonly ReadInput[]> {
  const { window, columns } = series;
  const names = columns.map(({ name }) => name);
  const file = await openCsvFile(given, FORM);
  checkColumns(given, file.columns, names);
  const places = names.map((name) => file.columns.indexOf(name));
  const rows: number[][] = [];
  for await (const { fields, line } of file.rows()) {
    rows.push(
      columns.map(({ name, mean, std }, i) => {
        const value = parseNumber(fields[places[i]!]!);
        if (value === undefined) throw new DataError(`${given}:${line}: ${name} is no number`);
        return (value - mean) / std;
      }),
    );
    if (rows.length > window) rows.shift();
  }
  if (rows.length < window)
    throw new DataError(`${given}: ${rows.length} rows; the model looks at ${window}`);
  return [{ name: given, x: Float32Array.from(rows.flat()) }];
}
