/** Whether what a job says of columns fits the table. */
import { DataError } from '../dataset.ts';
import type { CsvOptions } from './csv.ts';
import { listed } from './listed.ts';

/** Columns that are named must be there. @throws DataError */
export function checkColumns(
  options: CsvOptions,
  columns: readonly string[],
  targets: readonly string[],
): void {
  const { path, task, inputs } = options;
  if (task === 'classification' && targets.length > 1)
    throw new DataError(`${path}: ${targets.length} targets; classification takes one`);
  const known = new Set(columns);
  const chosen = Object.values(inputs ?? {}).flat();
  for (const name of [...targets, ...Object.keys(options.columns), ...chosen]) {
    if (known.has(name)) continue;
    const hint = options.header === undefined && columns.every((column) => /\d/.test(column));
    const cure = hint ? '. If its first row is not a header, set data.header: false' : '';
    throw new DataError(`${path}: there is no column '${name}'; its columns are: ${listed(columns)}${cure}`);
  }
  checkInputs(options, targets);
}

/** No column is an input twice, and no target is an input. */
function checkInputs({ path, inputs = {}, columns }: CsvOptions, targets: readonly string[]): void {
  const seen = new Set<string>();
  for (const [input, names] of Object.entries(inputs)) {
    for (const name of names) {
      let why = seen.has(name) ? 'is listed twice' : undefined;
      if (targets.includes(name)) why = 'is the target';
      if (Object.hasOwn(columns, name) && columns[name] === 'ignore') why = 'is ignored (data.columns)';
      if (why) throw new DataError(`${path}: data.inputs.${input}: column '${name}' ${why}`);
      seen.add(name);
    }
  }
}
