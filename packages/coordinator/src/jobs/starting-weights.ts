/** The weights that a job begins with: fresh ones, or what fits of a file that it names. */
import { readFileSync } from 'node:fs';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import type { Job } from '@kasane/protocol/job';
import { adoptWeights, describeAdopted } from '@kasane/tensor/io/adopt';
import { readWeights } from '@kasane/tensor/io/torchvision';
import { initializeParameters } from '@kasane/tensor/nn/model';

/**
 * @returns the parameters, and of a file what was taken over, as a sentence
 * @throws KasaneError JOB_INVALID when the file can not be read or nothing in it fits
 */
export function startingWeights({ spec, model }: Job): { parameters: Float32Array; what?: string } {
  const parameters = initializeParameters(model, spec.training.seed);
  const { init } = spec;
  if (init === undefined) return { parameters };
  const refuse = (why: string, cause?: unknown) =>
    new KasaneError('JOB_INVALID', `init: ${init}: ${why}`, { cause });
  let tensors: ReturnType<typeof readWeights>;
  try {
    tensors = readWeights(model, readFileSync(init));
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
  const adopted = adoptWeights(model, parameters, tensors);
  const what = describeAdopted(adopted);
  if (adopted.taken.length === 0) throw refuse(`nothing in it fits the model by name and shape (${what})`);
  return { parameters, what: `${init}: ${what}` };
}
