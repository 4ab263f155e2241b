/** Labels that are rather quantities: a classification of them would train on hardly any samples of each class. */
import { DataError } from '../dataset.ts';
import { quoted } from './quoted.ts';
import { readNumber, type TableForm } from './table-form.ts';
import { unitCure } from './units.ts';

/** So many different numbers at most are taken for classes, whatever they are. */
const MOST_NUMBERS = 20;

/**
 * @param target the column of the labels
 * @throws DataError when they are many different numbers, some with decimals, or most of them different
 */
export function checkLabelKind(
  path: string,
  target: string,
  labels: readonly string[],
  form: TableForm,
): void {
  const different = new Set(labels);
  if (different.size <= MOST_NUMBERS) return;
  const unit = unitCure(different);
  if (unit !== '' && 2 * different.size > labels.length)
    throw new DataError(
      `${path}: the target '${target}' has ${different.size} different values in ${labels.length} rows, such as '${labels[0]}', which are quantities rather than classes. ${unit}Then set data.task: regression; or set data.columns: { ${quoted(target)}: category } to use each value as a class`,
    );
  let decimal: string | undefined;
  for (const label of different) {
    const value = readNumber(label, form);
    if (value === undefined) return;
    if (!Number.isInteger(value)) decimal ??= label;
  }
  if (decimal === undefined && 2 * different.size <= labels.length) return;
  throw new DataError(
    `${path}: the target '${target}' has ${different.size} different numbers in ${labels.length} rows, such as ${decimal ?? labels[0]}, which is a quantity rather than classes. Set data.task: regression to predict the number, or data.columns: { ${quoted(target)}: category } to use each number as a class`,
  );
}
