/**
 * The tables of jobs, and the numbered steps that made them what they are. A database says with `user_version` which step it has
 * reached; a new one takes them all. A change of the tables is a step at the end, and no step is ever edited: some database has taken it.
 */
import { resolve, sep } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { requireTables } from './state-database.ts';

type Step = (database: DatabaseSync) => void;

const steps: Readonly<Record<number, Step>> = {
  /** The tables of 0.1. Databases from before it may have some of them, and fewer columns. */
  1: (database) => {
    database.exec(`
      CREATE TABLE IF NOT EXISTS jobs (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, state INTEGER NOT NULL, error TEXT NOT NULL DEFAULT '',
        submittedAt REAL NOT NULL, startedAt REAL NOT NULL DEFAULT 0, endedAt REAL NOT NULL DEFAULT 0,
        digest TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '', workers INTEGER NOT NULL DEFAULT 0,
        step INTEGER NOT NULL DEFAULT 0) STRICT;
      CREATE TABLE IF NOT EXISTS epochs (
        job TEXT NOT NULL, epoch INTEGER NOT NULL, trainLoss REAL NOT NULL, trainAccuracy REAL NOT NULL,
        testLoss REAL NOT NULL, testAccuracy REAL NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (job, epoch)) STRICT;
      CREATE TABLE IF NOT EXISTS checkpoints (
        job TEXT NOT NULL, step INTEGER NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (job, step)) STRICT;
      CREATE TABLE IF NOT EXISTS ledger (
        job TEXT NOT NULL, step INTEGER NOT NULL, shard INTEGER NOT NULL, epoch INTEGER NOT NULL, first INTEGER NOT NULL,
        count INTEGER NOT NULL, worker TEXT NOT NULL, attempt INTEGER NOT NULL, samplesDigest INTEGER NOT NULL,
        PRIMARY KEY (job, step, shard)) STRICT, WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS metrics (job TEXT PRIMARY KEY, points TEXT NOT NULL) STRICT;`);
    addColumn(database, 'jobs', 'priority', 'INTEGER NOT NULL DEFAULT 0');
    addColumn(database, 'jobs', 'steps', 'INTEGER NOT NULL DEFAULT 0');
    addColumn(database, 'jobs', 'init', "TEXT NOT NULL DEFAULT ''");
    // How many had ended when it did, and this one: a clock may be set back.
    addColumn(database, 'jobs', 'ended', 'INTEGER NOT NULL DEFAULT 0');
  },
  /** Epochs have times, and events are recorded. 2 was never released: a database with it may lack any of this. */
  3: (database) => {
    steps[1]!(database);
    addColumn(database, 'epochs', 'endedAt', 'REAL NOT NULL DEFAULT 0');
    database.exec(`
      CREATE TABLE IF NOT EXISTS events (
        number INTEGER PRIMARY KEY, job TEXT NOT NULL, time REAL NOT NULL, code TEXT NOT NULL, args TEXT NOT NULL,
        reason TEXT NOT NULL, text TEXT NOT NULL) STRICT;
      CREATE INDEX IF NOT EXISTS eventsByJob ON events (job, number);`);
  },
  /** Sweeps, their decisions, and the jobs that are their trials. */
  4: (database) => {
    addColumn(database, 'jobs', 'sweep', "TEXT NOT NULL DEFAULT ''");
    addColumn(database, 'jobs', 'trial', 'INTEGER NOT NULL DEFAULT 0');
    database.exec(`
      CREATE TABLE IF NOT EXISTS sweeps (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, priority INTEGER NOT NULL, state INTEGER NOT NULL,
        error TEXT NOT NULL DEFAULT '', submittedAt REAL NOT NULL, endedAt REAL NOT NULL DEFAULT 0,
        isCancelled INTEGER NOT NULL DEFAULT 0) STRICT;
      CREATE TABLE IF NOT EXISTS decisions (
        sweep TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, trial INTEGER NOT NULL, epochs INTEGER NOT NULL,
        assignment TEXT NOT NULL, outcome REAL, error TEXT NOT NULL, PRIMARY KEY (sweep, number)) STRICT, WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS jobsBySweep ON jobs (sweep, trial) WHERE sweep <> '';`);
  },
  /** Further metrics of each epoch's test: an object of numbers, JSON. */
  5: (database) => addColumn(database, 'epochs', 'testMetrics', "TEXT NOT NULL DEFAULT '{}'"),
  /** The confusion matrix of each job's newest test: names of the classes and counts, JSON. */
  6: (database) =>
    database.exec(`
      CREATE TABLE IF NOT EXISTS confusions (
        job TEXT PRIMARY KEY, epoch INTEGER NOT NULL, classes TEXT NOT NULL, counts TEXT NOT NULL) STRICT, WITHOUT ROWID;`),
  /** Registered models with where each came from (a ModelRecord, encoded), their aliases, and what such a record needs of jobs (JSON). */
  7: (database) => {
    addColumn(database, 'jobs', 'source', "TEXT NOT NULL DEFAULT ''");
    addColumn(database, 'sweeps', 'source', "TEXT NOT NULL DEFAULT ''");
    addColumn(database, 'jobs', 'data', "TEXT NOT NULL DEFAULT ''");
    addColumn(database, 'jobs', 'trainedBy', "TEXT NOT NULL DEFAULT ''");
    database.exec(`
      CREATE TABLE IF NOT EXISTS models (
        name TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL, bytes REAL NOT NULL, job TEXT NOT NULL,
        registeredAt REAL NOT NULL, description TEXT NOT NULL, record BLOB NOT NULL, PRIMARY KEY (name, version)) STRICT;
      CREATE INDEX IF NOT EXISTS modelsByDigest ON models (digest);
      CREATE TABLE IF NOT EXISTS aliases (
        name TEXT NOT NULL, alias TEXT NOT NULL, version TEXT NOT NULL, PRIMARY KEY (name, alias)) STRICT, WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS jobsByDigest ON jobs (digest) WHERE digest <> '';`);
  },
  /** What of each job has been sent to MLflow. */
  8: (database) =>
    database.exec(`
      CREATE TABLE IF NOT EXISTS mlflow (
        server TEXT NOT NULL, job TEXT NOT NULL, run TEXT NOT NULL, step INTEGER NOT NULL, epoch INTEGER NOT NULL,
        status TEXT NOT NULL, models TEXT NOT NULL, isOver INTEGER NOT NULL, PRIMARY KEY (server, job)) STRICT, WITHOUT ROWID;`),
  /** Of each outcome the metrics after the first, as a JSON list; empty where a sweep has one metric. */
  9: (database) => addColumn(database, 'decisions', 'further', "TEXT NOT NULL DEFAULT ''"),
  /** The trial, counted from 0, whose weights a trial starts from; null where it starts from none. */
  10: (database) => addColumn(database, 'decisions', 'parent', 'INTEGER'),
};

