/** Databases of earlier versions become what this one makes. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from '../../../test/support/cluster.ts';
import { SCHEMA_VERSION } from '../src/store/migrations.ts';
import { DATABASE } from '../src/store/state-database.ts';
import { JobStore } from '../src/store/store.ts';
import { TokenStore } from '../src/store/tokens.ts';

const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

/** Tables with their columns, and the number of the last step; @param sql what an earlier version has made */
async function migrated(sql: string) {
  const directory = temporaryDirectory(cleanUp);
  const earlier = new DatabaseSync(join(directory, DATABASE));
  earlier.exec(sql);
  earlier.close();
  await new JobStore(directory).close();
  return shapeOf(directory);
}

function shapeOf(directory: string) {
  const database = new DatabaseSync(join(directory, DATABASE));
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
  const columns = database.prepare('SELECT * FROM pragma_table_info(?)');
  const shape = {
    version: database.prepare('PRAGMA user_version').get()!.user_version,
    tables: Object.fromEntries(
      tables.map(({ name }) => [name, columns.all(name!).map((row) => ({ ...row }))]),
    ),
  };
  database.close();
  return shape;
}

const jobs = `CREATE TABLE jobs (id TEXT PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, state INTEGER NOT NULL,
  error TEXT NOT NULL DEFAULT '', submittedAt REAL NOT NULL, startedAt REAL NOT NULL DEFAULT 0,
  endedAt REAL NOT NULL DEFAULT 0, digest TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '',
  workers INTEGER NOT NULL DEFAULT 0, step INTEGER NOT NULL DEFAULT 0) STRICT;
  INSERT INTO jobs (id, name, spec, state, submittedAt) VALUES ('job-1', 'job', '{}', 1, 5);`;
const epochs = `CREATE TABLE epochs (job TEXT NOT NULL, epoch INTEGER NOT NULL, trainLoss REAL NOT NULL,
  trainAccuracy REAL NOT NULL, testLoss REAL NOT NULL, testAccuracy REAL NOT NULL, seconds REAL NOT NULL,
  PRIMARY KEY (job, epoch)) STRICT;`;

it.each([
  ['an empty one', ''],
  ['one from before versions were counted', `${jobs}${epochs}`],
  ['one of 0.1', `${jobs}${epochs} PRAGMA user_version = 1`],
  ['one of 2 without the columns of 2', `${jobs}${epochs} PRAGMA user_version = 2`],
])('%s', async (_, sql) => {
  const fresh = await migrated('');
  expect(fresh.version).toBe(SCHEMA_VERSION);
  expect(await migrated(sql)).toEqual(fresh);
});

it('tokens are made in a database of an earlier version, which stays one', () => {
  const directory = temporaryDirectory(cleanUp);
  const earlier = new DatabaseSync(join(directory, DATABASE));
  earlier.exec(`${jobs}${epochs} PRAGMA user_version = 1`);
  earlier.close();
  const before = shapeOf(directory);
  const tokens = new TokenStore(directory);
  tokens.create({ name: 'ci', scopes: ['read'] });
  tokens.close();
  const { tokens: made, ...others } = shapeOf(directory).tables;
  expect(made).toHaveLength(7);
  expect({ version: shapeOf(directory).version, tables: others }).toEqual(before);
});

it('a database that only has tokens gets the tables of jobs', async () => {
  const directory = temporaryDirectory(cleanUp);
  new TokenStore(directory).close();
  const store = new JobStore(directory);
  expect(store.count).toBe(0);
  await store.close();
});
