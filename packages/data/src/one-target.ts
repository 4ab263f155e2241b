/** Refuses data whose training samples all have the same target: a model that ignores its input would be perfect. */
import { classNamesOf, DataError, type DataParts } from './dataset.ts';
import { plainForm, readNumber } from './tables/table-form.ts';

/**
 * @param place names the data in messages
 * @throws DataError when there is one class, or when every number that is to be predicted is constant
 */
export function checkTargets({ train, preparation }: DataParts, place: string): void {
  const { counts, ranges } = train;
  const used = (counts ?? []).flatMap((count, label) => (count > 0 ? [label] : []));
  if (counts && used.length === 1) {
    const name = preparation.classes?.[used[0]!] ?? used[0];
    throw new DataError(
      `${place}: '${name}' is the only class in the training data; expected at least two. Add samples of another class, or check which labels are read`,
    );
  }
  checkLabels(preparation.classes ?? [], place);
  if (!ranges || ranges.length === 0 || ranges.some(({ least, most }) => least.value !== most.value)) return;
  const names = ranges.map(({ name }) => `'${name}'`).join(', ');
  const [have, are] = ranges.length === 1 ? ['has', 'target'] : ['have', 'targets'];
  throw new DataError(
    `${place}: the ${are} ${names} ${have} the same value in every training sample, so there is nothing to learn. Check which column is read, or add samples with other values`,
  );
}

/** A note on each number that is to be predicted, and is constant while others are not. */
export function constantTargets({ train: { ranges = [] } }: DataParts): string[] {
  const constant = ranges.filter(({ least, most }) => least.value === most.value);
  return constant.map(
    ({ name }) =>
      `target '${name}' has the same value in every training sample: the model will only learn that value`,
  );
}

/** @throws DataError when two classes are one number: 1 and 1.0 of tools that write them differently */
function checkLabels(classes: readonly string[], place: string): void {
  const seen = new Map<number, string>();
  for (const name of classes) {
    const value = readNumber(name, plainForm);
    if (value === undefined) continue;
    const other = seen.get(value);
    if (other !== undefined)
      throw new DataError(
        `${place}: the classes '${other}' and '${name}' are the same number, but would be different classes. Write the number the same way everywhere, or rename the classes`,
      );
    seen.set(value, name);
  }
}

/** A name as it is seen: without characters that have no width, and with one kind of space. */
const seenName = (name: string): string =>
  name
    .replace(/\p{Cf}/gu, '')
    .replace(/\s+/gu, ' ')
    .trim()
    .toLowerCase();
/** With what can not be seen written out. */
const writtenOut = (name: string): string =>
  name.replace(/\p{Cf}|(?! )\s/gu, (one) => `\\u{${one.codePointAt(0)!.toString(16)}}`);

/** A note on classes whose names differ only in case, or in what can not be seen. Folders have said the first already. */
export function alikeLabels({ preparation: { classes = [] }, notes = [] }: DataParts): string[] {
  if (notes.some((note) => note.includes('differ only in case'))) return [];
  return [...Map.groupBy(classes, seenName).values()]
    .filter(({ length }) => length > 1)
    .map((same) => {
      const isCase = new Set(same.map((name) => name.toLowerCase())).size === 1;
      const names = same.map((name) => `'${writtenOut(name)}'`).join(' and ');
      return `the classes ${names} differ only in ${isCase ? 'case' : 'spaces or invisible characters'}; if they are one class, write them the same way`;
    });
}

/** A note where classes that are numbers are not numbered in the order of those. Their order stays that of text, as other programs have it. */
export function orderOfNumbers({ preparation }: DataParts): string[] {
  const classes = classNamesOf(preparation) ?? [];
  if (classes.length < 3 || !classes.every((name) => /^\d{1,15}$/.test(name))) return [];
  const sorted = classes.toSorted((a, b) => Number(a) - Number(b));
  if (sorted.every((name, label) => name === classes[label])) return [];
  const shown = classes.slice(0, NAMED).map((name, label) => `class ${label} is '${name}'`);
  const more = classes.length > NAMED ? `, and ${classes.length - NAMED} more` : '';
  return [
    `classes are numbered in the order of their names as text: ${shown.join(', ')}${more}. Predictions show the names; this matters to lists of classes, such as objective.classWeights, and to other programs`,
  ];
}

/** Classes that a note names. */
const NAMED = 5;

/** A note on classes without a sample to learn from: those that test samples have, and those between the others. */
export function unseenClasses({ train, test, preparation: { classes: names } }: DataParts): string[] {
  const { counts } = train;
  if (!counts) return [];
  const tested = test.counts ?? [];
  const all = Array.from({ length: Math.max(counts.length, tested.length) }, (_, label) => label);
  const unseen = all.filter((label) => !counts[label]);
  const list = (labels: readonly number[]) => {
    const shown = labels.slice(0, NAMED).map((label) => (names ? `'${names[label]}'` : label));
    const more = labels.length - shown.length;
    return `${labels.length === 1 ? 'class' : 'classes'} ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  };
  const [wrong, unused] = [unseen.filter((label) => tested[label]), unseen.filter((label) => !tested[label])];
  return [
    ...(wrong.length > 0
      ? [`no training sample has ${list(wrong)}, but test samples do: the model cannot learn to predict them`]
      : []),
    ...(unused.length > 0
      ? [
          `no sample has ${list(unused)}, although labels reach ${all.length - 1}: the model will not predict them. If that is not intended, check the labels`,
        ]
      : []),
  ];
}
