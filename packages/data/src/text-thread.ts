/** The thread that reads one text data set: takes TextOptions as its data, and posts what came of it, once. */
import { parentPort, workerData } from 'node:worker_threads';
import { DataError } from './dataset.ts';
import type { TextOptions } from './text.ts';
import { readTokens, type TextRead } from './text-read.ts';

export type TextAnswer =
  | { readonly read: TextRead }
  /** What is wrong with the data, as a sentence. */
  | { readonly refused: string };

const arraysOf = ({ train, test }: TextRead) =>
  [train, test].flatMap((part) => ('tokens' in part ? [part.tokens] : [part.inputs, part.targets]));

try {
  const read = await readTokens(workerData as TextOptions);
  // Handed over, not copied.
  const buffers = arraysOf(read).map(({ buffer }) => buffer as ArrayBuffer);
  parentPort!.postMessage({ read } satisfies TextAnswer, buffers);
} catch (error) {
  if (!(error instanceof DataError)) throw error;
  parentPort!.postMessage({ refused: error.message } satisfies TextAnswer);
}
