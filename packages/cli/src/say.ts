/**
 * Where the command line writes. What it prints may come from others (names of jobs, errors, file names, categories, generated text):
 * nothing of it reaches a terminal as an order. test/say.test.ts sees to it that nothing is written past this file.
 */
import { printable } from '@kasane/protocol/plain-text';

const cleaned = (stream: () => NodeJS.WriteStream) => ({
  write: (text: string, done?: () => void): boolean => stream().write(printable(text), done),
});

/** Standard output: results. */
export const out = cleaned(() => process.stdout);
/** Standard error: what is no result. */
export const err = cleaned(() => process.stderr);
