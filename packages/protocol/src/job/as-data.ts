/** What programs export and submit, as JSON has it. `JSON.stringify` drops functions, empties maps and makes null of NaN: a key would be lost without a word. */
import { KasaneError } from '../errors.ts';

const DEEPEST = 200;

/**
 * A copy of plain objects, lists, texts, numbers, booleans and null. Keys whose value is undefined are left out.
 * @throws KasaneError JOB_INVALID, naming the key
 */
export function asData(value: unknown, path: readonly string[] = [], above: readonly object[] = []): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value;
    throw refuse(path, `it is ${value}; expected a finite number`);
  }
  if (typeof value !== 'object') throw refuse(path, `it is ${kindOf(value)}; a job is data`);
  if (above.includes(value)) throw refuse(path, 'it contains itself; a job is data');
  if (above.length >= DEEPEST) throw refuse(path, `it is more than ${DEEPEST} levels deep`);
  const within = [...above, value];
  if (Array.isArray(value)) return Array.from(value, (item, i) => asData(item, [...path, String(i)], within));
  if (!isPlain(value)) {
    const right = ArrayBuffer.isView(value) ? 'a list: [...values]' : 'keys with values, such as { a: 1 }';
    throw refuse(path, `it is ${kindOf(value)}; expected ${right}`);
  }
  const entries = Object.keys(value).flatMap((key) => {
    const item = read(value, key, [...path, key]);
    return item === undefined ? [] : [[key, asData(item, [...path, key], within)] as const];
  });
  return Object.fromEntries(entries);
}

/** Modules and objects without a prototype are plain, too. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** A key may be a function that fails. */
function read(value: object, key: string, path: readonly string[]): unknown {
  try {
    return (value as Readonly<Record<string, unknown>>)[key];
  } catch (error) {
    throw refuse(path, error instanceof Error ? error.message : 'it cannot be read');
  }
}

const refuse = (path: readonly string[], why: string) =>
  new KasaneError('JOB_INVALID', `${path.length === 0 ? 'job' : path.join('.')}: ${why}`);

/** What a value is, with its article. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'a list';
  const kind = typeof value === 'object' ? (value.constructor?.name ?? 'object') || 'object' : typeof value;
  return `${/^[aeio]/i.test(kind) ? 'an' : 'a'} ${kind === 'string' ? 'text' : kind}`;
}
