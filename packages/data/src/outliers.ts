/** Values so far away that, once their column is standardized, all others are nearly the same number. */
import type { CsvRow } from './csv-file.ts';
import { quoted } from './quoted.ts';
import { readNumber, type TableForm } from './table-form.ts';

/** Of fewer values, the spread says little. */
const FEWEST = 20;
/** Standard deviations, in widths of the middle half of the values, from which on that half is squeezed into one number. */
const SQUEEZED = 100;

/**
 * Notes on columns of numbers whose furthest value hides the others.
 * @param places of the columns that are standardized
 */
export function outliersOf(
  path: string,
  columns: readonly string[],
  rows: readonly CsvRow[],
  places: readonly number[],
  form: TableForm,
): string[] {
  return places.flatMap((at) => {
    const read = rows.flatMap(({ fields, line }) => {
      const value = readNumber(fields[at]!, form);
      return value === undefined ? [] : [{ value, line, text: fields[at]! }];
    });
    const furthest = read.length < FEWEST ? undefined : squeezing(read);
    if (!furthest) return [];
    const [name, text] = [columns[at]!, furthest.text.slice(0, 40)];
    return [
      `${path}:${furthest.line}: ${name} is ${text}, so far from the other values that standardization makes those nearly equal. Fix it, set data.missingValues: [${JSON.stringify(text)}] if it means a missing value, or data.columns: { ${quoted(name)}: ignore }`,
    ];
  });
}

/** The value furthest from the middle, where the standard deviation is many times the width of the middle half. */
function squeezing<T extends { readonly value: number }>(read: readonly T[]): T | undefined {
  const sorted = read.map(({ value }) => value).sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))]!;
  const [low, middle, high] = [at(0.25), at(0.5), at(0.75)];
  const width = high - low;
  if (width === 0) return undefined;
  // In widths: squares of what can be 1e300 would be infinite.
  const away = read.map(({ value }) => (value - middle) / width);
  const deviation = Math.sqrt(away.reduce((sum, one) => sum + (one / read.length) * one, 0));
  if (deviation < SQUEEZED) return undefined;
  return read.reduce((a, b) => (Math.abs(b.value - middle) > Math.abs(a.value - middle) ? b : a));
}
