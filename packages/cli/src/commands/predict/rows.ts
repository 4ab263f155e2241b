/** Rows of tables as samples: given on the command line, or in a CSV file. */

import { DataError, notFound, type SeriesPreparation, type TablePreparation } from '@kasane/data/dataset';
import { checkStep } from '@kasane/data/internal/series/check-times';
import { openCsvFile } from '@kasane/data/internal/tables/csv-file';
import { formOf } from '@kasane/data/internal/tables/table-form';
import { readSeriesRows } from '@kasane/data/series';
import { encodeRow, featuresOf, unseenCategories } from '@kasane/data/table';
import { counted } from '@kasane/tensor/internal/counted';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import type { ReadInput } from './inputs.ts';
import { isLikePath } from './like-path.ts';
import { withoutOptions } from './plain-cure.ts';

/** A CSV file, each row of it a sample; or one row: values in the order of the columns, or NAME=VALUE pairs. */
export async function readTable(given: string, table: TablePreparation): Promise<readonly ReadInput[]> {
  const names = table.columns.map(({ name }) => name);
  const form = formOf(table.form ?? {});
  /** @param place names the row in messages */
  const encode = (name: string, fieldOf: (column: string) => string, place = name): ReadInput => {
    const x = new Float32Array(featuresOf(table.columns));
    const why = encodeRow(table.columns, fieldOf, { missing: table.missing, form }, x, 0);
    if (why !== undefined) throw new DataError(`${place}: ${why}`);
    const notes = unseenCategories(table.columns, fieldOf).map(
      (column) =>
        `${name}: ${column} is '${fieldOf(column)}', a category that does not occur in the training data; it is treated as none of the known ones`,
    );
    return { name, x, ...(notes.length > 0 && { notes }) };
  };
  if (kindOfPath(given) === 'nothing') {
    const { fields, named } = fieldsOf(given, names, form.delimiter);
    const order = named || names.length === 1 ? '' : ` of ${names.join(form.delimiter)}`;
    const row = encode(
      given,
      (column) => fields.get(column)!,
      `${given}: file not found, and as a row${order}`,
    );
    if (named || !table.inputs) return [row];
    // Input layers take columns in an order of their own, which whoever has the file before them would not expect.
    const read = names.map((column) => `${column}=${fields.get(column)}`).join(form.delimiter);
    const note = `${given}: read as ${read}, in the order of the model's inputs; name the values for another order`;
    return [{ ...row, notes: [note, ...(row.notes ?? [])] }];
  }
  const file = await openCsvFile(given, { ...form, onDamaged: 'fail' });
  checkColumns(given, file.columns, names);
  const places = new Map(file.columns.map((name, at) => [name, at]));
  const samples: ReadInput[] = [];
  for await (const { fields, line } of file.rows()) {
    samples.push(encode(`${given}:${line}`, (column) => fields[places.get(column)!]!));
  }
  const [first, ...others] = samples;
  if (!first) throw new DataError(`${given}: it contains no rows`);
  return [{ ...first, notes: [...file.notes(), ...(first.notes ?? [])] }, ...others];
}

const unfit = (message: string) => new DataError(message);

/** One row's values by column, and whether they were given by name. */
function fieldsOf(
  given: string,
  names: readonly string[],
  delimiter: string,
): { readonly fields: ReadonlyMap<string, string>; readonly named: boolean } {
  const parts = given
    .normalize('NFC')
    .split(delimiter)
    .map((part) => part.trim());
  if (parts.length !== names.length) {
    throw (isLikePath(given) ? notFound : unfit)(
      `${given}: file not found, and as a row it has ${counted(parts.length, 'value')}; expected ${names.length}: ${names.join(delimiter)}`,
    );
  }
  const named = parts.every((part) => part.includes('='));
  if (!named) return { fields: new Map(names.map((name, index) => [name, parts[index]!])), named };
  const pairs = new Map(
    parts.map((part) => {
      const at = part.indexOf('=');
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    }),
  );
  checkColumns(given, [...pairs.keys()], names);
  return { fields: pairs, named };
}

function checkColumns(given: string, there: readonly string[], wanted: readonly string[]): void {
  const lacking = wanted.filter((name) => !there.includes(name));
  if (lacking.length === 0) return;
  throw new DataError(
    `${given}: it has no ${lacking.join(', ')}; the model was trained on ${wanted.join(', ')}`,
  );
}

/** A CSV file: its last rows are the window that is told on from. */
export async function readSeries(given: string, series: SeriesPreparation): Promise<readonly ReadInput[]> {
  const { window, columns, missing = 'fail', form = {} } = series;
  const names = columns.map(({ name }) => name);
  const options = { ...series, ...form, columns: names, missing, onDamaged: 'fail' } as const;
  const notes: string[] = [];
  const { rows, values, time, step } = await readSeriesRows(given, options, notes);
  if (rows < window) throw new DataError(`${given}: ${counted(rows, 'row')}; the model needs ${window}`);
  if (series.step !== undefined && time !== undefined && step !== undefined)
    checkStep(given, [time].flat().join(' + '), step, series.step);
  const last = values.slice(-window * columns.length);
  const x = Float32Array.from(last, (value, i) => {
    const { mean, std } = columns[i % columns.length]!;
    return (value - mean) / std;
  });
  const bad = x.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new DataError(`${given}: ${names[bad % names.length]} has a value that is too large`);
  return [{ name: given, x, ...(notes.length > 0 && { notes: notes.map(withoutOptions) }) }];
}
