/** Samples of the test that are samples of the training, too. */
import { createHash } from 'node:crypto';
import { counted } from '@kasane/tensor/internal/counted';
import { type Arrays, bytesOf } from '../../arrays.ts';

/** Of the test rows so many, from which on they say little about rows that training has not seen. */
const REPEATED_PART = 0.2;
/** Of fewer test rows nothing is said. */
const REPEATED_ROWS = 20;

type Samples = Pick<Arrays, 'samples' | 'inputs' | 'targets'>;

/**
 * A note on test samples that are training samples, too: with the same input, and the same target.
 * @param what a sample is called
 */
export function repeatedRows(
  train: Samples,
  test: Samples,
  path: string,
  what: 'row' | 'text' = 'row',
): string[] {
  if (test.samples < REPEATED_ROWS) return [];
  const keysOf = ({ samples, inputs, targets }: Samples) => {
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
        `${path}: ${repeated} of ${counted(test.samples, `test ${what}`)} also occur in the training ${what}s, with the same ${what === 'row' ? 'values' : 'labels'}: the test says little about new ${what}s. Remove ${what}s that occur twice`,
      ];
}
