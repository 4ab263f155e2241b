/** Test rows that are training rows, too. */
import { createHash } from 'node:crypto';
import { counted } from '@kasane/tensor/internal/counted';
import { type Arrays, bytesOf } from '../../arrays.ts';

/** Of the test rows so many, from which on they say little about rows that training has not seen. */
const REPEATED_PART = 0.2;
/** Of fewer test rows nothing is said. */
const REPEATED_ROWS = 20;

/** A note on test rows that are training rows, too: with the same features, and the same target. */
export function repeatedRows(train: Arrays, test: Arrays, path: string): string[] {
  if (test.samples < REPEATED_ROWS) return [];
  const keysOf = ({ samples, inputs, targets }: Arrays) => {
    const [width, depth] = [inputs.length / samples, targets.length / samples];
    return Array.from({ length: samples }, (_, i) => {
      const hash = createHash('md5').update(bytesOf(inputs.subarray(i * width, (i + 1) * width)));
      return hash.update(bytesOf(targets.subarray(i * depth, (i + 1) * depth))).digest('base64');
    });
  };
  const known = new Set(keysOf(train));
  const repeated = keysOf(test).filter((key) => known.has(key)).length;
  return repeated < REPEATED_PART * test.samples
    ? []
    : [
        `${path}: ${repeated} of ${counted(test.samples, 'test row')} also occur in the training rows, with the same values: the test says little about new rows. Remove rows that occur twice`,
      ];
}
