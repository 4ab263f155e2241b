/** What is wrong with data, gathered while it is read. */

/** Problems that a message names. */
const NAMED = 5;

/** The first of them, and how many more there are. */
export const listOf = (problems: readonly string[]): string =>
  problems.slice(0, NAMED).join('; ') +
  (problems.length > NAMED ? `; and ${problems.length - NAMED} more` : '');
