/**
 * Weights together with all that using them needs: a safetensors file whose metadata say which model they belong to, what it was
 * trained for, and how raw input became samples. Readers in other languages see named tensors.
 */
import { buildModel, type Model, type ModelDescription } from '../nn/model.ts';
import { beginSafetensors, decodeSafetensors, encodeSafetensors, SafetensorsError } from './safetensors.ts';

/** What a file says besides the model. All of it is JSON; who wrote it knows the types. */
export interface AboutModel {
  /** Name of the job that trained it. */
  readonly job?: string;
  /** Steps that it was trained for. */
  readonly step?: number;
  /** What its training drew from. */
  readonly seed?: number;
  /** What it was trained for. */
  readonly objective?: unknown;
  /** How raw input becomes samples: normalisation, names of the classes, tokenizer. */
  readonly preparation?: unknown;
  /** Which data it was trained on, without the place where that was. */
  readonly data?: unknown;
}

/** Key of each in the file's metadata. */
const keys: { readonly [K in keyof Required<AboutModel>]: string } = {
  job: 'kasane.job',
  step: 'kasane.step',
  seed: 'kasane.seed',
  objective: 'kasane.objective',
  preparation: 'kasane.data',
  data: 'kasane.dataset',
};
const MODEL = 'kasane.model';

export interface ModelFile {
  readonly model: Model;
  /** In the model's flat layout. */
  readonly parameters: Float32Array;
  readonly about: AboutModel;
}

/** The same bytes for the same model, numbers and words. */
export function encodeModelFile(file: ModelFile): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(...partsOf(file));
}

/** The same file, whose numbers are put in piece by piece: see `beginSafetensors`. */
export const beginModelFile = (file: ModelFile): ReturnType<typeof beginSafetensors> =>
  beginSafetensors(...partsOf(file));

const partsOf = ({ model, parameters, about }: ModelFile): Parameters<typeof beginSafetensors> => [
  model.parameters.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: parameters.subarray(offset, offset + size),
  })),
  modelMetadata(model, about),
];

/** What a file of the model says of it, whatever the file's format. */
export function modelMetadata(model: Model, about: AboutModel): Record<string, string> {
  const metadata: Record<string, string> = { format: 'pt', [MODEL]: JSON.stringify(model.description) };
  for (const [name, key] of Object.entries(keys)) {
    const value = about[name as keyof AboutModel];
    if (value !== undefined) metadata[key] = typeof value === 'string' ? value : JSON.stringify(value);
  }
  return metadata;
}

/**
 * Reads a file that `encodeModelFile` wrote.
 * @throws SafetensorsError when it is damaged, or not one of these
 * @throws ModelError when its description makes no model
 */
export function decodeModelFile(bytes: Uint8Array): ModelFile {
  const { tensors, metadata } = decodeSafetensors(bytes);
  const description = metadata[MODEL];
  if (description === undefined) {
    throw new SafetensorsError(
      `its metadata has no ${MODEL}: it was not written by Kasane. To use weights of another program, train a job that has \`init: FILE\``,
    );
  }
  const model = buildModel(parsed(MODEL, description) as ModelDescription);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const parameters = new Float32Array(model.parameterCount);
  for (const { name, offset, size } of model.parameters) {
    const tensor = byName.get(name);
    if (tensor?.data.length !== size) {
      const like = tensors.find((other) => other.name.endsWith(`.${name}`));
      const hint = like ? `; it has '${like.name}': save it under the names that Kasane wrote` : '';
      throw new SafetensorsError(`tensor '${name}' of ${size} numbers is missing${hint}`);
    }
    parameters.set(tensor.data, offset);
  }
  const about = Object.fromEntries(
    Object.entries(keys).flatMap(([name, key]) => {
      const value = metadata[key];
      if (value === undefined) return [];
      return [[name, name === 'job' ? value : parsed(key, value)]];
    }),
  ) as AboutModel;
  return { model, parameters, about };
}

function parsed(key: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SafetensorsError(`its metadata's ${key} is not JSON`, { cause });
  }
}
