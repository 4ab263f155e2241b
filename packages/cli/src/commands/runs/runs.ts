/** `kasane runs`: a table of jobs with any of their settings and results. */

import type { ClientOptions } from '@kasane/protocol/client';
import { KasaneError } from '@kasane/protocol/errors';
import { ModelCosts } from '@kasane/protocol/internal/job/model-cost';
import { inOrder, parseCondition, type RefuseCondition } from '@kasane/protocol/internal/job/run-conditions';
import { columnValue, type Run, runOf, usualColumns } from '@kasane/protocol/internal/job/runs';
import { err, out } from '../../output/say.ts';
import { withClient } from '../../process/with-client.ts';
import { count } from '../../render/count.ts';
import { csvLine } from '../../render/csv.ts';
import { table } from '../../render/table.ts';
import { cellOf, plainly, requireColumn } from './columns.ts';

interface Options extends ClientOptions {
  readonly columns?: readonly string[];
  readonly filter?: readonly string[];
  readonly sort?: string;
  readonly limit?: number;
  readonly sweep?: string;
  readonly tag?: string;
  readonly csv?: boolean;
  readonly json?: boolean;
}

export async function runs(options: Options): Promise<void> {
  const { sweep = '', columns: chosen, csv, json } = options;
  const jobs = await withClient(options, (client) =>
    client.list(Number.POSITIVE_INFINITY, { sweep, withSpecs: true }),
  );
  const costs = new ModelCosts();
  const all = jobs.map((job) => runOf(job, job.spec, costs));
  for (const column of chosen ?? []) requireColumn(all, column, '--columns');
  const listed = selected(all, options);
  const { columns, more } = chosen ? { columns: chosen, more: 0 } : usualColumns(listed);
  if (json) {
    const values = (run: Run) =>
      Object.fromEntries(columns.map((column) => [column, columnValue(run, column)]));
    out.lines(JSON.stringify(listed.map((run) => ({ job: run.job.id, values: values(run) }))));
  } else if (csv) {
    const cells = (run: Run) => columns.map((column) => csvText(columnValue(run, column)));
    out.lines(csvLine(columns), ...listed.map((run) => csvLine(cells(run))));
  } else if (listed.length > 0) {
    const rows = listed.map((run) => columns.map((column) => cellOf(run, column)));
    out.lines(...table(columns, rows).split('\n'));
    if (more > 0) err.lines(`job files differ in ${count(more, 'more key')}; choose columns with --columns`);
  } else {
    err.lines(all.length === 0 ? 'no jobs yet; submit one with `kasane submit mnist-mlp`' : 'no job matches');
  }
}

/** What is wrong with a condition, as an error of the command. */
export const refuseCondition: RefuseCondition = (fault, text, operator) => {
  const why = {
    form: "is not a condition; expected a column, one of = != < <= > >= ~ and a value, such as 'training.batch>=64'",
    value: `has no value behind ${operator}`,
    number: `: expected a number behind ${operator}`,
  }[fault];
  return new KasaneError('USAGE', `--filter: '${text}'${fault === 'number' ? '' : ' '}${why}`);
};

function selected(all: readonly Run[], { filter = [], sort, limit, tag }: Options): readonly Run[] {
  const conditions = filter.map((text) => parseCondition(text, refuseCondition));
  for (const { column } of conditions) requireColumn(all, column, '--filter');
  const found = all.filter(
    (run) =>
      (tag === undefined || run.job.tags.includes(tag)) &&
      conditions.every(({ column, meets }) => meets(columnValue(run, column))),
  );
  if (sort !== undefined) {
    const column = sort.replace(/^-/, '');
    requireColumn(all, column, '--sort');
    const sign = sort.startsWith('-') ? -1 : 1;
    found.sort((a, b) => inOrder(columnValue(a, column), columnValue(b, column), sign));
  }
  return found.slice(0, limit);
}

/** A value as a cell of CSV has it, not quoted. */
function csvText(cell: unknown): string {
  const value = plainly(cell);
  if (value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
