/** Jobs as rows of a table: the value of each column, for `kasane runs` and for the dashboard. */
import type { Job } from '../gen/kasane/v1/jobs.ts';
import { elapsedSeconds } from './elapsed.ts';
import { differingPaths, leafPaths, valueAtPath } from './job-diff.ts';
import { jobRecord } from './job-record.ts';
import { type ModelCost, ModelCosts } from './model-cost.ts';

/** A job with what is compared. */
export interface Run {
  readonly job: Job;
  /** What `kasane jobs --json` prints of it, and how long it took. */
  readonly record: Readonly<Record<string, unknown>>;
  /** The job file, with defaults. */
  readonly file: Readonly<Record<string, unknown>>;
  /** Of its model; null where that is not known. */
  readonly cost: () => ModelCost | null;
}

/** Keys of job files in a table for which no columns were chosen. */
const MOST_KEYS = 8;
/** Every job has another one, or its ID says it. */
const NEVER_SHOWN = new Set(['name', 'description']);

/** @param spec its job file, JSON @param costs of models that are known */
export function runOf(job: Job, spec = job.spec, costs = new ModelCosts()): Run {
  const file = JSON.parse(spec) as Run['file'];
  return { job, record: runRecord(job), file, cost: () => costs.of(file) };
}

/** What of a run changes while it goes on. */
export function runRecord(job: Job): Run['record'] {
  const seconds = job.startedAt === 0 ? null : Math.round(1000 * elapsedSeconds(job)) / 1000;
  return { ...jobRecord(job), seconds };
}

/** A key of the record or a path in it (testMetrics.f1), what its model costs, or else a path in the job file; null where the job has none. */
export function columnValue({ record, file, cost }: Run, column: string): unknown {
  if (Object.hasOwn(record, column)) return record[column] ?? null;
  if (column === 'parameters' || column === 'flops') return cost()?.[column] ?? null;
  return valueAtPath(record, column) ?? valueAtPath(file, column) ?? null;
}

/** Keys in which the job files differ: those that all have first. */
function differingKeys(runs: readonly Run[]): readonly string[] {
  const differing = differingPaths(runs.map(({ file }) => file)).filter((path) => !NEVER_SHOWN.has(path));
  const hasAll = (path: string) => runs.every(({ file }) => valueAtPath(file, path) !== undefined);
  const common = new Set(differing.filter(hasAll));
  return [...common, ...differing.filter((path) => !common.has(path))];
}

/** The columns where none were chosen, and in how many more keys the job files differ. */
export function usualColumns(runs: readonly Run[]): {
  readonly columns: readonly string[];
  readonly more: number;
} {
  const keys = differingKeys(runs);
  return {
    columns: ['job', 'state', ...keys.slice(0, MOST_KEYS), 'bestMetric', 'testMetric', 'epoch', 'seconds'],
    more: Math.max(0, keys.length - MOST_KEYS),
  };
}

/** Runs as columns: each key once, and each of its values once. */
export interface RunColumns {
  readonly jobs: readonly string[];
  /** Keys of the job files in which these differ, those that all have first. */
  readonly differing: readonly string[];
  readonly columns: readonly PackedColumn[];
}
export interface PackedColumn {
  readonly key: string;
  readonly values: readonly unknown[];
  /** Of each run, which of the values. Absent: `values` has one of each run. */
  readonly at?: readonly number[];
}

/** Of records what is not compared: sections of their own, and what holds for a moment. */
const NOT_COMPARED = new Set(['job', 'testMetrics', 'waitingFor', 'waitingReason']);

/** What of a job changes while it runs: its record, flat, with a path for each metric. */
export function resultsOf({ record }: Pick<Run, 'record'>): Readonly<Record<string, unknown>> {
  const own = Object.entries(record).filter(([key]) => !NOT_COMPARED.has(key));
  const metrics = Object.entries(record.testMetrics ?? {});
  return Object.fromEntries([...own, ...metrics.map(([name, value]) => [`testMetrics.${name}`, value])]);
}

/** Everything that there is to compare. */
export function packedRuns(runs: readonly Run[]): RunColumns {
  const results = runs.map(resultsOf);
  const files = runs.map(({ file }) => file);
  const differing = differingKeys(runs);
  const isWithin = (path: string) => differing.some((each) => path === each || path.startsWith(`${each}.`));
  const same = leafPaths(files[0] ?? {}).filter((path) => !isWithin(path));
  const names = [...new Set(results.flatMap(Object.keys))];
  const settings = [...differing, ...same].filter((path) => !names.includes(path));
  const costs = runs.map(({ cost }) => cost());
  return {
    jobs: runs.map(({ job }) => job.id),
    differing,
    columns: [
      ...names.map((key) => packed(key, results, (result) => result[key])),
      ...(['parameters', 'flops'] as const).map((key) => packed(key, costs, (cost) => cost?.[key])),
      ...settings.map((key) => packed(key, files, (file) => valueAtPath(file, key))),
    ],
  };
}

function packed<T>(key: string, each: readonly T[], pick: (one: T) => unknown): PackedColumn {
  const places = new Map<unknown, number>();
  const values: unknown[] = [];
  const at = each.map((one) => {
    const value = pick(one) ?? null;
    // Lists and sections by what they are written as, which is no value itself.
    const same = typeof value === 'object' && value !== null ? `\0${JSON.stringify(value)}` : value;
    const known = places.get(same);
    if (known !== undefined) return known;
    places.set(same, values.length);
    return values.push(value) - 1;
  });
  return values.length === each.length ? { key, values } : { key, values, at };
}
