/** The weights that a job begins with: fresh ones, or what fits of a file that it names. */
import { type Access, checkPath } from '@kasane/data/access';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { Job } from '@kasane/protocol/job';
import { WEIGHTS_BYTES } from '@kasane/protocol/limits';
import { adoptWeights, describeAdopted } from '@kasane/tensor/io/adopt';
import { readWeights } from '@kasane/tensor/io/torchvision';
import { initializeParameters } from '@kasane/tensor/nn/model';
import { readRegularSync } from '@kasane/tensor/node/regular-file';
import { sha256 } from '../params/files.ts';

export interface StartingWeights {
  readonly parameters: Float32Array;
  /** Of a file: what was taken over, as a sentence. */
  readonly what?: string;
  /** Of a file: its SHA-256. Empty: there is none. */
  readonly digest: string;
}

/**
 * @param expected SHA-256 that the file had when the job was submitted; empty: nobody knows
 * @param access what may be read
 * @throws KasaneError JOB_INVALID when the file can not be read, is another one, or nothing in it fits
 */
export function startingWeights({ spec, model }: Job, expected: string, access: Access): StartingWeights {
  const parameters = initializeParameters(model, spec.training.seed);
  const { init } = spec;
  if (init === undefined) return { parameters, digest: '' };
  const refuse = (why: string, cause?: unknown) =>
    new KasaneError('JOB_INVALID', `init: ${init}: ${why}`, { cause });
  let tensors: ReturnType<typeof readWeights>;
  let digest: string;
  try {
    checkPath(init, access, 'init');
    const bytes = readRegularSync(init, WEIGHTS_BYTES);
    digest = sha256(bytes);
    tensors = readWeights(model, bytes);
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
  if (expected !== '' && digest !== expected) {
    throw refuse(
      `its SHA-256 is ${digest}, it was ${expected} when the job was submitted; put that file back, or submit the job anew`,
    );
  }
  const adopted = adoptWeights(model, parameters, tensors);
  const what = describeAdopted(adopted);
  if (adopted.taken.length === 0) throw refuse(`nothing in it fits the model by name and shape (${what})`);
  return { parameters, what: `${init}: ${what}`, digest };
}
