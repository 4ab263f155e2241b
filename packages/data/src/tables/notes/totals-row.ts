/** A last row that sums up the others, as spreadsheets have it. */
import type { CsvRow } from '../csv-file.ts';
import { readNumber, type TableForm } from '../table-form.ts';

/** What such a row is called. */
const WORDS =
  /^(?:(?:grand |sub)?totals?|sums?|summe|gesamt(?:summe)?|insgesamt|total général|totale|suma|合計|総計|総合計|小計|итого|всего)\s*:?$/i;
/** Of fewer rows a sum may be chance. */
const FEWEST = 5;

/** A note on a last row that is called a total, or consists of the sums of its columns. */
export function totalsRow(path: string, rows: readonly CsvRow[], form: TableForm): string[] {
  const last = rows.at(-1);
  if (!last || rows.length <= FEWEST) return [];
  const word = last.fields.findIndex((text) => WORDS.test(text.trim()));
  const isNamed = word >= 0 && rows.slice(0, -1).every(({ fields }) => !WORDS.test(fields[word]!.trim()));
  if (!isNamed && !last.fields.some((_, at) => isSum(rows, at, form))) return [];
  const why = isNamed
    ? `it is called '${last.fields[word]!.slice(0, 40)}'`
    : 'it has the sum of the rows above';
  return [
    `${path}:${last.line}: the last row seems to be a total (${why}), but is used like the others. Remove it`,
  ];
}

/** Whether a column's last number is the sum of the others, which are numbers too, not all of them zero. */
function isSum(rows: readonly CsvRow[], at: number, form: TableForm): boolean {
  const read = ({ fields }: CsvRow) => readNumber(fields[at]!, form);
  const last = read(rows.at(-1)!);
  if (last === undefined) return false;
  let sum = 0;
  for (let row = 0; row < rows.length - 1; row++) {
    const value = read(rows[row]!);
    // What is no larger than twice a single value adds nothing up: of most columns the first few tell.
    if (value === undefined || Math.abs(last) <= 2 * Math.abs(value)) return false;
    sum += value;
  }
  return Math.abs(last - sum) <= 1e-6 * Math.abs(sum);
}
