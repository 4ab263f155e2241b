/** Which attributes the operations of a graph have, and of which kind: without an entry for each operation it does not compile. */
import type { AliasOpName, KernelOpName } from '../../ops/index.ts';
import { pointwiseNamed } from '../../ops/index.ts';
import { LayerError } from '../layer.ts';
import { suggest } from '../nearest.ts';
import { MAX_EXTENT } from '../options.ts';
import { MOST_AXES, MOST_STREAMS } from './format.ts';

/** integers: a list of whole numbers from 0. shape: the same, from 1. */
type AttributeKind = 'integer' | 'integers' | 'shape' | 'number' | 'boolean';
type AttributeKinds = Readonly<Record<string, AttributeKind>>;

const places = { stride: 'integers', padding: 'integers', dilation: 'integers', groups: 'integer' } as const;
const along = { axis: 'integer', size: 'integer', stride: 'integer', dilation: 'integer' } as const;
const over = { axes: 'integers', keepDims: 'boolean' } as const;

/** dropoutMask is not among them: it takes the number of a layer. `dropout` and `normal` stand for it. */
const primitives: Readonly<
  Record<Exclude<KernelOpName | AliasOpName, 'dropoutMask'> | 'constant', AttributeKinds>
> = {
  constant: { value: 'number', shape: 'shape' },
  iota: { shape: 'shape', axis: 'integer' },
  reshape: { shape: 'shape' },
  detach: {},
  broadcast: { shape: 'shape' },
  transpose: { permutation: 'integers' },
  slice: { start: 'integers', size: 'shape', step: 'shape' },
  flip: { axes: 'integers' },
  window: along,
  matmul: { transposeA: 'boolean', transposeB: 'boolean' },
  conv2d: places,
  conv2dInputGradient: { ...places, image: 'shape' },
  conv2dWeightGradient: { ...places, window: 'shape' },
  sum: over,
  maxReduce: over,
  pad: { low: 'integers', high: 'integers', interior: 'integers', value: 'number' },
  concat: { axis: 'integer' },
  fold: { ...along, extent: 'integer' },
  gather: {},
  scatterAdd: { rows: 'integer' },
  toIndex: {},
  checkLabels: { classes: 'integer' },
  argmax: {},
  oneHot: { classes: 'integer' },
  argmaxEquals: {},
};

/** What only a traced graph has: each becomes operations when a program is made of the layer. */
const ofLayers = {
  /** x, with dropout while training. */
  dropout: { rate: 'number', stream: 'integer' },
  /** While training: normally distributed numbers; 0 otherwise. */
  normal: { shape: 'shape', stream: 'integer' },
  /** The first value while training, the second otherwise. */
  phase: {},
  /** The first value while training, which is reported; otherwise the parameter, which follows it. */
  statistic: {},
} as const satisfies Readonly<Record<string, AttributeKinds>>;

export type LayerOpName = keyof typeof ofLayers;

export const isOfLayers = (op: string): op is LayerOpName => Object.hasOwn(ofLayers, op);

/** The attributes of an operation; undefined: there is none of that name. */
function kindsOf(op: string): AttributeKinds | undefined {
  if (Object.hasOwn(primitives, op)) return primitives[op as keyof typeof primitives];
  if (isOfLayers(op)) return ofLayers[op];
  return pointwiseNamed(op) && {};
}

/** Attributes for a number of samples. */
export type AttributesFor = (
  samples: number,
) => Readonly<Record<string, number | boolean | readonly number[]>>;

/**
 * Checks the attributes that a graph states.
 * @throws LayerError naming the attribute
 */
export function checkAttributes(op: string, given: unknown): AttributesFor {
  const kinds = kindsOf(op);
  if (!kinds) {
    const known = [...Object.keys(primitives), ...Object.keys(ofLayers)];
    throw new LayerError(`no operation '${op.slice(0, 64)}'${suggest(op, known)}`);
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new LayerError(`attributes are ${brief(given)}; expected an object`);
  const stated = given as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(stated).find((name) => !Object.hasOwn(kinds, name));
  if (unknown !== undefined)
    throw new LayerError(`no attribute '${unknown.slice(0, 64)}'${suggest(unknown, Object.keys(kinds))}`);
  const makers = Object.entries(kinds).map(
    ([name, kind]) => [name, makerOf(name, kind, stated[name])] as const,
  );
  if (makers.every(([, make]) => typeof make !== 'function')) {
    const fixed = Object.fromEntries(makers) as ReturnType<AttributesFor>;
    return () => fixed;
  }
  return (samples) =>
    Object.fromEntries(
      makers.map(([name, make]) => [name, typeof make === 'function' ? make(samples) : make]),
    );
}

type Value = number | boolean | readonly number[];

/** An attribute, or what makes it of the number of samples. */
function makerOf(name: string, kind: AttributeKind, value: unknown): Value | ((samples: number) => Value) {
  const refuse = (expected: string) => {
    throw new LayerError(`attribute ${name} is ${brief(value)}; expected ${expected}`);
  };
  switch (kind) {
    case 'boolean':
      if (value === undefined) return false;
      return typeof value === 'boolean' ? value : refuse('true or false');
    case 'number': {
      if (typeof value === 'number') return value;
      const special = typeof value === 'string' ? specials.get(value) : undefined;
      return special ?? multipleOf(value) ?? refuse("a number, 'inf', '-inf', 'nan' or a multiple of 'n'");
    }
    case 'integer':
      return countOf(value, 0) ?? refuse(`a whole number from 0 to ${MAX_EXTENT}, or a multiple of 'n'`);
    case 'integers':
    case 'shape': {
      const least = kind === 'shape' ? 1 : 0;
      const list = Array.isArray(value) && value.length <= MOST_AXES ? value : undefined;
      const made = list?.map((each) => countOf(each, least));
      if (!made?.every((each) => each !== undefined))
        return refuse(
          `a list of at most ${MOST_AXES} whole numbers from ${least} to ${MAX_EXTENT}, or multiples of 'n'`,
        );
      if (made.every((each) => typeof each === 'number')) return made as number[];
      return (samples) => made.map((each) => (typeof each === 'function' ? each(samples) : (each as number)));
    }
  }
}

const specials: ReadonlyMap<string, number> = new Map([
  ['inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['nan', Number.NaN],
]);

function countOf(value: unknown, least: number): number | ((samples: number) => number) | undefined {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= MAX_EXTENT)
    return value as number;
  return multipleOf(value);
}

/** '3n'. */
function multipleOf(value: unknown): ((samples: number) => number) | undefined {
  const found = typeof value === 'string' ? /^([1-9]\d{0,7})?n$/.exec(value) : null;
  if (!found) return undefined;
  const factor = Number(found[1] ?? 1);
  return (samples) => factor * samples;
}

/** A value in a message. */
export function brief(value: unknown): string {
  if (value === undefined) return 'missing';
  // JSON makes null of NaN.
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

/** Whether it is the number of a stream of random numbers. */
export const isStream = (stream: unknown): boolean =>
  Number.isInteger(stream) && (stream as number) >= 0 && (stream as number) < MOST_STREAMS;
