/** Numbers of a record, in whatever way its file holds them: arrays with a shape, nested lists, single values. */
import type { RecordValue } from './record-file.ts';

/** Numbers in the order of their shape. whole: by their type, not by what they happen to be. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
  readonly kind: NumberKind;
}

/** bytes: whole numbers from 0 to 255 by their type. unknown: JSON has one type for all. */
export type NumberKind = 'bytes' | 'whole' | 'decimal' | 'unknown';

/** Numbers of one record at most. */
const MOST_NUMBERS = 2 ** 28;

export const isNumbers = (value: unknown): value is Numbers =>
  typeof value === 'object' && value !== null && 'data' in value && 'shape' in value && 'kind' in value;

/** A number or list of numbers as an array; a clause where it is none. */
export function numbersOf(value: RecordValue | Numbers, kind: NumberKind): Numbers | string {
  if (isNumbers(value)) return value;
  const shape = shapeOf(value);
  if (typeof shape === 'string') return shape;
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (size > MOST_NUMBERS) return `it has more than ${MOST_NUMBERS} numbers`;
  const data = new Float64Array(size);
  const state = { at: 0, why: '' };
  fill(value, shape, 0, data, state);
  return state.why === '' ? { shape, data, kind } : state.why;
}

const isList = (value: unknown): value is ArrayLike<RecordValue> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

function shapeOf(value: RecordValue): number[] | string {
  const shape: number[] = [];
  for (let inner = value; isList(inner); inner = inner[0]) {
    if (inner.length === 0) return 'it has an empty list';
    if (shape.push(inner.length) > 8) return 'its lists are nested more than 8 times';
  }
  return shape;
}

function fill(
  value: RecordValue,
  shape: readonly number[],
  depth: number,
  data: Float64Array,
  state: { at: number; why: string },
): void {
  if (state.why !== '') return;
  if (depth < shape.length) {
    if (!isList(value) || value.length !== shape[depth]) {
      const found = isList(value) ? `one of ${value.length}` : 'a single value';
      state.why = `its lists differ in length: ${shape[depth]}, and ${found}`;
      return;
    }
    for (let i = 0; i < value.length; i++) fill(value[i], shape, depth + 1, data, state);
    return;
  }
  const number = typeof value === 'bigint' || typeof value === 'boolean' ? Number(value) : value;
  if (typeof number !== 'number') {
    const found =
      number === null || number === undefined
        ? 'a missing value'
        : isList(number)
          ? 'a longer list'
          : `${JSON.stringify(number)?.slice(0, 40)}`;
    state.why = `it has ${found} where a number is expected`;
    return;
  }
  data[state.at++] = number;
}
