/** Rows for programs that read tables. */

/** A line of CSV, as RFC 4180 has it, without its end. */
export const csvLine = (fields: readonly string[]): string => fields.map(csvField).join(',');

const csvField = (text: string): string =>
  /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
