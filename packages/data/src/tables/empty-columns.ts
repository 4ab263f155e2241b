/** Columns after the last one that have neither a name nor a value, as spreadsheets write them. */

import { DataError } from '../dataset.ts';
import type { CsvRow } from './csv-file.ts';

/** How many columns there are without those at the end that have no name. */
export function namedColumns(names: readonly string[]): number {
  return names.findLastIndex((name) => name !== '') + 1;
}

/**
 * How many columns a file has without empty ones at its end.
 * @param isUnnamed whether nobody has named a column
 * @throws DataError naming what stands where several columns have no name
 */
export function widthWithoutEmpty(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  isUnnamed: (name: string) => boolean = (name) => name === '',
): number {
  const filled = (at: number) => rows.find(({ fields }) => fields[at] !== '');
  let width = columns.length;
  while (width > 1 && isUnnamed(columns[width - 1]!) && !filled(width - 1)) width--;
  const unnamed = columns.slice(0, width).flatMap((name, at) => (name === '' ? [at] : []));
  const row = columns[width - 1] === '' && unnamed.length > 1 ? filled(width - 1) : undefined;
  if (row)
    throw new DataError(
      `${path}:${row.line}: columns ${unnamed[0]! + 1} and ${width} have no names, but column ${width} contains '${row.fields[width - 1]!.slice(0, 40)}'. Give each column a unique name`,
    );
  return width;
}
