/** What a file says of numbers and shapes before anything is computed: constants, ranges, and shapes of values. */
import { constant } from '../../../ops/leaf.ts';
import { formatShape, type Shape, sizeOf } from '../../../shape.ts';
import { type NodeContext, refuse, type Translator } from './context.ts';
import { computed, type Known, known, numbersOf, shapeOf } from './values.ts';

/** Numbers of a value that is known before the model is made. */
const MOST_KNOWN = 1 << 22;

/** Sizes as a shape. @throws UnsupportedError */
export function shapeFrom(list: readonly number[]): Shape {
  if (list.length <= 16 && list.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) return list;
  return refuse(`the shape is ${formatShape(list.slice(0, 16))}`);
}

/** In a file for one sample, which axis that is; below 0: none. */
export function axisOfSamples({ home }: NodeContext, shape: Shape): number {
  const { samples, isSingle } = home;
  return samples !== undefined && isSingle
    ? shape.findIndex((extent) => extent > 0 && extent % samples === 0)
    : -1;
}

/** What a file for one sample takes the shape for. */
export function shapeForOne(c: NodeContext, shape: Shape): Shape {
  const at = axisOfSamples(c, shape);
  return at < 0 ? shape : shape.with(at, shape[at]! / c.home.samples!);
}

const shape: Translator = (c) => {
  const all = shapeForOne(c, shapeOf(c.value(0)));
  const bound = (at: number) => Math.min(all.length, Math.max(0, at < 0 ? at + all.length : at));
  const part = all.slice(bound(c.number('start', 0)), bound(c.number('end', all.length)));
  return known('int', [part.length], part);
};

const filled: Translator = (c) => {
  const record = c.tensor('value');
  const { type, numbers } = record ? numbersOf(record, 'the value') : known('float', [1], [0]);
  const target = shapeFrom([...c.known(0, 'the shape').numbers]);
  const [value = 0] = numbers;
  return sizeOf(target) <= MOST_KNOWN
    ? known(type, target, new Float64Array(sizeOf(target)).fill(value))
    : computed(constant(value, target), type);
};

const range: Translator = (c) => {
  const [start = 0] = c.known(0, 'the start').numbers;
  const [limit = 0] = c.known(1, 'the limit').numbers;
  const [delta = 1] = c.known(2, 'the step').numbers;
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!(count <= MOST_KNOWN)) return refuse(`gives ${count} numbers; at most ${MOST_KNOWN} are supported`);
  return known(
    c.value(0).type,
    [count],
    Array.from({ length: count }, (_, i) => start + i * delta),
  );
};

const constantOf: Translator = (c): Known => {
  const record = c.tensor('value');
  if (record) return numbersOf(record, 'the value');
  const single = (['value_float', 'value_int'] as const).find((name) => c.hasAttribute(name));
  if (single) return known(single === 'value_int' ? 'int' : 'float', [], [c.number(single, 0)]);
  const list = (['value_floats', 'value_ints'] as const).find((name) => c.hasAttribute(name));
  const numbers = list && c.numbers(list);
  if (!numbers) return refuse('holds no numbers');
  return known(list === 'value_ints' ? 'int' : 'float', [numbers.length], numbers);
};

export const shapeTranslators = {
  Constant: constantOf,
  ConstantOfShape: filled,
  Range: range,
  Shape: shape,
  Size: (c) => known('int', [], [sizeOf(shapeForOne(c, shapeOf(c.value(0))))]),
} as const satisfies Readonly<Record<string, Translator>>;
