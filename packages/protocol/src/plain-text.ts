/**
 * Text of others: names, reasons and errors that come from jobs, files and workers, and end up in terminals and logs. It is kept to a
 * length where it comes in, and shown without what terminals take for orders.
 */

/**
 * What changes how the text around it is shown: control characters, which begin a terminal's escape sequences (C0 but for tab and
 * newline, DEL, C1); marks that turn the direction of writing (Unicode TR9, "Trojan Source", CVE-2021-42574); invisible ones, separators of
 * lines, and tags.
 */
const ORDERS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|[\ud800-\udfff]/gu;

/** The text with such characters written out, as `\x1b` or `\u202e`. Tabs and newlines stay. */
export function printable(text: string): string {
  return text.replace(ORDERS, (character) => {
    const code = character.codePointAt(0)!;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** The same on one line: for a cell of a table, or a line of a log. */
export const printableLine = (text: string): string => printable(text).replace(/\s*[\n\t]\s*/g, ' ');

/** At most so many characters of a text, and how many there were. */
export function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most).replace(/[\ud800-\udbff]$/, '')}... (${text.length} characters)`;
}
