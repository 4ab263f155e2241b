/** The SQLite file of a state directory: jobs and tokens have their tables in it, each a connection of its own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { damaged, stateError, unusable, whyOf } from './state-errors.ts';
import type { Statement } from './state-writer.ts';

/** Its name in a state directory. */
export const DATABASE = 'kasane.sqlite';

/**
 * @param directory of a coordinator's state; made when missing
 * @param prepare makes the tables that its user needs, and checks them
 * @throws KasaneError STATE_UNUSABLE, STATE_IN_USE or FILE_DAMAGED
 */
export function openStateDatabase(
  directory: string,
  prepare: (database: DatabaseSync) => void,
): DatabaseSync {
  makeStateDirectory(directory);
  const path = join(directory, DATABASE);
  let database: DatabaseSync | undefined;
  try {
    makePrivate(path);
    database = new DatabaseSync(path);
    database.exec('PRAGMA busy_timeout = 1000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    // SQLite opens a file that it may not write to all the same: better heard now.
    database.exec('BEGIN IMMEDIATE; ROLLBACK');
    prepare(database);
    return database;
  } catch (error) {
    database?.close();
    throw stateError(error, path);
  }
}

/**
 * Makes a file that only its owner may read, unless it is there: SQLite gives its modes to the files beside it. The directory may be one
 * that somebody made for us, open to all. To be called before the file is locked: closing it would end the lock.
 */
export function makePrivate(path: string): void {
  try {
    writeFileSync(path, '', { flag: 'wx', mode: 0o600 });
  } catch {
    // It is there, or cannot be made: SQLite, which opens it next, says why.
  }
}

/** Executes statements, all or nothing. */
export function writeAll(database: DatabaseSync, statements: readonly Statement[]): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    for (const { sql, values } of statements) database.prepare(sql).run(...values);
    database.exec('COMMIT');
  } catch (error) {
    // A full disk has rolled it back already.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/**
 * Whether every table is there with all its columns.
 * @param make makes them in an empty database
 * @throws KasaneError FILE_DAMAGED
 */
export function requireTables(
  database: DatabaseSync,
  make: (right: DatabaseSync) => void,
  directory: string,
): void {
  const right = new DatabaseSync(':memory:');
  try {
    make(right);
    const columnsOf = (of: DatabaseSync, table: string) =>
      of
        .prepare('SELECT name FROM pragma_table_info(?)')
        .all(table)
        .map(({ name }) => String(name));
    for (const { name } of right.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()) {
      const has = new Set(columnsOf(database, String(name)));
      const lacking = columnsOf(right, String(name)).find((column) => !has.has(column));
      if (lacking !== undefined)
        throw damaged(join(directory, DATABASE), `its table ${name} has no column ${lacking}`);
    }
  } finally {
    right.close();
  }
}

/** @throws KasaneError STATE_UNUSABLE */
export function makeStateDirectory(directory: string): void {
  try {
    makeFolders(directory, 0o700);
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === 'ENOTDIR') throw unusable(path ?? directory, 'it is a file, not a folder');
    throw unusable(directory, whyOf(error));
  }
}
