/** How the columns of runs are named and shown. */
import { KasaneError } from '@kasane/protocol/errors';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { leafPaths } from '@kasane/protocol/internal/job/job-diff';
import { columnValue, type Run } from '@kasane/protocol/internal/job/runs';
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { took } from '../../render/count.ts';
import { formatMetric } from '../../render/job.ts';
import { briefly, moment } from '../../render/table.ts';

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
