/**
 * Where the command line writes. What it prints may come from others (names of jobs, errors, file names, categories, generated text):
 * nothing of it reaches a terminal as an order. test/say.test.ts sees to it that nothing is written past this file.
 */
import { printable, printableLine } from '@kasane/protocol/internal/events/plain-text';

const cleaned = (stream: () => NodeJS.WriteStream) => ({
  /** Text as it is, ends of lines included. */
  write: (text: string, done?: () => void): boolean => stream().write(printable(text), done),
  /** Lines, each of which stays one: a name with an end of a line in it must not pass for what Kasane says. */
  lines: (...lines: readonly string[]): boolean =>
    lines.length === 0 || stream().write(`${lines.map(printableLine).join('\n')}\n`),
});

/** Standard output: results. */
export const out = cleaned(() => process.stdout);
/** Standard error: what is no result. */
export const err = cleaned(() => process.stderr);
