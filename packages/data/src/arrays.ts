/** A data set of samples that are in memory, encoded. */
import { createHash } from 'node:crypto';
import { type Field, fieldBytes } from '@kasane/tensor/field';
import { countsOf, type Dataset } from './dataset.ts';

type Elements = Float32Array | Int32Array;

/** The bytes of an array, shared with it. */
export const bytesOf = (array: Elements): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Samples one after the other in `inputs` and `targets`, whose types are those of the fields. */
export function datasetOfArrays(options: {
  readonly samples: number;
  readonly input: Field;
  readonly target: Field;
  readonly inputs: Elements;
  readonly targets: Elements;
  readonly classes?: number | undefined;
}): Dataset {
  const { samples, input, target, classes } = options;
  const [inputs, targets] = [bytesOf(options.inputs), bytesOf(options.targets)];
  const [inputBytes, targetBytes] = [fieldBytes(input), fieldBytes(target)];
  if (inputs.length !== samples * inputBytes || targets.length !== samples * targetBytes) {
    throw new RangeError(`${inputs.length} and ${targets.length} bytes for ${samples} samples`);
  }
  return {
    samples,
    input,
    target,
    ...(classes !== undefined && { classes }),
    ...(classes !== undefined && target.shape.length === 0 && { counts: countsOf(options.targets, classes) }),
    digest: createHash('sha256').update(inputs).update(targets).digest('hex'),
    gather: (indices, inputsOut, targetsOut) => {
      for (const [i, at] of indices.entries()) {
        if (at >= samples) throw new RangeError(`sample ${at} of ${samples}`);
        inputsOut.set(inputs.subarray(at * inputBytes, (at + 1) * inputBytes), i * inputBytes);
        targetsOut.set(targets.subarray(at * targetBytes, (at + 1) * targetBytes), i * targetBytes);
      }
    },
  };
}
