/** Starting from another model's weights: what fits is taken over, and it is said what does not. */

import type { NamedTensor } from '../named-tensor.ts';
import type { Model } from '../nn/model.ts';
import { formatShape, sameShape } from '../shape.ts';

export interface Adopted {
  /** Names of the parameters that were taken over. */
  readonly taken: readonly string[];
  /** Those that stay as they were, and why: `fc.weight [512, 5] (the file has [512, 10])`. */
  readonly fresh: readonly string[];
  /** Names of tensors that the model does not have. */
  readonly unused: readonly string[];
}

/** Puts the tensors that match by name and shape into `parameters`, the model's flat layout. */
export function adoptWeights(
  model: Model,
  parameters: Float32Array,
  tensors: readonly NamedTensor[],
): Adopted {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const taken: string[] = [];
  const fresh: string[] = [];
  for (const { name, shape, offset } of model.parameters) {
    const tensor = byName.get(name);
    if (tensor && sameShape(tensor.shape, shape)) {
      parameters.set(tensor.data, offset);
      taken.push(name);
    } else {
      const why = tensor ? `the file has ${found(tensor)}` : 'not in the file';
      fresh.push(`${name} ${formatShape(shape)} (${why})`);
    }
  }
  const own = new Set(model.parameters.map(({ name }) => name));
  return { taken, fresh, unused: tensors.map(({ name }) => name).filter((name) => !own.has(name)) };
}

const found = ({ shape, shapeInFile }: NamedTensor): string =>
  shapeInFile && !sameShape(shapeInFile, shape)
    ? `${formatShape(shapeInFile)}, which is ${formatShape(shape)} here`
    : formatShape(shape);

/** The first parameter that holds a number that is none, as a clause; undefined where all are finite. */
export function notFinite(model: Model, parameters: Float32Array): string | undefined {
  for (const { name, offset, size } of model.parameters) {
    const bad = parameters.subarray(offset, offset + size).filter((value) => !Number.isFinite(value)).length;
    if (bad > 0) return `'${name}' has ${bad} of ${size} numbers that are NaN or infinite`;
  }
  return undefined;
}

/** What was adopted, in one line. */
export function describeAdopted({ taken, fresh, unused }: Adopted): string {
  const some = (names: readonly string[]) =>
    names.length > 8 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ');
  return [
    `${taken.length} of ${taken.length + fresh.length} parameters loaded`,
    ...(fresh.length > 0 ? [`initialized: ${some(fresh)}`] : []),
    ...(unused.length > 0 ? [`not used from the file: ${some(unused)}`] : []),
  ].join('; ');
}
