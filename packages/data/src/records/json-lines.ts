/** JSON Lines: one object a line, each of its keys a column. Read piece by piece, twice: which columns there are, only the last line tells. */

import { DataError } from '../dataset.ts';
import { openRegular } from '../files/regular-file.ts';
import { markedEncoding, requireText } from '../text/decode-text.ts';
import {
  nestedKind,
  type OnDamaged,
  type RecordFile,
  type RecordRow,
  type RecordValue,
} from './record-file.ts';

/** Bytes of a file, and of one line of it. */
const FILE_BYTES = 2 ** 30;
const LINE_BYTES = 1 << 24;
const MOST_COLUMNS = 1 << 15;

type JsonObject = { readonly [name: string]: RecordValue };

interface Line {
  readonly line: number;
  /** Undefined of a line with nothing in it. */
  readonly value: JsonObject | undefined;
  /** Why it is no row. */
  readonly why?: string;
}

/** @throws DataError naming file, line and column */
export async function openJsonLines(path: string, onDamaged: OnDamaged): Promise<RecordFile> {
  const skipped: string[] = [];
  const blank: number[] = [];
  const columns = await columnsOf(path, onDamaged);
  return {
    path,
    columns,
    skipped,
    blank,
    async *rows(names): AsyncGenerator<RecordRow> {
      skipped.length = 0;
      blank.length = 0;
      for await (const { line, value, why } of lines(path)) {
        if (why !== undefined) skipped.push(why);
        else if (value === undefined) blank.push(line);
        else yield { line, values: names.map((name) => (Object.hasOwn(value, name) ? value[name] : null)) };
      }
    },
  };
}

async function columnsOf(path: string, onDamaged: OnDamaged) {
  const found = new Map<string, { nested?: string; at?: number; plain?: number }>();
  for await (const { line, value, why } of lines(path)) {
    if (why !== undefined && onDamaged === 'fail')
      throw new DataError(`${why}. Fix the line, or set data.onDamaged: skip`);
    if (value === undefined) continue;
    for (const [name, one] of Object.entries(value)) {
      let column = found.get(name);
      if (column === undefined) {
        if (found.size === MOST_COLUMNS)
          throw new DataError(
            `${path}:${line}: more than ${MOST_COLUMNS} different keys, which is the maximum`,
          );
        column = {};
        found.set(name, column);
      }
      if (one === null) continue;
      const nested = nestedKind(one);
      if (nested === undefined) column.plain ??= line;
      else if (column.nested === undefined) Object.assign(column, { nested, at: line });
      if (column.plain !== undefined && column.at !== undefined)
        throw new DataError(
          `${path}:${Math.max(column.plain, column.at)}: '${name}' holds ${column.plain < column.at ? column.nested : 'a single value'}, but ${column.plain < column.at ? 'a single value' : column.nested} on line ${Math.min(column.plain, column.at)}. Write the same kind in all lines`,
        );
    }
  }
  if (found.size === 0)
    throw new DataError(`${path}: it contains no objects; expected one JSON object per line`);
  return [...found].map(([name, { nested }]) => ({ name, nested, numbers: 'unknown' as const }));
}

/** Of so many digits a number may be another one than is written. */
const LONG_DIGITS = /\d{16}/;

async function* lines(path: string): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 0;
  for await (const bytes of linesOfBytes(path)) {
    line++;
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      yield { line, value: undefined, why: `${path}:${line}: it is not UTF-8; JSON files are` };
      continue;
    }
    if (text.trim() === '') yield { line, value: undefined };
    else yield parsed(path, line, text);
  }
}

function parsed(path: string, line: number, text: string): Line {
  const refuse = (why: string): Line => ({ line, value: undefined, why: `${path}:${line}: ${why}` });
  let value: RecordValue;
  try {
    value = JSON.parse(text, LONG_DIGITS.test(text) ? exactly : undefined);
  } catch (error) {
    // Of a file that is one long JSON text, no line is.
    const whole = line === 1 && /^\s*[[{]\s*$/.test(text);
    const cure = whole ? '. If the file is one JSON array, write one object per line (jq -c ".[]")' : '';
    return refuse(`it is not JSON (${(error as Error).message.replace(/\s+/g, ' ').slice(0, 120)})${cure}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return { line, value: value as JsonObject };
  const found = Array.isArray(value) ? 'an array' : `${JSON.stringify(value).slice(0, 40)}`;
  return refuse(`it holds ${found}; expected an object, such as {"x": 1}`);
}

/** A whole number that no double holds stays as it is written. */
function exactly(this: unknown, _: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !Number.isInteger(value)) return value;
  const { source = '' } = context ?? {};
  return /^-?\d{16,40}$/.test(source) ? BigInt(source) : value;
}

/** The bytes of each line, without its end. The last one may have none. */
async function* linesOfBytes(path: string): AsyncGenerator<Buffer> {
  const file = await openRegular(path);
  try {
    if (file.size > FILE_BYTES)
      throw new DataError(
        `${path}: ${file.size} bytes; at most ${FILE_BYTES} are supported. Split it, or write Parquet`,
      );
    const head = await file.read(0, 64);
    requireText(path, head);
    if (markedEncoding(head))
      throw new DataError(`${path}: it is UTF-16; JSON files are UTF-8. Save it as UTF-8`);
    let rest: Buffer[] = [];
    let held = 0;
    let line = 1;
    for await (const piece of file.pieces()) {
      let from = 0;
      for (let end = piece.indexOf(0x0a); end >= 0; end = piece.indexOf(0x0a, from)) {
        requireShort(path, line, held + end - from);
        yield held === 0 ? piece.subarray(from, end) : Buffer.concat([...rest, piece.subarray(from, end)]);
        rest = [];
        held = 0;
        from = end + 1;
        line++;
      }
      if (from === piece.length) continue;
      held += piece.length - from;
      rest.push(piece.subarray(from));
      requireShort(path, line, held);
    }
    if (held > 0) yield Buffer.concat(rest);
  } finally {
    await file.close();
  }
}

function requireShort(path: string, line: number, bytes: number): void {
  if (bytes > LINE_BYTES)
    throw new DataError(
      `${path}:${line}: the line has more than ${LINE_BYTES} bytes, which is the maximum. Write one object per line`,
    );
}
