/** Whether the times of rows are in one zone, ascend, and have no gaps; and what to do where they are not. */
import { counted } from '@kasane/tensor/internal/counted';
import { DataError } from '../dataset.ts';
import type { CsvRow } from '../tables/csv-file.ts';
import { localHour, namesZone, timeBetween } from '../tables/read-time.ts';
import { repeated, severalSeries, type Timed } from './several-series.ts';

/** A row so many usual steps after the one before it has something missing before it: months differ in length, and clocks drift. */
const GAP = 1.5;
/** What helps whatever is wrong with times. */
export const WAY_OUT = 'or set data.order: file to keep the order of the file';

/** @throws DataError when some times name their zone, or offset from UTC, and others do not: whoever wrote those meant another one */
export function checkZones(
  path: string,
  name: string,
  timed: readonly { readonly row: CsvRow }[],
  at: number,
): void {
  const first = new Map<boolean, CsvRow>();
  for (const { row } of timed) {
    const names = namesZone(row.fields[at]!);
    if (names !== undefined && !first.has(names)) first.set(names, row);
    if (first.size === 2) break;
  }
  const [zoned, local] = [first.get(true), first.get(false)];
  if (!zoned || !local) return;
  throw new DataError(
    `${path}:${zoned.line}: ${name} '${zoned.fields[at]}' has an offset from UTC, but '${local.fields[at]}' on line ${local.line} has none. Write all times with an offset, or all without`,
  );
}

const CLOCKS =
  'It may be the hour that is repeated when daylight saving time ends: write times with their UTC offset, such as 2026-10-25T02:00+01:00, keep one row per time';

/** Whether a local time may come twice because clocks are put back: in the night to a Sunday, in spring or autumn. */
function clocksWentBack(text: string, time: number): boolean {
  const [hour, day] = [localHour(text), new Date(time)];
  return (
    hour !== undefined && hour <= 3 && day.getUTCDay() === 0 && [2, 3, 8, 9, 10].includes(day.getUTCMonth())
  );
}

/** @throws DataError naming the first time that is there twice, or else the first that is out of order: sorting helps only there */
export function checkOrder(
  path: string,
  name: string,
  columns: readonly string[],
  rows: readonly Timed[],
  at: number,
): void {
  const twice = repeated(rows);
  if (twice) {
    const { row, first, time } = twice;
    const what = `${path}:${row.line}: ${name} ${row.fields[at]} is repeated; it is already on line ${first.line}`;
    const several = severalSeries(twice, columns, rows, at);
    throw new DataError(
      several
        ? `${what}. ${several}`
        : `${what}. ${clocksWentBack(row.fields[at]!, time) ? CLOCKS : 'Keep one row per time'}, ${WAY_OUT}`,
    );
  }
  for (const [i, one] of rows.entries()) {
    const before = rows[i - 1];
    if (!before || timeBetween(one, before) > 0) continue;
    const { row } = one;
    const [here, there] = [row, before.row].map(({ fields }) => fields[at]!);
    throw new DataError(
      `${path}:${row.line}: ${name} ${here} comes after ${there} on line ${before.row.line}. Set data.order: sort to sort the rows by time, or file to keep the order of the file`,
    );
  }
}

export function checkGaps(
  path: string,
  name: string,
  rows: readonly Timed[],
  at: number,
  steps: readonly number[],
  usual: number,
): void {
  if (usual <= 0) return;
  const wide = steps.flatMap((step, i) => (step > GAP * usual ? [i + 1] : []));
  const [first] = wide;
  if (first === undefined) return;
  const [before, after] = [rows[first - 1]!.row, rows[first]!.row];
  const more = wide.length > 1 ? ` (and ${counted(wide.length - 1, 'more gap')})` : '';
  throw new DataError(
    `${path}:${after.line}: ${name} goes from ${before.fields[at]} to ${after.fields[at]}, ${Number((steps[first - 1]! / usual).toPrecision(3))} times the usual step${more}. Fill in the rows between, or set data.gaps: accept`,
  );
}

/**
 * Refuses rows whose times follow each other as those of the training data did not: days and weeks are other series.
 * @throws DataError naming `path`
 */
export function checkStep(path: string, name: string, step: number, trained: number): void {
  const times = step / trained;
  if (times <= GAP && times >= 1 / GAP) return;
  throw new DataError(
    `${path}: the step of '${name}' is ${Number(times.toPrecision(3))} times that of the training data. Give rows with the step of the training data`,
  );
}
