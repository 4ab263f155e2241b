/** Jobs as rows: the value of each column, and how it is shown. */
import { KasaneError } from '@kasane/protocol/errors';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { elapsedSeconds } from '@kasane/protocol/internal/job/elapsed';
import { differingPaths, leafPaths, valueAtPath } from '@kasane/protocol/internal/job/job-diff';
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { took } from '../../render/count.ts';
import { formatMetric, jobRecord } from '../../render/job.ts';
import { briefly, moment } from '../../render/table.ts';

/** A job with what is compared. */
export interface Run {
  readonly job: Job;
  /** What `kasane jobs --json` prints of it, and how long it took. */
  readonly record: Readonly<Record<string, unknown>>;
  /** The job file, with defaults. */
  readonly file: Readonly<Record<string, unknown>>;
}

/** Keys of job files in a table for which no columns were chosen. */
const MOST_KEYS = 8;
/** Every job has another one, or its ID says it. */
const NEVER_SHOWN = new Set(['name', 'description']);

/** @param spec its job file, JSON */
export function runOf(job: Job, spec = job.spec): Run {
  const seconds = job.startedAt === 0 ? null : Math.round(1000 * elapsedSeconds(job)) / 1000;
  return { job, record: { ...jobRecord(job), seconds }, file: JSON.parse(spec) };
}

/** A key of the record or a path in it (testMetrics.f1), or else a path in the job file; null where the job has none. */
export function columnValue({ record, file }: Run, column: string): unknown {
  if (Object.hasOwn(record, column)) return record[column] ?? null;
  return valueAtPath(record, column) ?? valueAtPath(file, column) ?? null;
}

/** @throws KasaneError USAGE naming what there is if no job has that column @param option that names it */
export function requireColumn(runs: readonly Run[], column: string, option: string): void {
  const isOf = (run: Run) => Object.hasOwn(run.record, column) || columnValue(run, column) !== null;
  if (runs.length === 0 || runs.some(isOf)) return;
  throw new KasaneError(
    'USAGE',
    `${option}: no job has '${column}'${suggest(column, namesNear(runs, column))}`,
  );
}

/** Names of the same kind: keys of the record, or of that section of the job files. */
function namesNear(runs: readonly Run[], column: string): readonly string[] {
  const section = column.slice(0, column.indexOf('.') + 1);
  const paths = new Set(runs.flatMap(({ file }) => leafPaths(file)));
  const inSection = [...paths].filter((path) => section !== '' && path.startsWith(section));
  return inSection.length > 0 ? inSection : Object.keys(runs[0]!.record);
}

/** The columns where none were chosen, and in how many more keys the job files differ. */
export function usualColumns(runs: readonly Run[]): {
  readonly columns: readonly string[];
  readonly more: number;
} {
  const differing = differingPaths(runs.map(({ file }) => file)).filter((path) => !NEVER_SHOWN.has(path));
  const hasAll = (path: string) => runs.every(({ file }) => valueAtPath(file, path) !== undefined);
  const keys = [...differing.filter(hasAll), ...differing.filter((path) => !hasAll(path))];
  return {
    columns: ['job', 'state', ...keys.slice(0, MOST_KEYS), 'bestMetric', 'testMetric', 'epoch', 'seconds'],
    more: Math.max(0, keys.length - MOST_KEYS),
  };
}

const shown: Readonly<Record<string, (value: never, job: Job) => string>> = {
  trainLoss: (value: number) => value.toFixed(4),
  testLoss: (value: number) => value.toFixed(4),
  trainMetric: (value: number, job) => formatMetric(job, value),
  testMetric: (value: number, job) => formatMetric(job, value),
  bestMetric: (value: number, job) => formatMetric(job, value),
  trainAccuracy: (value: number, job) => formatMetric(job, value),
  testAccuracy: (value: number, job) => formatMetric(job, value),
  submittedAt: moment,
  startedAt: moment,
  endedAt: moment,
  seconds: took,
};

/** For people. */
export function cellOf(run: Run, column: string): string {
  const value = columnValue(run, column);
  if (value === null) return '-';
  const form = Object.hasOwn(run.record, column) ? shown[column] : undefined;
  return form ? form(value as never, run.job) : briefly(plainly(value)) || '-';
}

/** Tags are words: a list of them reads as one text, and an empty list as nothing. */
export const plainly = (value: unknown): unknown =>
  Array.isArray(value) && value.every((one) => typeof one === 'string') ? value.join(' ') : value;
