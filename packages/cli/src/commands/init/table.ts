/** What `kasane init` makes of a CSV file: how it is written, what is predicted, and of which kind that is. Every guess is told. */

import { isMissing } from '@kasane/data/internal/tables/table-form';
import { withoutUnit } from '@kasane/data/internal/tables/units';
import { ColumnFit } from '@kasane/data/table';
import { KasaneError } from '@kasane/protocol/errors';
import { counted } from '@kasane/tensor/internal/counted';
import { asData } from '../data/data.ts';
import { type Column, columnsOf, decide, isLikelyTarget, MOST_CLASSES, NUMBERING } from './columns.ts';
import { type Look, lookAt } from './rows.ts';
import { seriesOf, seriesSection } from './series.ts';
import { isOfTexts, labelOf, sayTexts, shellWord, textSection } from './texts.ts';

/** A job's data section. */
export type TableGuess = { readonly format: 'csv' | 'text' | 'series' } & Readonly<Record<string, unknown>>;

type Given = Readonly<Record<string, unknown>>;

/** Columns that have a sentence each, and those that one sentence names. */
const NAMED = 20;
const FEW = 5;

/**
 * @param given what was said of the data
 * @param target what was said to be predicted
 * @param ask which of the columns is predicted; the suggestion when nobody says it
 * @param guesses takes a sentence each, with what decides otherwise
 */
export async function guessTable(
  path: string,
  given: Given,
  target: string | undefined,
  ask: (columns: readonly string[], suggestion: string) => Promise<string>,
  guesses: string[],
): Promise<TableGuess> {
  const wanted = target ?? given.target;
  const look = await lookAt(path, given, wanted, guesses);
  const all = columnsOf(look);
  if (given.format === 'text') {
    const label = target ?? (typeof given.label === 'string' ? given.label : labelOf(all)?.name);
    return textSection(look, all, label, given, guesses);
  }
  // Who speaks of a table's own options means a table.
  const free = !['format', 'task', 'columns', 'missing', 'inputs'].some((key) => key in given);
  const series = free || given.format === 'series' ? seriesOf(all) : undefined;
  if (given.format === 'series' || (series && wanted !== series.time.name))
    return seriesSection(look, series, wanted, given, guesses);
  const prose = all.filter((column) => column.isProse);
  const suggestion = (prose.length > 0 && labelOf(all)?.name) || lastOf(all);
  if (free && wanted === undefined && prose.length > 0 && labelOf(all) === undefined)
    return textSection(look, all, undefined, given, guesses);
  const chosen = wanted ?? (await ask(look.columns, suggestion ?? ''));
  if (free && typeof chosen === 'string' && look.columns.includes(chosen) && isOfTexts(all, chosen))
    return textSection(look, all, chosen, given, guesses);
  if (wanted === undefined) guesses.push(`column '${chosen}' is predicted (data.target)`);
  return tableSection(
    look,
    all,
    chosen,
    wanted === undefined ? given : { ...given, target: wanted },
    guesses,
  );
}

/** The column that is likely predicted: the last that may be. */
const lastOf = (all: readonly Column[]): string | undefined =>
  (all.findLast(isLikelyTarget) ?? all.findLast(({ name }) => name !== ''))?.name;

