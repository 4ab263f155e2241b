/** Tables of texts with a class each, as `kasane init` finds them. */
import { KasaneError } from '@kasane/protocol/errors';
import { counted } from '@kasane/tensor/internal/counted';
import { type Column, decide, decisionOf } from './columns.ts';
import type { Look } from './rows.ts';
import type { TableGuess } from './table.ts';

/** Words of a text, on average, from which on it is worth a model of its own. */
const LONG = 8;

/** The options of a table that the format text has, too. */
const KEPT = ['delimiter', 'quote', 'encoding', 'comment', 'skipLines', 'header'] as const;

/** The column that is likely the class of the texts: the last that is neither a text nor left out. */
export function labelOf(columns: readonly Column[]): Column | undefined {
  const dropped = new Set(decide(columns).map(({ name }) => name));
  return columns.findLast(
    (column) => !column.isProse && column.name !== '' && !dropped.has(column.name) && hasClasses(column),
  );
}

const hasClasses = ({ different, values }: Column) =>
  different.size > 1 && 2 * different.size <= values.length;

/** Whether texts are all that the label can be told from. */
export function isOfTexts(columns: readonly Column[], label: string): boolean {
  const others = columns.filter(({ name }) => name !== label);
  if (!others.some((column) => column.isProse)) return false;
  return others.every(
    (column) => column.isProse || column.different.size < 2 || decisionOf(column)?.kind === 'ignore',
  );
}

/**
 * A job's section for texts in a table.
 * @param given what was said of the data
 * @param guesses takes a sentence each
 * @throws KasaneError DATA_INVALID when it is not plain which column is what
 */
export function textSection(
  { path, said }: Look,
  columns: readonly Column[],
  label: string | undefined,
  given: Readonly<Record<string, unknown>>,
  guesses: string[],
): TableGuess {
  const prose = columns.filter((column) => column.isProse && column.name !== label);
  const chosen =
    columns.find(({ name }) => name === given.text) ?? prose.toSorted((a, b) => b.words - a.words)[0];
  if (!chosen || label === undefined) {
    const names = columns.map(({ name }) => `'${name}'`).join(', ');
    throw new KasaneError(
      'DATA_INVALID',
      `${path}: it is unclear which of the columns ${names} contain the texts and the classes. Set them with --set format=text text=COLUMN label=COLUMN, or read the file as one long text with --set format=text`,
    );
  }
  const labels = columns.find(({ name }) => name === label);
  if (labels && !hasClasses(labels))
    throw new KasaneError(
      'DATA_INVALID',
      `${path}: column '${label}' has ${counted(labels.different.size, 'different value')} in ${counted(labels.values.length, 'row')}, so they are not classes. Name another class column with --target COLUMN`,
    );
  guesses.push(
    `the texts of column '${chosen.name}' are classified by column '${label}' (to change this, use --set text=COLUMN and --target COLUMN, or --set format=csv for a table)`,
  );
  const left = columns
    .filter(({ name }) => name !== chosen.name && name !== label)
    .map(({ name }) => `'${name}'`);
  if (left.length > 0)
    guesses.push(`ignored: ${left.length === 1 ? 'column' : 'columns'} ${left.join(', ')}`);
  const form = Object.fromEntries(KEPT.flatMap((key) => (said[key] === undefined ? [] : [[key, said[key]]])));
  const named = { text: chosen.name, label };
  return { format: 'text', path, ...form, objective: 'classification', ...given, ...named };
}

/** Whether most rows have a word or a phrase of their own, such as a name: no code, of which only the digits differ. */
function isShortText({ values, fit, isNumber, isProse }: Column): boolean {
  if (isNumber || isProse || fit.isDoubtful || fit.isDates) return false;
  const words = values.filter((text) => /^[^\d]*\p{L}[^\d]*$/u.test(text));
  return 2 * new Set(words).size > values.length;
}

/** What can be done with texts that a table leaves out. */
export function sayTexts(columns: readonly Column[], target: string): string[] {
  const texts = columns.filter(
    (column) => column.name !== target && ((column.isProse && column.words >= LONG) || isShortText(column)),
  );
  return texts.map(
    ({ name }) =>
      `column '${name}' contains texts; to classify them instead, use --set format=text text=${shellWord(name)} label=${shellWord(target)}`,
  );
}

/** As a shell takes it for one word. */
export const shellWord = (text: string): string =>
  /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
