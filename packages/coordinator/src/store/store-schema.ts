/** The tables of the job store, and what earlier versions had otherwise. */
import type { DatabaseSync } from 'node:sqlite';

export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, state INTEGER NOT NULL, error TEXT NOT NULL DEFAULT '',
    submittedAt REAL NOT NULL, startedAt REAL NOT NULL DEFAULT 0, endedAt REAL NOT NULL DEFAULT 0,
    digest TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '', workers INTEGER NOT NULL DEFAULT 0,
    step INTEGER NOT NULL DEFAULT 0, priority INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL DEFAULT 0,
    init TEXT NOT NULL DEFAULT '', ended INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE IF NOT EXISTS epochs (
    job TEXT NOT NULL, epoch INTEGER NOT NULL, trainLoss REAL NOT NULL, trainAccuracy REAL NOT NULL,
    testLoss REAL NOT NULL, testAccuracy REAL NOT NULL, seconds REAL NOT NULL, endedAt REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (job, epoch)) STRICT;
  CREATE TABLE IF NOT EXISTS checkpoints (
    job TEXT NOT NULL, step INTEGER NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (job, step)) STRICT;
  CREATE TABLE IF NOT EXISTS ledger (
    job TEXT NOT NULL, step INTEGER NOT NULL, shard INTEGER NOT NULL, epoch INTEGER NOT NULL, first INTEGER NOT NULL,
    count INTEGER NOT NULL, worker TEXT NOT NULL, attempt INTEGER NOT NULL, samplesDigest INTEGER NOT NULL,
    PRIMARY KEY (job, step, shard)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS metrics (job TEXT PRIMARY KEY, points TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, job TEXT NOT NULL, time REAL NOT NULL, code TEXT NOT NULL, args TEXT NOT NULL,
    reason TEXT NOT NULL, text TEXT NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS eventsByJob ON events (job, number);
`;

/** Columns that state directories of earlier versions do not have, by table. */
const LATER_COLUMNS = {
  jobs: {
    priority: 'INTEGER NOT NULL DEFAULT 0',
    steps: 'INTEGER NOT NULL DEFAULT 0',
    init: "TEXT NOT NULL DEFAULT ''",
    /** How many had ended when it did, and this one: a clock may be set back. */
    ended: 'INTEGER NOT NULL DEFAULT 0',
  },
  epochs: { endedAt: 'REAL NOT NULL DEFAULT 0' },
};

/** Adds the columns that an earlier version did not make. */
export function addLaterColumns(database: DatabaseSync): void {
  for (const [table, columns] of Object.entries(LATER_COLUMNS)) {
    const there = new Set(
      database
        .prepare('SELECT name FROM pragma_table_info(?)')
        .all(table)
        .map(({ name }) => String(name)),
    );
    for (const [column, type] of Object.entries(columns))
      if (!there.has(column)) database.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
  }
}
