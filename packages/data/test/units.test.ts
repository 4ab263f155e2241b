/** Numbers with units: what counts as one, and what is said of them wherever a table has them. */
import { expect, it } from 'vitest';
import { oneUnitCure, unitCure, withoutUnit } from '../src/tables/units.ts';
import { lines, tableFiles } from './support/table-files.ts';

const { table } = tableFiles();

it.each([
  [['103 EUR', '5 EUR'], "remove the unit 'EUR' from its numbers"],
  [['5kg', '6.5kg'], "remove the unit 'kg' from its numbers"],
  [['103円', '5円'], "remove the unit '円' from its numbers"],
  [['7.5 km/h', '-8 km/h'], "remove the unit 'km/h' from its numbers"],
  [['US$ 5', 'US$1,200'], "remove the unit 'US$' from its numbers"],
  [['2 kg', '300 g', '3 kg'], "convert its numbers to one unit and remove the units 'kg', 'g'"],
])('%j: %s', (values, cure) => {
  expect(withoutUnit(values)).toBe(cure);
  expect(unitCure(values).toLowerCase()).toBe(`${cure}. `.toLowerCase());
});

it.each([
  [['12A', '3B']],
  [['1st', '2nd']],
  [['12:30']],
  [['1e5', '2e5']],
  [['A4', 'A5']],
  [['10 Downing Street']],
  [['5 kg', 'unknown']],
])('%j: no numbers with a unit', (values) => expect(withoutUnit(values)).toBeUndefined());

it('one value that is no number may have a unit', () => {
  expect(oneUnitCure('5 kg')).toBe("If 'kg' is a unit, remove it from its numbers. ");
  expect(oneUnitCure('five')).toBe('');
});

it('a target with a unit is not called a lack of rows, nor a class', async () => {
  const prices = `a,price\n${lines(60, (i) => `${i / 7},${100 + i} EUR`)}`;
  await expect(table(prices, { target: 'price', task: 'regression' })).rejects.toThrow(
    /'100 EUR', which is not a number \(If 'EUR' is a unit, remove it.*\)\. Fix these rows, or add others/,
  );
  await expect(table(prices, { target: 'price' })).rejects.toThrow(
    /60 different values in 60 rows, such as '100 EUR', which are quantities.*Remove the unit 'EUR' from its numbers\. Then set data\.task: regression; or set data\.columns/,
  );
  const few = await table(`a,w\n${lines(60, (i) => `${i / 7},${i % 3} kg`)}`, { target: 'w' });
  expect(few.preparation.classes).toEqual(['0 kg', '1 kg', '2 kg']);
});

it('a feature with a unit is named with what to remove', async () => {
  const prices = `price,y\n${lines(60, (i) => `${100 + i} EUR,${i % 2 ? 'a' : 'b'}`)}`;
  await expect(table(prices, { target: 'y' })).rejects.toThrow(
    /say nothing about other rows\. Remove the unit 'EUR' from its numbers\. Or set data\.columns/,
  );
  const some = `w,y\n${lines(60, (i) => `${i + 0.5}${i % 9 === 5 ? ' kg' : ''},${i % 2 ? 'a' : 'b'}`)}`;
  await expect(table(some, { target: 'y' })).rejects.toThrow(
    /'5\.5 kg' is not\. Remove the unit 'kg' from its numbers\. Fix the file/,
  );
});
