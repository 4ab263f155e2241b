/** What kernels of every backend say about input that they cannot take: four words, and the errors that they stand for. */
import { IndexError } from './gather.ts';
import { LabelError } from './labels.ts';

/** Bytes of a fault. */
export const FAULT_BYTES = 16;

/**
 * The error that the words of a fault tell of; undefined: there was none.
 * @param words an index that is out of range, the number of rows, anything, and 0; or a label, the number of classes, the label's place and
 *     how many labels a sample has
 */
export function faultOf(words: Int32Array): Error | undefined {
  const [index, rows, place, perSample] = words as unknown as [number, number, number, number];
  if (rows === 0) return undefined;
  return perSample > 0 ? new LabelError(index, rows, place, perSample) : new IndexError(index, rows);
}
