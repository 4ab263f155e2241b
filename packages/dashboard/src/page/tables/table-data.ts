/** What is compared, as columns: any key of the files of trials or jobs, and any result. Nothing here knows how it is shown. */
import { type Condition, inOrder } from '@kasane/protocol/internal/job/run-conditions';
import type { RunColumns } from '@kasane/protocol/internal/job/runs';

export interface Column {
  readonly key: string;
  /** One for each row; null where the row has none. */
  readonly values: readonly unknown[];
  /** All of its values are numbers. */
  readonly isNumber: boolean;
}

export class TableData {
  readonly ids: readonly string[];
  readonly columns: ReadonlyMap<string, Column>;

  /** @param ids of the rows */
  constructor(ids: readonly string[], columns: readonly Column[]) {
    this.ids = ids;
    this.columns = new Map(columns.map((column) => [column.key, column]));
  }

  get rows(): readonly number[] {
    return [...this.ids.keys()];
  }

  value(key: string, row: number): unknown {
    return this.columns.get(key)?.values[row] ?? null;
  }

  number(key: string, row: number): number | undefined {
    const value = this.value(key, row);
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  }
}

export const columnOf = (key: string, values: readonly unknown[]): Column => ({
  key,
  values,
  isNumber:
    values.some((value) => typeof value === 'number') &&
    values.every((value) => value === null || typeof value === 'number'),
});

/** Columns for other rows: of each column the values at these places, and nothing where there is no place. */
export const columnsAt = (
  columns: readonly Column[],
  places: readonly (number | undefined)[],
): readonly Column[] =>
  columns.map(({ key, values }) =>
    columnOf(
      key,
      places.map((place) => (place === undefined ? null : (values[place] ?? null))),
    ),
  );

/** The columns of jobs as the server sent them, with what has changed since. @param changed jobs with new values */
export function unpacked(
  { jobs, columns }: RunColumns,
  changed: ReadonlyMap<string, Readonly<Record<string, unknown>>>,
): readonly Column[] {
  const changes = [...jobs.entries()].flatMap(([row, job]) => {
    const values = changed.get(job);
    return values ? [[row, values] as const] : [];
  });
  const known = columns.map(({ key, values, at }) => {
    const all = at ? at.map((place) => values[place]) : [...values];
    for (const [row, now] of changes) if (Object.hasOwn(now, key)) all[row] = now[key] ?? null;
    return columnOf(key, all);
  });
  // The first test of a job brings metrics that nobody had before.
  const keys = new Set(columns.map(({ key }) => key));
  const fresh = [...new Set(changes.flatMap(([, values]) => Object.keys(values)))].filter(
    (key) => !keys.has(key),
  );
  const added = fresh.map((key) => {
    const all = new Array<unknown>(jobs.length).fill(null);
    for (const [row, values] of changes) all[row] = values[key] ?? null;
    return columnOf(key, all);
  });
  return [...known, ...added];
}

export interface Order {
  readonly key: string;
  /** 1: the smallest first. */
  readonly sign: 1 | -1;
}

/** What a column's head asks for: upwards, then downwards, then as the rows came. */
export function nextOrder(order: Order | undefined, key: string): Order | undefined {
  if (order?.key !== key) return { key, sign: 1 };
  return order.sign === 1 ? { key, sign: -1 } : undefined;
}

/** Rows that meet all conditions, in order; equal rows keep their order. */
export function selectedRows(
  data: TableData,
  conditions: readonly Condition[],
  order: Order | undefined,
): readonly number[] {
  const rows = data.rows.filter((row) =>
    conditions.every(({ column, meets }) => meets(data.value(column, row))),
  );
  const values = order && data.columns.get(order.key)?.values;
  return values ? rows.sort((a, b) => inOrder(values[a], values[b], order.sign)) : rows;
}

/** Where the values of a column lie between 0 and 1: numbers by size, or by logarithm if they span that much; choices at equal distances. */
export interface Scale {
  readonly isLogarithmic: boolean;
  /** The different values of a column that has not only numbers, in order. */
  readonly choices: readonly unknown[] | undefined;
  readonly least: number;
  readonly most: number;
  /** undefined where there is no value. */
  place(value: unknown): number | undefined;
}

/** A scale can be logarithmic from this ratio of the largest number to the smallest. */
const LOGARITHMIC = 100;

/** Whether the median lies nearer to the middle of the scale by logarithms than by size. */
function isEvenInLogarithms(numbers: readonly number[], least: number, most: number): boolean {
  const median = [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
  const away = (at: (value: number) => number) =>
    Math.abs((at(median) - at(least)) / (at(most) - at(least)) - 0.5);
  return away(Math.log) < away((value) => value);
}

export function scaleOf(column: Column, rows: readonly number[]): Scale {
  const all = rows.map((row) => column.values[row]).filter((value) => value !== null && value !== undefined);
  if (!column.isNumber) {
    const byText = new Map(all.map((value) => [JSON.stringify(value), value]));
    const choices = [...byText.values()].sort((a, b) => inOrder(a, b, 1));
    const places = new Map(choices.map((choice, index) => [JSON.stringify(choice), index]));
    const most = Math.max(1, choices.length - 1);
    return {
      ...{ isLogarithmic: false, choices, least: 0, most },
      place: (value) => {
        const index = places.get(JSON.stringify(value ?? null));
        return index === undefined ? undefined : choices.length === 1 ? 0.5 : index / most;
      },
    };
  }
  const numbers = (all as number[]).filter(Number.isFinite);
  const least = numbers.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = numbers.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const isLogarithmic = least > 0 && most / least >= LOGARITHMIC && isEvenInLogarithms(numbers, least, most);
  const at = (value: number) => (isLogarithmic ? Math.log(value) : value);
  const width = at(most) - at(least);
  return {
    ...{ isLogarithmic, choices: undefined, least, most },
    place: (value) => {
      if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
      return width > 0 ? (at(value) - at(least)) / width : 0.5;
    },
  };
}
