/** What the page says of how much a result depends on each key. */
import { expect, it } from 'vitest';
import { importanceOf, LEAST_ROWS } from '../src/page/tables/importance.ts';

/** Numbers without an order, from 0 to below 1. */
const spread = (row: number, key: number): number =>
  (Math.sin(row * 12.9898 + key * 78.233) * 43_758.5453 + 1e6) % 1;
const rows = (count: number) => Array.from({ length: count }, (_, row) => row);
const features = (count: number) => [0, 1, 2].map((key) => rows(count).map((row) => spread(row, key)));

it('finds what matters, and how much of the result it explains', () => {
  const keys = features(200);
  const result = rows(200).map((row) => 3 * (keys[0]![row]! - 0.5) ** 2 + 0.5 * keys[1]![row]!);
  const { parts, explained } = importanceOf(keys, result)!;
  expect(parts[0]).toBeGreaterThan(parts[1]!);
  expect(parts[1]).toBeGreaterThan(3 * parts[2]!);
  expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(1, 12);
  expect(explained).toBeGreaterThan(0.7);
  expect(importanceOf(keys, result)).toEqual({ parts, explained });
});

it('a key matters by whether it is set, too', () => {
  const [first] = features(100);
  const isSet = rows(100).map((row) => (row % 2 ? 0.5 : Number.NaN));
  const result = rows(100).map((row) => (row % 2 ? 1 : 0));
  const { parts } = importanceOf([first!, isSet], result)!;
  expect(parts[1]).toBeGreaterThan(0.9);
});

it('explains nothing where there is nothing to explain', () => {
  const noise = rows(200).map((row) => spread(row, 9));
  expect(importanceOf(features(200), noise)!.explained).toBeLessThan(0.1);
  expect(
    importanceOf(
      features(LEAST_ROWS),
      rows(LEAST_ROWS).map(() => 1),
    ),
  ).toBeUndefined();
  expect(importanceOf(features(LEAST_ROWS - 1), rows(LEAST_ROWS - 1))).toBeUndefined();
  expect(importanceOf([], rows(50))).toBeUndefined();
});
