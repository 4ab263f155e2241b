/** The SQLite file of a state directory: jobs and tokens have their tables in it, each a connection of its own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Its name in a state directory. */
export const DATABASE = 'kasane.sqlite';

/**
 * @param directory of a coordinator's state; made when missing
 * @param schema tables that are made where they are missing
 */
export function openStateDatabase(directory: string, schema: string): DatabaseSync {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(directory, DATABASE));
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;');
  database.exec(schema);
  return database;
}
