/** A data set of samples that are in memory, encoded. */
import { createHash } from 'node:crypto';
import { type Field, fieldBytes } from '@kasane/tensor/internal/field';
import { countsOf, type DataParts, type Dataset, type Preparation } from './dataset.ts';
import type { TargetRange } from './target-range.ts';

type Elements = Float32Array | Int32Array;

/** The bytes of an array, shared with it. */
export const bytesOf = (array: Elements): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Samples one after the other in `inputs` and `targets`, whose types are those of the fields. */
export interface Arrays {
  readonly samples: number;
  readonly input: Field;
  readonly target: Field;
  readonly inputs: Elements;
  readonly targets: Elements;
  readonly classes?: number | undefined;
  readonly ranges?: readonly TargetRange[] | undefined;
  /** Of `digestOfArrays`. Default: it is made here, which takes a while. */
  readonly digest?: string;
}

/** What a reader in a thread of its own brings of a table. */
export interface ArraysRead {
  readonly train: Arrays;
  readonly test: Arrays;
  readonly preparation: Preparation;
  readonly notes: readonly string[];
}

export const digestOfArrays = ({ inputs, targets }: Pick<Arrays, 'inputs' | 'targets'>): string =>
  createHash('sha256').update(bytesOf(inputs)).update(bytesOf(targets)).digest('hex');

export const partsOfArrays = ({ train, test, ...rest }: ArraysRead): DataParts => ({
  ...rest,
  train: datasetOfArrays(train),
  test: datasetOfArrays(test),
});

export function datasetOfArrays(arrays: Arrays): Dataset {
  const { samples, input, target, classes } = arrays;
  const [inputs, targets] = [bytesOf(arrays.inputs), bytesOf(arrays.targets)];
  const [inputBytes, targetBytes] = [fieldBytes(input), fieldBytes(target)];
  if (inputs.length !== samples * inputBytes || targets.length !== samples * targetBytes) {
    throw new RangeError(`${inputs.length} and ${targets.length} bytes for ${samples} samples`);
  }
  return {
    samples,
    input,
    target,
    ...(classes !== undefined && { classes }),
    ...(classes !== undefined && target.shape.length === 0 && { counts: countsOf(arrays.targets, classes) }),
    ...(arrays.ranges && { ranges: arrays.ranges }),
    digest: arrays.digest ?? digestOfArrays(arrays),
    gather: (indices, inputsOut, targetsOut) => {
      for (const [i, at] of indices.entries()) {
        if (at >= samples) throw new RangeError(`sample ${at} of ${samples}`);
        inputsOut.set(inputs.subarray(at * inputBytes, (at + 1) * inputBytes), i * inputBytes);
        targetsOut.set(targets.subarray(at * targetBytes, (at + 1) * targetBytes), i * targetBytes);
      }
    },
  };
}
