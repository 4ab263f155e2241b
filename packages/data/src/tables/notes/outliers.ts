/** Values so far away that, once their column is standardized, all others are nearly the same number. */
import type { CsvRow } from '../csv-file.ts';
import { quoted } from '../quoted.ts';
import type { ColumnEncoding } from '../table.ts';
import { readNumber, type TableForm } from '../table-form.ts';

/** Of fewer values, the spread says little; of so many, it is known. */
const FEWEST = 20;
const SAMPLED = 1000;
/** Standard deviations, in widths of the middle half of the values, from which on that half is squeezed into one number. */
const SQUEEZED = 100;

/**
 * Notes on columns of numbers whose furthest value hides the others.
 * @param encodings of the columns, fitted to these rows and standardized
 */
export function outliersOf(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  encodings: readonly ColumnEncoding[],
  form: TableForm,
): string[] {
  if (rows.length < FEWEST) return [];
  return encodings.flatMap((encoding) => {
    if (encoding.kind !== 'number') return [];
    const { name, mean, std } = encoding;
    const at = columns.indexOf(name);
    const width = middleHalf(rows, at, form);
    if (!(width > 0 && std >= SQUEEZED * width)) return [];
    const away = ({ fields }: CsvRow) => Math.abs((readNumber(fields[at]!, form) ?? mean) - mean);
    const { fields, line } = rows.reduce((a, b) => (away(b) > away(a) ? b : a));
    const text = fields[at]!.slice(0, 40);
    return [
      `${path}:${line}: ${name} is ${text}, so far from the other values that standardization makes those nearly equal. Fix it, set data.missingValues: [${JSON.stringify(text)}] if it means a missing value, or data.columns: { ${quoted(name)}: ignore }`,
    ];
  });
}

/** From the first quartile of a column to the third, by rows at even distances. */
function middleHalf(rows: readonly CsvRow[], at: number, form: TableForm): number {
  const every = Math.ceil(rows.length / SAMPLED);
  const values = rows.flatMap(({ fields }, row) =>
    row % every === 0 ? (readNumber(fields[at]!, form) ?? []) : [],
  );
  values.sort((a, b) => a - b);
  const quartile = (part: number) => values[Math.floor(part * (values.length - 1))] ?? 0;
  return quartile(0.75) - quartile(0.25);
}
