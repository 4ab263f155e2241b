/** Makes the initial weights of a job, synchronously; `starting-weights.ts` chooses the thread. */
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { WEIGHTS_BYTES } from '@kasane/protocol/limits';
import { readRegularSync } from '@kasane/tensor/internal/node/regular-file';
import { adoptWeights, describeAdopted, notFinite } from '@kasane/tensor/io/adopt';
import { decodeSafetensors } from '@kasane/tensor/io/safetensors';
import { readWrapped, type WeightLayout } from '@kasane/tensor/io/torchvision';
import { buildModel, initializeParameters, type ModelDescription } from '@kasane/tensor/nn/model';
import { formatShape } from '@kasane/tensor/shape';
import { sha256 } from '../params/files.ts';

export interface StartingWeights {
  readonly parameters: Float32Array<ArrayBuffer>;
  /** From a file: what was loaded, as a sentence. */
  readonly what?: string;
  /** From a file: its SHA-256; empty otherwise. */
  readonly digest: string;
}

/** Number of tensors named in the error if none fits. */
const TOLD_TENSORS = 4;

export interface WeightsRequest {
  readonly model: ModelDescription;
  readonly seed: number;
  /** A file that may be read. */
  readonly init: string | undefined;
  /** Its path, if `init` names a registered model. */
  readonly file?: string | undefined;
  readonly initLayout: WeightLayout | undefined;
  /** The SHA-256 that the file had; empty if unknown. */
  readonly expected: string;
}

/** Limit for the file of a model: its numbers as doubles, four times over, and a header. */
const mostBytes = (parameters: number): number => Math.min(WEIGHTS_BYTES, 2 ** 28 + 32 * parameters);

/** The first tensors of a file, for messages. */
function tensorsOf(bytes: Uint8Array): string {
  const { tensors } = decodeSafetensors(bytes, { others: 'skip' });
  if (tensors.length === 0) return 'none';
  const first = tensors.slice(0, TOLD_TENSORS).map(({ name, shape }) => `${name} ${formatShape(shape)}`);
  const more = tensors.length - first.length;
  return `${first.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** @throws KasaneError JOB_INVALID if the file cannot be read, has changed, or contains nothing that fits */
export function makeWeights(request: WeightsRequest): StartingWeights {
  const { seed, init, initLayout, expected } = request;
  const model = buildModel(request.model);
  const parameters = initializeParameters(model, seed);
  if (init === undefined) return { parameters, digest: '' };
  const refuse = (why: string, cause?: unknown) =>
    new KasaneError('JOB_INVALID', why.startsWith(`${init}: `) ? `init: ${why}` : `init: ${init}: ${why}`, {
      cause,
    });
  let read: ReturnType<typeof readWrapped>;
  let digest: string;
  let bytes: Uint8Array;
  try {
    bytes = readRegularSync(request.file ?? init, mostBytes(model.parameterCount));
    digest = sha256(bytes);
    read = readWrapped(model, bytes, initLayout);
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
  if (expected !== '' && digest !== expected) {
    throw refuse(
      `its SHA-256 is ${digest}, but was ${expected} when the job was submitted; restore that file, or submit the job again`,
    );
  }
  const adopted = adoptWeights(model, parameters, read.tensors);
  const what = describeAdopted(adopted);
  if (adopted.taken.length === 0)
    throw refuse(
      `none of its tensors match the model by name and shape: it has ${tensorsOf(bytes)} (${what})`,
    );
  const broken = notFinite(model, parameters);
  if (broken !== undefined) {
    throw refuse(`${broken}: the training run that wrote it diverged. Start from an earlier checkpoint`);
  }
  const without = read.wrapper === '' ? '' : `; read without the prefix '${read.wrapper}' of its names`;
  return { parameters, what: `${init}: ${what}${without}`, digest };
}
