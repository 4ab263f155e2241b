/** Rows to train with, and rows to test with. */
import { splitAtRandom } from '../shuffle.ts';
import type { CsvOptions } from './csv.ts';
import type { CsvRow } from './csv-file.ts';
import { listed } from './listed.ts';

export type Parts<T> = { readonly train: T; readonly test: T };
export type PartName = keyof Parts<unknown>;

/** Both parts by chance. Rows of a class of which chance left none for training go there: without, it could not be told at all. */
export function divide(
  rows: readonly CsvRow[],
  usable: (rows: readonly CsvRow[], name: PartName) => CsvRow[],
  target: number,
  { validation, seed, task }: CsvOptions,
  notes: string[],
): Parts<readonly CsvRow[]> {
  const split = splitAtRandom(rows.length, validation, seed);
  const pick = (indices: Uint32Array) => Array.from(indices, (index) => rows[index]!);
  const train = usable(pick(split.train), 'train');
  const test = usable(pick(split.test), 'test');
  if (task === 'regression') return { train, test };
  const trained = new Set(train.map(({ fields }) => fields[target]!));
  const [rare, others] = [
    test.filter((row) => !trained.has(row.fields[target]!)),
    test.filter((row) => trained.has(row.fields[target]!)),
  ];
  const tested = new Set(others.map(({ fields }) => fields[target]!));
  const all = [...train, ...rare];
  const untested = [...new Set(all.map(({ fields }) => fields[target]!))]
    .filter((name) => !tested.has(name))
    .sort();
  if (untested.length > 0) {
    const names = `${untested.length === 1 ? 'class' : 'classes'} ${listed(untested)}`;
    notes.push(`${names}: too few rows to split, so all are used for training and none for testing`);
  }
  return { train: all, test: others };
}
