/** Files of records with named values: Parquet and JSON Lines. */
import { extensionOf } from '../files/folder.ts';
import type { NumberKind } from './numbers.ts';

/** A value as its file has it. bytes are of images and the like; lists hold the others. */
export type RecordValue =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly RecordValue[]
  | ArrayLike<number | bigint>
  | { readonly [name: string]: RecordValue };

export interface RecordColumn {
  readonly name: string;
  /** What its values are, where they are no fields of a table: lists, objects, bytes. */
  readonly nested: string | undefined;
  /** Of lists, and of single values: what their type says of the numbers. */
  readonly numbers?: NumberKind;
  /** Names of the classes whose numbers it holds, where the file says them. */
  readonly classes?: readonly string[];
}

export interface RecordRow {
  /** Of JSON Lines the line, of Parquet the row, counted from 1. */
  readonly line: number;
  /** In the order of the names asked for. */
  readonly values: readonly RecordValue[];
}

export interface RecordFile {
  readonly path: string;
  readonly columns: readonly RecordColumn[];
  /** Rows left out so far, by `onDamaged: skip`. */
  readonly skipped: readonly string[];
  /** Lines without anything, so far. */
  readonly blank: readonly number[];
  /** All rows, from the first on; a file that is read again is opened again. @param names of the columns wanted */
  rows(names: readonly string[]): AsyncIterable<RecordRow>;
}

export type OnDamaged = 'fail' | 'skip';

const kinds: Readonly<Record<string, 'parquet' | 'json lines'>> = {
  '.parquet': 'parquet',
  '.jsonl': 'json lines',
  '.ndjson': 'json lines',
};

/** Which of them a file is, by its name. */
export const recordKind = (path: string): 'parquet' | 'json lines' | undefined => kinds[extensionOf(path)];

/** What a value is called in messages, where it is no field of a table. */
export function nestedKind(value: RecordValue): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (value instanceof Uint8Array) return 'bytes';
  return Array.isArray(value) || ArrayBuffer.isView(value) ? 'lists' : 'objects';
}