async function tableSection(
  look: Look,
  all: readonly Column[],
  target: unknown,
  given: Given,
  guesses: string[],
): Promise<TableGuess> {
  const { path, said } = look;
  const targets = [target].flat() as unknown[];
  const others = all.filter(({ name }) => !targets.includes(name));
  const declared = (given.columns ?? {}) as Readonly<Record<string, unknown>>;
  const columns = {
    ...decideAll(path, others, declared, targets, 'inputs' in given, guesses),
    ...declared,
  };
  if (targets.length === 1) guesses.push(...sayTexts(others, String(target)));
  const gaps = 'missing' in given ? {} : missingNumbers(look, others, columns, guesses);
  const base = { ...({ format: 'csv', path } as const), ...said, ...given, target };
  const data = { ...base, ...(Object.keys(columns).length > 0 && { columns }), ...gaps };
  if ('task' in given) return data;
  const quantity = targets.length > 1 || (await isQuantity(look, all, target, given, guesses));
  return {
    ...data,
    task: quantity ? 'regression' : 'classification',
    ...(quantity && { standardizeTarget: true, ...pick(given, 'standardizeTarget') }),
  };
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

const pick = (given: Given, key: string): Given => (key in given ? { [key]: given[key] } : {});

/** Kinds of columns beside those that were declared. @throws KasaneError DATA_INVALID when nothing is left */
function decideAll(
  path: string,
  others: readonly Column[],
  declared: Given,
  targets: readonly unknown[],
  hasInputs: boolean,
  guesses: string[],
): Given {
  // Columns that are inputs by name are wanted.
  if (hasInputs) return {};
  const found = decide(others.filter(({ name }) => !(name in declared)));
  const kinds = Object.fromEntries(found.map(({ name, kind }) => [name, kind]));
  const kept = others.filter(({ name }) => (declared[name] ?? kinds[name]) !== 'ignore');
  const [first] = found;
  if (kept.length === 0 && first) {
    const named = found.slice(0, FEW).map(({ name, why }) => `'${name}' ${why}`);
    const more = found.length > FEW ? `${found.length - FEW} more` : undefined;
    const [texts] = sayTexts(others, String(targets[0]));
    const cure = `Keep one with --set columns.${first.name}=category, or name another --target`;
    throw new KasaneError(
      'DATA_INVALID',
      `${path}: no columns are left to predict ${targets.join(', ')} from: ${[...named, ...(more ? [more] : [])].join('; ')}. ${texts ? `${sentence(texts)}. ` : ''}${cure}`,
    );
  }
  for (const { name, kind, why } of found.slice(0, NAMED)) {
    const what = kind === 'ignore' ? 'it is ignored' : 'each value is a category';
    const kept = why === NUMBERING ? `; to keep it, use --set ${shellWord(`columns.${name}=number`)}` : '';
    guesses.push(`column '${name}' ${why}: ${what} (data.columns)${kept}`);
  }
  if (found.length > NAMED)
    guesses.push(
      `${found.length - NAMED} more columns are treated the same way (see data.columns in the job file)`,
    );
  return kinds;
}

/** What becomes of rows that lack a number. */
function missingNumbers(
  { columns, rows, form }: Look,
  others: readonly Column[],
  kinds: Given,
  guesses: string[],
): { readonly missing?: 'mean' } {
  const numbers = others
    .filter((column) => (column.name in kinds ? kinds[column.name] === 'number' : column.isNumber))
    .map(({ name }) => columns.indexOf(name));
  const lacking = rows.filter((fields) => numbers.some((at) => isMissing(fields[at]!, form))).length;
  if (lacking === 0) return {};
  guesses.push(
    `${lacking} of ${counted(rows.length, 'row')} ${lacking === 1 ? 'lacks' : 'lack'} a number, which is filled with the mean of its column (to skip such rows, set data.missing: fail and data.onDamaged: skip)`,
  );
  return { missing: 'mean' };
}

/** @param wasNamed whether somebody chose the column */
function targetCure({ different }: Column, wasNamed: boolean): string {
  const unit = withoutUnit(different);
  if (unit) return `To predict numbers, ${unit}. To predict another column, set it with --target COLUMN`;
  return wasNamed
    ? 'Name another column with --target COLUMN, or set --set task=classification to take each value as a class'
    : 'Set the column to predict with --target COLUMN';
}

/**
 * Whether the target is a number to predict: whole numbers may be classes, if there are few, with several rows each.
 * @throws KasaneError DATA_INVALID when the values do not tell
 */
async function isQuantity(
  { path, columns, rows, form }: Look,
  all: readonly Column[],
  target: unknown,
  given: Given,
  guesses: string[],
): Promise<boolean> {
  const column = all.find(({ name }) => name === target);
  // The reader names the columns that there are.
  if (!column) return false;
  const fit = new ColumnFit(column.name, undefined, form, 'set data.task with --set task=classification');
  const at = columns.indexOf(column.name);
  for (const fields of rows) fit.see(fields[at]!, () => path);
  const kind = await asData(async () => fit.kind);
  const { different, values } = column;
  const say = (why: string, otherwise: string) =>
    guesses.push(
      `${why} (data.task${kind === 'number' ? `; to change it, use --set task=${otherwise}` : ''})`,
    );
  const many = different.size > MOST_CLASSES || (different.size > 2 && 2 * different.size > values.length);
  const whole = values.every((text) => /^[+-]?\d+(\.0*)?$/.test(text));
  if (kind !== 'number' && different.size > 2 && 2 * different.size > values.length)
    throw new KasaneError(
      'DATA_INVALID',
      `${path}: column '${column.name}' has ${counted(different.size, 'different value')} in ${counted(values.length, 'row')}, so they are not classes. ${targetCure(column, given.target !== undefined)}`,
    );
  if (kind !== 'number' || (whole && !many)) {
    say('its values are classes: classification', 'regression');
    const unit = withoutUnit(different);
    if (unit) guesses.push(`its values, such as '${values[0]}', are classes; to predict numbers, ${unit}`);
    return false;
  }
  say('its values are numbers: regression', 'classification');
  return true;
}
