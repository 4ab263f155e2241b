/** What was traced with several numbers of samples, as one description in which that number is open. */
import { ModelError } from '../model-error.ts';
import type { Extent } from './format.ts';

/** Numbers of samples that models are traced with. No size that a model is likely to have, nor a multiple of one another. */
export const TRACED = [3, 5, 7] as const;

/** Values for several numbers of samples. */
interface Traces {
  /** For how many samples each value is. */
  readonly counts: readonly number[];
  /** Of the values, for messages. */
  readonly place: (path: readonly PropertyKey[]) => string;
}

/**
 * One value that stands for all of them: equal parts as they are, and numbers of nodes' attributes that grow with the samples as
 * multiples of 'n'.
 * @throws ModelError where they differ in another way
 */
export function openSamples<T>(values: readonly T[], traces: Traces): T {
  return join(values, [], traces) as T;
}

function join(values: readonly unknown[], path: readonly PropertyKey[], traces: Traces): unknown {
  const [first] = values;
  if (typeof first === 'object' && first !== null) {
    const keys = values.map((value) =>
      typeof value === 'object' && value !== null ? Object.keys(value) : [],
    );
    if (keys.some((own) => String(own) !== String(keys[0]))) throw refuse(values, path, traces);
    const parts = keys[0]!.map((key) => {
      const at = Array.isArray(first) ? Number(key) : key;
      return [
        key,
        join(
          values.map((value) => (value as Record<string, unknown>)[key]),
          [...path, at],
          traces,
        ),
      ] as const;
    });
    return Array.isArray(first) ? parts.map(([, part]) => part) : Object.fromEntries(parts);
  }
  if (values.every((value) => Object.is(value, first))) return first;
  const opened = isAttribute(path) ? multiple(values, traces.counts) : undefined;
  if (opened === undefined) throw refuse(values, path, traces);
  return opened;
}

/** Of a node: ['reshape', 3, { shape: ... }]. */
const isAttribute = (path: readonly PropertyKey[]): boolean => {
  const nodes = path.indexOf('nodes');
  return nodes >= 0 && typeof path[nodes + 3] === 'string';
};

function multiple(values: readonly unknown[], counts: readonly number[]): Extent | undefined {
  const factors = values.map((value, i) => (typeof value === 'number' ? value / counts[i]! : Number.NaN));
  const [factor] = factors as [number];
  if (!Number.isInteger(factor) || factor < 1 || factors.some((other) => other !== factor)) return undefined;
  return factor === 1 ? 'n' : `${factor}n`;
}

function refuse(
  values: readonly unknown[],
  path: readonly PropertyKey[],
  { counts, place }: Traces,
): ModelError {
  const [one, other] = values.map((value) => JSON.stringify(value)?.slice(0, 60));
  return new ModelError(
    [],
    `${place(path)} depends on the number of samples in a way that a graph cannot say: it is ${one} for ${counts[0]} samples and ${other} for ${counts[1]}. ` +
      'Sizes must be constant or whole multiples of the number of samples, and the rest must not depend on it, nor on chance',
  );
}
