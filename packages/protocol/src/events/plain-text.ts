/**
 * Text of others: names, reasons and errors that come from jobs, files and workers, and end up in terminals and logs. It is kept to a
 * length where it comes in, and shown without what terminals take for orders.
 */

/**
 * What changes how the text around it is shown: control characters, which begin a terminal's escape sequences (ESC, but C1 as well); format
 * characters, which turn the direction of writing (Unicode TR9; "Trojan Source", CVE-2021-42574) or are not seen; other ends of lines;
 * halves of pairs. Not the joiners that scripts and emoji need.
 */
const ORDERS = /(?![\t\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * The text with such characters written out, such as `\u001b`; tabs and ends of lines stay. That is how JSON escapes them, too: text that
 * is JSON still stands for the same value.
 */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(ORDERS, (character) =>
    Array.from({ length: character.length }, (_, at) => {
      const code = character.charCodeAt(at);
      return `\\u${code.toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

/** Printable text on one line: for a cell of a table, or a line of a log. */
export function printableLine(text: string): string {
  const pieces = printable(text).split(/[\n\t]/);
  if (pieces.length === 1) return pieces[0]!;
  // A pattern of white space around them would look at each run of it again from each of its characters.
  const between = pieces.slice(1, -1).flatMap((piece) => piece.trim() || []);
  return [pieces[0]!.trimEnd(), ...between, pieces.at(-1)!.trimStart()].join(' ');
}

/** At most so many characters of a text, and how many there were. */
export function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most).replace(/[\ud800-\udbff]$/, '')}... (${text.length} characters)`;
}

/** Both: printable, and short, whatever somebody has sent; no more of it is looked at. */
export function brief(text: string, most: number): string {
  const start = printable(text.slice(0, most));
  return text.length <= most && start.length <= most
    ? start
    : `${start.slice(0, most).replace(/[\ud800-\udbff]$/, '')}... (${text.length} characters)`;
}
