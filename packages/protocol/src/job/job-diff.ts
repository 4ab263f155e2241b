/** What job files have in common, and where they differ: keys by their paths, as sweeps have them (`training.learningRate`, `model.layers.0.units`). */

import { type Fields, isFields } from './fields.ts';

/** What became of a job; the rest of its record follows from the job file, or is about when it was. */
export const RESULTS: readonly string[] = [
  ...['state', 'error', 'epoch', 'step', 'trainLoss', 'trainMetric', 'testLoss', 'testMetric', 'testMetrics'],
  ...['bestMetric', 'bestEpoch', 'seconds', 'workers', 'digest'],
];

/** The value at a path; undefined where there is none. */
export function valueAtPath(file: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (at, key) =>
        typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? (at as Fields)[key] : undefined,
      file,
    );
}

/**
 * Paths at which not all of the files have the same value, in the files' order. Lists of different lengths differ as a whole, and so does
 * what is a section in some files only.
 */
export function differingPaths(files: readonly unknown[], path = ''): string[] {
  if (new Set(files.map((file) => JSON.stringify(file))).size < 2) return [];
  const below = (key: string | number) =>
    differingPaths(
      files.map((file) => valueAtPath(file, String(key))),
      path === '' ? String(key) : `${path}.${key}`,
    );
  if (files.every(isFields)) return [...new Set(files.flatMap(Object.keys))].flatMap(below);
  if (files.every(Array.isArray) && new Set(files.map(({ length }) => length)).size === 1)
    return [...files[0]!.keys()].flatMap(below);
  return [path];
}

/** Paths of all values in a file that are neither sections nor lists. */
export function leafPaths(file: Fields): string[] {
  return Object.entries(file).flatMap(([key, value]) => {
    if (isFields(value)) return leafPaths(value).map((path) => `${key}.${path}`);
    return Array.isArray(value) ? [] : [key];
  });
}
