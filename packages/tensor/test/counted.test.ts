import { expect, it } from 'vitest';
import { counted } from '../src/counted.ts';

it.each([
  [counted(0, 'row'), '0 rows'],
  [counted(1, 'row'), '1 row'],
  [counted(2, 'row'), '2 rows'],
  [counted(1, 'class', 'classes'), '1 class'],
  [counted(3, 'class', 'classes'), '3 classes'],
])('%s', (found, right) => {
  expect(found).toBe(right);
});
