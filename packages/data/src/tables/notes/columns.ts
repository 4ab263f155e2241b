/** What is noted of columns that a model hardly learns from, or from nothing else. */
import { few, NAMED } from '../listed.ts';
import { quoted } from '../quoted.ts';
import type { ColumnFit } from '../table.ts';

const ignoring = (names: readonly string[]) =>
  `data.columns: { ${names.map((name) => `${quoted(name)}: ignore`).join(', ')} }`;

/** @param chosen those that were named as inputs: whoever did that knows them */
export const sayNumbering = (
  columns: readonly ColumnFit[],
  chosen: ReadonlySet<string> | undefined,
): string[] =>
  columns
    .filter(({ name }) => !chosen?.has(name))
    .map(
      ({ name }) =>
        `column '${name}' seems to number the rows, but is used like any other; to ignore it, set ${ignoring([name])}`,
    );

export const sayLeaks = (names: readonly string[], target: string): string[] =>
  names.length === 0
    ? []
    : [
        `${names.length === 1 ? `column '${names[0]}' determines` : `columns ${few(names)} each determine`} the target '${target}' in every row, so a model learns nothing else; if new rows do not have ${names.length === 1 ? 'it' : 'them'}, set ${ignoring(names.slice(0, NAMED))}`,
      ];

/** One sentence for all: of pixels there may be many. */
export function sayConstant(columns: readonly ColumnFit[]): string[] {
  if (columns.length === 0) return [];
  const names = columns.map(({ name }) => name);
  const what = names.length === 1 ? `column '${names[0]}' has` : `columns ${few(names)} have`;
  return [
    `${what} the same value in all training rows, so nothing can be learned from ${names.length === 1 ? 'it' : 'them'}; to ignore ${names.length === 1 ? 'it' : 'them'}, set ${ignoring(names.slice(0, NAMED))}`,
  ];
}
