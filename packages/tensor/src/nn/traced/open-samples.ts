/** What was traced with several numbers of samples, as one description in which that number is open. */
import { ModelError } from '../model-error.ts';
import type { Extent } from './format.ts';

/** Numbers of samples that models are traced with. No size that a model is likely to have, nor a multiple of one another. */
export const TRACED = [3, 5, 7] as const;

/**
 * One value that stands for all of them: equal parts as they are, and numbers of nodes' attributes that grow with the samples as
 * multiples of 'n'.
 * @param values one for each of `TRACED`
 * @param place of the values, for messages
 * @throws ModelError where they differ in another way
 */
export function openSamples<T>(values: readonly T[], place: (path: readonly PropertyKey[]) => string): T {
  return join(values, [], place) as T;
}

function join(
  values: readonly unknown[],
  path: readonly PropertyKey[],
  place: (path: readonly PropertyKey[]) => string,
): unknown {
  const [first] = values;
  if (typeof first === 'object' && first !== null) {
    const keys = values.map((value) =>
      typeof value === 'object' && value !== null ? Object.keys(value) : [],
    );
    if (keys.some((own) => String(own) !== String(keys[0]))) throw refuse(values, path, place);
    const parts = keys[0]!.map((key) => {
      const at = Array.isArray(first) ? Number(key) : key;
      return [
        key,
        join(
          values.map((value) => (value as Record<string, unknown>)[key]),
          [...path, at],
          place,
        ),
      ] as const;
    });
    return Array.isArray(first) ? parts.map(([, part]) => part) : Object.fromEntries(parts);
  }
  if (values.every((value) => Object.is(value, first))) return first;
  const opened = isAttribute(path) ? multiple(values) : undefined;
  if (opened === undefined) throw refuse(values, path, place);
  return opened;
}

/** Of a node: ['reshape', 3, { shape: ... }]. */
const isAttribute = (path: readonly PropertyKey[]): boolean => {
  const nodes = path.indexOf('nodes');
  return nodes >= 0 && typeof path[nodes + 3] === 'string';
};

function multiple(values: readonly unknown[]): Extent | undefined {
  const factors = values.map((value, i) => (typeof value === 'number' ? value / TRACED[i]! : Number.NaN));
  const [factor] = factors as [number];
  if (!Number.isInteger(factor) || factor < 1 || factors.some((other) => other !== factor)) return undefined;
  return factor === 1 ? 'n' : `${factor}n`;
}

function refuse(
  values: readonly unknown[],
  path: readonly PropertyKey[],
  place: (path: readonly PropertyKey[]) => string,
): ModelError {
  const [one, other] = values.map((value) => JSON.stringify(value)?.slice(0, 60));
  return new ModelError(
    [],
    `${place(path)} depends on the number of samples in a way that a graph cannot say: it is ${one} for ${TRACED[0]} samples and ${other} for ${TRACED[1]}. ` +
      'Sizes must be constant or whole multiples of the number of samples, and the rest must not depend on it, nor on chance',
  );
}
