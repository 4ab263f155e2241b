/** What a search may assign: which parameters an assignment has, and the values of each. */
import { exponentialOf, logarithmOf } from '@kasane/tensor/internal/optim/exact';
import type { Assignment, Json, ParameterKind, ParameterSpec, SearchSpec } from './search-schema.ts';

export type Parameters = SearchSpec['parameters'];

export const kindOf = (parameter: ParameterSpec): ParameterKind => {
  if ('integers' in parameter) return 'integers';
  if ('uniform' in parameter) return 'uniform';
  return 'log' in parameter ? 'log' : 'choices';
};

/** By what they are written as: this also runs where Node's comparison is not available. */
export const isSame = (a: Json, b: Json): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Whether a condition's value, or one of its list, is this one. */
export const meets = (value: Json, wanted: Json): boolean =>
  isSame(value, wanted) || (Array.isArray(wanted) && wanted.some((one) => isSame(value, one)));

/** Whether a parameter is to be set, given the values of those above it. */
export function isActive({ when }: ParameterSpec, above: Assignment): boolean {
  return Object.entries(when ?? {}).every(
    ([path, wanted]) => Object.hasOwn(above, path) && meets(above[path]!, wanted),
  );
}

/** Assigns every parameter whose condition holds, in the file's order. @param index counts all parameters */
export function assign(
  parameters: Parameters,
  pick: (parameter: ParameterSpec, index: number, path: string) => Json,
): Assignment {
  const values: Record<string, Json> = {};
  for (const [index, [path, parameter]] of Object.entries(parameters).entries())
    if (isActive(parameter, values)) values[path] = pick(parameter, index, path);
  return values;
}

/** Six digits, as people copy them. */
const rounded = (value: number): number => Number(value.toPrecision(6));
const within = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Number of different values, Infinity of a range of real numbers. */
export function sizeOf(parameter: ParameterSpec): number {
  if ('choices' in parameter) return parameter.choices.length;
  if (!('integers' in parameter)) return Number.POSITIVE_INFINITY;
  const [low, high] = parameter.integers;
  return Math.floor((high - low) / parameter.step) + 1;
}

/** Where a range begins and ends on the scale on which it is even: half a step beyond whole numbers on both sides. */
function scaleOf(parameter: Exclude<ParameterSpec, { choices: unknown }>): readonly [number, number] {
  if ('uniform' in parameter) return parameter.uniform;
  if (!('integers' in parameter)) return [logarithmOf(parameter.log[0]), logarithmOf(parameter.log[1])];
  const { integers, step, log } = parameter;
  if (!log) return [-0.5, sizeOf({ integers, step, log }) - 0.5];
  return [logarithmOf(integers[0] - 0.5), logarithmOf(integers[1] + 0.5)];
}

/** The value at a place of [0, 1) among all of a parameter, evenly on its scale. */
export function valueAt(parameter: ParameterSpec, place: number): Json {
  if ('choices' in parameter) {
    const { choices } = parameter;
    return choices[Math.min(choices.length - 1, Math.floor(place * choices.length))]!;
  }
  const [from, to] = scaleOf(parameter);
  const at = from + place * (to - from);
  if ('uniform' in parameter) return within(rounded(at), ...parameter.uniform);
  if (!('integers' in parameter)) return within(rounded(exponentialOf(at)), ...parameter.log);
  const { integers, step, log } = parameter;
  const [low, high] = integers;
  if (log) return within(Math.round(exponentialOf(at)), low, high);
  return low + step * within(Math.round(at), 0, sizeOf(parameter) - 1);
}

/** The place in [0, 1] of a number that `valueAt` gave. */
export function placeOf(parameter: Exclude<ParameterSpec, { choices: unknown }>, value: number): number {
  const [from, to] = scaleOf(parameter);
  const linear = () => ('integers' in parameter ? (value - parameter.integers[0]) / parameter.step : value);
  const isLog = 'uniform' in parameter ? false : parameter.log !== false;
  return within(((isLog ? logarithmOf(value) : linear()) - from) / (to - from), 0, 1);
}

/** The values of a parameter in a grid; undefined if its range needs `points`. */
export function gridValues(parameter: ParameterSpec): readonly Json[] | undefined {
  if ('choices' in parameter) return parameter.choices;
  if ('integers' in parameter) {
    const { integers, step } = parameter;
    return Array.from({ length: sizeOf(parameter) }, (_, index) => integers[0] + index * step);
  }
  const { points } = parameter;
  if (points === undefined) return undefined;
  const [from, to] = scaleOf(parameter);
  const [low, high] = 'uniform' in parameter ? parameter.uniform : parameter.log;
  return Array.from({ length: points }, (_, index) => {
    if (index === 0 || index === points - 1) return index === 0 ? low : high;
    const at = from + (index / (points - 1)) * (to - from);
    return rounded('uniform' in parameter ? at : exponentialOf(at));
  });
}

/** All points of a grid, the last parameter varying fastest; a parameter without its condition has no values. */
export function* gridPoints(parameters: Parameters): Generator<Assignment> {
  const paths = Object.entries(parameters);
  function* from(index: number, above: Assignment): Generator<Assignment> {
    const next = paths[index];
    if (!next) return yield above;
    const [path, parameter] = next;
    if (!isActive(parameter, above)) return yield* from(index + 1, above);
    for (const value of gridValues(parameter) ?? []) yield* from(index + 1, { ...above, [path]: value });
  }
  yield* from(0, {});
}
