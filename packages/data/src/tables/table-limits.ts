/** How much of a table is read, whatever its file is: all rows are in memory while it is opened. */
export const MOST_COLUMNS = 1 << 15;
export const MOST_FIELDS = 1 << 27;

/** A note of lines that hold nothing. */
export const blankLines = (path: string, lines: readonly number[]) =>
  `${path}: skipped ${lines.length === 1 ? 'a blank line' : `${lines.length} blank lines, the first`} on line ${lines[0]}`;
