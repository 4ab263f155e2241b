/** Files that hold several series, such as the sales of several shops: their times repeat, and a window over their rows would mix them. */
import type { CsvRow } from '../tables/csv-file.ts';
import { isClock, isHour } from '../tables/joined-time.ts';
import type { ExactTime } from '../tables/read-time.ts';

export interface Timed extends ExactTime {
  readonly row: CsvRow;
}

/** Two rows of one time have the same. */
const keyOf = ({ time, rest }: Timed): number | string => (rest === 0 ? time : `${time} ${rest}`);

export interface Repeated {
  /** The first row whose time an earlier one has, and that one. */
  readonly row: CsvRow;
  readonly first: CsvRow;
  readonly time: number;
  /** Rows whose time an earlier one has. */
  readonly rows: number;
}

/** Of two series over the same times, half of the rows repeat one; they may lie apart. */
const PART = 0.25;
const APART = 'write one file per series, and train on one of them';
/** So many numbers from 0 to 24 may be hours, whatever their column is called. */
const HOURS = 20;
const HOUR_NAMES = /^(hour|hours|hr|hrs|h|heure|stunde|hora|時|時間|時刻)$|hour/i;
/** Values that a message lists. */
const NAMED = 3;

/** In the order of the rows; undefined when each has a time of its own. */
export function repeated(rows: readonly Timed[]): Repeated | undefined {
  const seen = new Map<number | string, CsvRow>();
  let found: Omit<Repeated, 'rows'> | undefined;
  for (const timed of rows) {
    const { row, time } = timed;
    const first = seen.get(keyOf(timed));
    if (!first) seen.set(keyOf(timed), row);
    else found ??= { row, first, time };
  }
  return found && { ...found, rows: rows.length - seen.size };
}

/**
 * Says that the rows are several series, or have a part of their times in another column, where they seem to, and what to do.
 * @param at the column of times
 */
export function severalSeries(
  { rows: repeats }: Repeated,
  columns: readonly string[],
  rows: readonly Timed[],
  at: number,
): string | undefined {
  // A row too many is no second series.
  if (repeats < PART * rows.length) return undefined;
  const apart = columns.flatMap((name, place) =>
    place === at ? [] : (valuesApart(name, place, rows) ?? []),
  );
  // Of several, the one with the fewest values: the shop, not its street and number.
  const [best] = apart.sort((a, b) => a.values.length - b.values.length);
  if (best) {
    const { name, values } = best;
    const more = values.length > NAMED ? `, ... (${values.length} in all)` : '';
    const list = values.slice(0, NAMED).map((text) => text.slice(0, 40));
    const are = `one per value of column '${name}': ${list.join(', ')}${more}`;
    const joined = `data.time: [${columns[at]}, ${name}]`;
    if (values.every(isClock))
      return `Column '${name}' seems to contain the times of day. Set ${joined} to read both columns as the time`;
    return values.every(isHour) && (values.length >= HOURS || HOUR_NAMES.test(name))
      ? `If column '${name}' contains the hours of the day, set ${joined} to read both columns as the time. If the file contains several series, ${are}, ${APART}`
      : `The file seems to contain several series, ${are}. ${APART.replace('w', 'W')}`;
  }
  return `Many times are repeated: the file seems to contain several series. ${APART.replace('w', 'W')}`;
}

/** The values of a column if no two rows of one have the same time, and each has several rows. */
function valuesApart(
  name: string,
  place: number,
  rows: readonly Timed[],
): { readonly name: string; readonly values: readonly string[] } | undefined {
  const times = new Map<string, Set<number | string>>();
  for (const timed of rows) {
    const time = keyOf(timed);
    const text = timed.row.fields[place]!;
    const own = times.get(text);
    if (own?.has(time)) return undefined;
    if (own) own.add(time);
    else times.set(text, new Set([time]));
  }
  if (times.size < 2 || [...times.values()].some((own) => own.size < 2)) return undefined;
  return { name, values: [...times.keys()] };
}
