/**
 * Files that extend others: `extends:` names a job file or a preset, and what the file says itself wins. What is in files is for whoever
 * reads the first one to open: a coordinator opens none, and is sent one job.
 */
import { KasaneError } from '../errors.ts';
import { EXTENDED_FILES } from '../limits.ts';
import { isFields } from './fields.ts';
import { checkShape } from './job-shape.ts';

type Path = readonly PropertyKey[];

/** What one file says. */
export interface Layer {
  /** Tells it from others. */
  readonly id: string;
  readonly value: unknown;
  /** The place of a path in it, as it is said in messages. */
  readonly lineOf: (path: Path) => string;
}

/**
 * Opens what a file extends.
 * @param name as it stands there
 * @param from `id` of the file
 * @throws KasaneError, whose message says what is wrong with the name
 */
export type OpenExtended = (name: string, from: string) => Layer;

export interface Merged {
  readonly value: unknown;
  readonly lineOf: (path: Path) => string;
}

/** A file with what it extends. Without `open`, one that extends is refused. @throws KasaneError JOB_INVALID, and what `open` throws */
export function withExtended(first: Layer, open?: OpenExtended): Merged {
  const layers = [first];
  for (let last = first; isFields(last.value) && Object.hasOwn(last.value, 'extends'); ) {
    const { lineOf, id, value } = last;
    checkShape(value, lineOf);
    last = openNext(value.extends, open, { at: lineOf(['extends']), id, layers });
    layers.push(last);
  }
  if (layers.length === 1) return first;
  for (const { value, lineOf } of layers) checkShape(value, lineOf);
  const value = layers.map(({ value }) => withoutExtends(value)).reduceRight((base, own) => merge(base, own));
  return { value, lineOf: (path) => lineIn(layers, path) };
}

function openNext(
  name: unknown,
  open: OpenExtended | undefined,
  { at, id, layers }: { readonly at: string; readonly id: string; readonly layers: readonly Layer[] },
): Layer {
  const refuse = (why: string, cause?: unknown) =>
    new KasaneError(cause instanceof KasaneError ? cause.code : 'JOB_INVALID', `${at}: extends: ${why}`, {
      cause,
    });
  if (typeof name !== 'string' || name === '')
    throw refuse('expected the path of a job file, or the name of a preset');
  if (!open)
    throw refuse(
      'a coordinator reads no other files; submit the job with `kasane submit`, which sends what it extends with it',
    );
  if (layers.length > EXTENDED_FILES)
    throw refuse(`more than ${EXTENDED_FILES} files extend each other, which is the limit`);
  let next: Layer;
  try {
    next = open(name, id);
  } catch (error) {
    // What is wrong in that file says where.
    if (error instanceof KasaneError && error.code === 'JOB_INVALID') throw error;
    throw refuse(error instanceof Error ? error.message : String(error), error);
  }
  if (!isFields(next.value)) throw refuse(`${next.lineOf([])} is not a job file`);
  const begin = layers.findIndex((layer) => layer.id === next.id);
  if (begin < 0) return next;
  const circle = [...layers.slice(begin), next].map(({ lineOf }) => lineOf([]));
  throw refuse(`the files extend each other: ${circle.join(' -> ')}`);
}

function withoutExtends(value: unknown): unknown {
  if (!isFields(value)) return value;
  const { extends: _, ...rest } = value;
  return rest;
}

/** Objects key by key; anything else is replaced. A key without a value takes away what the base has there. */
function merge(base: unknown, own: unknown): unknown {
  if (!isFields(base) || !isFields(own)) return own;
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(own)) {
    if (value === null && Object.hasOwn(base, key)) delete result[key];
    else result[key] = Object.hasOwn(base, key) ? merge(base[key], value) : value;
  }
  return result;
}

/** The file that has most of a path says where it is: of several the one that won. */
function lineIn(layers: readonly Layer[], path: Path): string {
  const depths = layers.map(({ value }) => {
    let at = value;
    const end = path.findIndex((key) => {
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return true;
      at = (at as Record<PropertyKey, unknown>)[key];
      return false;
    });
    return end < 0 ? path.length : end;
  });
  return layers[depths.indexOf(Math.max(...depths))]!.lineOf(path);
}