/** The last step. An earlier Kasane, which does not know it, leaves the database alone. */
export const SCHEMA_VERSION = Math.max(...Object.keys(steps).map(Number));

function addColumn(database: DatabaseSync, table: string, column: string, type: string): void {
  const there = database.prepare('SELECT 1 FROM pragma_table_info(?) WHERE name = ?').get(table, column);
  if (!there) database.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
}

function takeSteps(database: DatabaseSync): void {
  const reached = Number(database.prepare('PRAGMA user_version').get()!.user_version);
  for (const [version, step] of Object.entries(steps)) if (Number(version) > reached) step(database);
  if (reached < SCHEMA_VERSION) database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
}

/**
 * Takes the steps that a database has not taken, all or none.
 * @param directory that it is in
 * @throws KasaneError FILE_DAMAGED when a table or column is missing all the same: then the database stays as it was found
 */
export function migrate(database: DatabaseSync, directory: string): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    takeSteps(database);
    requireTables(database, takeSteps, directory);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** Columns with paths of files: relative to the state directory, which may be copied or moved. */
export const PATHS = [
  ['checkpoints', 'path'],
  ['jobs', 'model'],
] as const;

/** Earlier versions wrote paths whole. @param origin where they began: the state directory, or what it is a copy of */
export function makePathsRelative(database: DatabaseSync, origin: string): void {
  const prefix = `${resolve(origin)}${sep}`;
  for (const [table, column] of PATHS) {
    const isWhole = `substr(${column}, 1, ?) = ?`;
    const whole = database.prepare(`SELECT 1 FROM ${table} WHERE ${isWhole} LIMIT 1`);
    if (!whole.get(prefix.length, prefix)) continue;
    database
      .prepare(`UPDATE ${table} SET ${column} = substr(${column}, ?) WHERE ${isWhole}`)
      .run(prefix.length + 1, prefix.length, prefix);
  }
}
