import { differingPaths, leafPaths, valueAtPath } from '@kasane/protocol/internal/job/job-diff';
import { expect, it } from 'vitest';

const base = { name: 'a', training: { batch: 1, ema: { decay: 1 } }, layers: [{ units: 1 }, { units: 2 }] };

it('finds values by their paths', () => {
  expect(valueAtPath(base, 'training.ema.decay')).toBe(1);
  expect(valueAtPath(base, 'layers.1.units')).toBe(2);
  expect(valueAtPath(base, 'layers.2.units')).toBeUndefined();
  expect(valueAtPath(base, 'training.batch.x')).toBeUndefined();
  // Not a key of the file, though objects have it.
  expect(valueAtPath(base, 'toString')).toBeUndefined();
});

it.each([
  ['the same', base, []],
  ['a number', { ...base, training: { ...base.training, batch: 2 } }, ['training.batch']],
  ['an item', { ...base, layers: [{ units: 1 }, { units: 3 }] }, ['layers.1.units']],
  ['a longer list', { ...base, layers: [{ units: 1 }] }, ['layers']],
  ['a section of one', { ...base, training: { batch: 1 } }, ['training.ema']],
  ['a key of one', { ...base, seed: 1 }, ['seed']],
  ['another type', { ...base, layers: { units: 1 } }, ['layers']],
])('of two files: %s', (_, other, paths) => {
  expect(differingPaths([base, base, other])).toEqual(paths);
});

it('no files, and one, differ in nothing', () => {
  expect(differingPaths([])).toEqual([]);
  expect(differingPaths([base])).toEqual([]);
});

it('lists what is neither section nor list', () => {
  expect(leafPaths(base)).toEqual(['name', 'training.batch', 'training.ema.decay']);
});
