/**
 * A state directory in every state that is not right: a coordinator refuses it in one line that says what to do, changes nothing, and
 * `kasane doctor` and `kasane backup` say the same.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { checkStateDirectory } from '@kasane/cli/internal/commands/doctor/checks';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { type Coordinator, startCoordinator } from '@kasane/coordinator/coordinator';
import { backUp } from '@kasane/coordinator/internal/store/backup';
import { DATABASE } from '@kasane/coordinator/internal/store/state-database';
import { JobStore } from '@kasane/coordinator/internal/store/store';
import { type ErrorCode, errorCodes, KasaneError } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { runCommand, startCommand } from './support/commands.ts';

const cleanUp = new CleanUp();
let redisUrl = '';
beforeAll(async () => {
  const redis = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => redis.close());
  redisUrl = redis.url;
});
afterAll(() => cleanUp.run());

const start = (stateDirectory: string): Promise<Coordinator> =>
  startCoordinator({
    ...{ host: '127.0.0.1', port: 0, redisUrl, stateDirectory },
    log: pino({ level: 'silent' }),
  });

/** A state directory with a job that has ended, its checkpoint, and a log with several transactions beside the database. */
function wholeState(): string {
  const made = temporaryDirectory(cleanUp);
  const store = new JobStore(made);
  store.add('job-1', 'job', '{}', 1);
  store.end('job-1', { state: JobState.JOB_STATE_FAILED, error: 'no', endedAt: 9, step: 4 });
  for (let step = 1; step < 40; step++) store.setSteps('job-1', step);
  mkdirSync(join(made, 'jobs', 'job-1'), { recursive: true });
  writeFileSync(join(made, 'jobs', 'job-1', 'checkpoint-000000001.safetensors'), 'x');
  // As a coordinator that was killed leaves it: while the store is open its log is not yet in the database.
  const copy = join(temporaryDirectory(cleanUp), 'state');
  cpSync(made, copy, { recursive: true });
  store.close();
  rmSync(join(copy, `${DATABASE}-shm`));
  return copy;
}

/** The database alone, as one that was closed leaves it. */
function closed(state: string): string {
  new JobStore(state).close();
  return join(state, DATABASE);
}

function overwrite(path: string, at: number, bytes: number): void {
  const content = readFileSync(path);
  content.fill(0xa7, at, at + bytes);
  writeFileSync(path, content);
}

const change = (path: string, sql: string) => {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
};

interface State {
  readonly code: ErrorCode;
  readonly says: RegExp;
  /** Returns the state directory to use, where that is another. */
  readonly make: (state: string) => unknown;
}

const damagedSays = /it is damaged|not an SQLite database/;
const states: Readonly<Record<string, State>> = {
  'a database of garbage': {
    code: 'FILE_DAMAGED',
    says: /not an SQLite database; restore .* from a backup/,
    make: (state) => writeFileSync(closed(state), Buffer.alloc(8192, 0x5a)),
  },
  'a database with a damaged header': {
    code: 'FILE_DAMAGED',
    says: damagedSays,
    make: (state) => overwrite(closed(state), 0, 100),
  },
  'a database with a damaged page': {
    code: 'FILE_DAMAGED',
    says: damagedSays,
    make: (state) => overwrite(closed(state), 4096, 4000),
  },
  'a database that was cut short': {
    code: 'FILE_DAMAGED',
    says: damagedSays,
    make: (state) => truncateSync(closed(state), 3 * 4096),
  },
  'an empty database beside checkpoints': {
    code: 'FILE_DAMAGED',
    says: /is empty, but jobs\/ has files of 1 job \(job-1\); restore/,
    make: (state) => truncateSync(closed(state), 0),
  },
  'no database beside checkpoints': {
    code: 'FILE_DAMAGED',
    says: /is missing, but jobs\/ has files of 1 job/,
    make: (state) => rmSync(closed(state)),
  },
  'a database without rows beside checkpoints': {
    code: 'FILE_DAMAGED',
    says: /has no jobs, but jobs\/ has files of 1 job/,
    make: (state) => change(closed(state), 'DELETE FROM jobs'),
  },
  'no database beside its log': {
    code: 'FILE_DAMAGED',
    says: /is missing, but kasane\.sqlite-wal exists/,
    make: (state) => rmSync(join(state, DATABASE)),
  },
  'a log of garbage': {
    code: 'FILE_DAMAGED',
    says: /kasane\.sqlite-wal: it is not an SQLite write-ahead log/,
    make: (state) => writeFileSync(join(state, `${DATABASE}-wal`), Buffer.alloc(5000, 0x41)),
  },
  'a log with a damaged header': {
    code: 'FILE_DAMAGED',
    says: /kasane\.sqlite-wal: its header is damaged/,
    make: (state) => overwrite(join(state, `${DATABASE}-wal`), 12, 4),
  },
  'a log with a damaged frame before others': {
    code: 'FILE_DAMAGED',
    says: /kasane\.sqlite-wal: committed transactions in it are damaged/,
    make: (state) => overwrite(join(state, `${DATABASE}-wal`), 32 + 24 + 50, 40),
  },
  'a rollback journal of something else': {
    code: 'FILE_DAMAGED',
    says: /kasane\.sqlite-journal: it does not belong/,
    make: (state) => {
      closed(state);
      writeFileSync(join(state, `${DATABASE}-journal`), Buffer.alloc(5000, 0x41));
    },
  },
  'a database of a later Kasane': {
    code: 'STATE_UNUSABLE',
    says: /it was written by a later version of Kasane \(schema version 99; this Kasane supports up to \d+\): install that version/,
    make: (state) => change(closed(state), 'PRAGMA user_version = 99'),
  },
  'a database of another program': {
    code: 'FILE_DAMAGED',
    says: /it is the database of another program/,
    make: (state) => {
      const path = closed(state);
      rmSync(path);
      change(path, 'CREATE TABLE books (title TEXT)');
    },
  },
  'a table without its columns': {
    code: 'FILE_DAMAGED',
    says: /its table epochs has no column trainLoss/,
    make: (state) =>
      change(closed(state), 'DROP TABLE epochs; CREATE TABLE epochs (job TEXT, epoch INTEGER)'),
  },
  'a folder in the place of the database': {
    code: 'STATE_UNUSABLE',
    says: /kasane\.sqlite: it is not a file/,
    make: (state) => {
      rmSync(closed(state));
      mkdirSync(join(state, DATABASE));
    },
  },
  'a file in its place': {
    code: 'STATE_UNUSABLE',
    says: /it is a file, not a folder; .*--state/,
    make: (state) => join(closed(state)),
  },
  'a place below a file': {
    code: 'STATE_UNUSABLE',
    says: /it is a file, not a folder; .*--state/,
    make: (state) => join(closed(state), 'below'),
  },
  'a file system that is read-only': {
    code: 'STATE_UNUSABLE',
    says: /read-only|permission denied/,
    make: readOnly,
  },
  'a folder in a file system that is read-only': {
    code: 'STATE_UNUSABLE',
    says: /read-only|permission denied/,
    make: (state) => {
      const folder = readOnly(state);
      return folder && join(folder, 'new');
    },
  },
};

/** The same state where nothing can be written. */
function readOnly(state: string): string | undefined {
  closed(state);
  if (process.getuid?.() !== 0) {
    chmodSync(state, 0o500);
    cleanUp.add(() => chmodSync(state, 0o700));
    return state;
  }
  try {
    execFileSync('mount', ['--bind', state, state], { stdio: 'ignore' });
    cleanUp.add(() => execFileSync('umount', ['-l', state]));
    execFileSync('mount', ['-o', 'remount,ro,bind', state], { stdio: 'ignore' });
    return state;
  } catch {
    return undefined;
  }
}

/** What is in a folder, or a file: names and digests. SQLite's shared memory is none of the content. */
function contentOf(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  if (!statSync(path).isDirectory()) return { '': digest(path) };
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((name) => statSync(join(path, name)).isFile() && !name.endsWith('-shm'));
  return Object.fromEntries(files.map((name) => [name, digest(join(path, name))]));
}

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

describe.each(Object.entries(states))('%s', (_, { code, says, make }) => {
  it('is refused by coordinator, backup and doctor, and left as it was', async (context) => {
    const made = wholeState();
    const other = make(made);
    const state = typeof other === 'string' ? other : made;
    if (other === undefined && make === readOnly)
      return context.skip('a read-only folder takes root and mount');
    const before = contentOf(made);
    const failure = await start(state).then(
      async (running) => {
        await running.close();
        return undefined;
      },
      (error: unknown) => error as Error,
    );
    expect(failure).toBeInstanceOf(KasaneError);
    expect(failure!.message).toMatch(says);
    // A temporary folder may be called EABCDE.
    expect(failure!.message.replaceAll(made, '')).not.toMatch(/\n|\bE[A-Z]{4,}\b|SQLITE_/);
    expect((failure as KasaneError).code).toBe(code);
    // Nothing of the damaged file is written over.
    expect(contentOf(made)).toMatchObject(before);
    const table = failure!.message.includes('has no column');
    if (!table) expect(checkStateDirectory(state)).toMatchObject({ state: 'wrong' });
    await expect(backUp(state, join(temporaryDirectory(cleanUp), 'copy'))).rejects.toBeInstanceOf(
      KasaneError,
    );
    expect(contentOf(made)).toMatchObject(before);
  });
});

describe('what is right', () => {
  it('is opened: a folder that is not there, an empty one, one that was closed, one whose coordinator was killed', async () => {
    const folder = temporaryDirectory(cleanUp);
    const closedState = wholeState();
    closed(closedState);
    for (const state of [join(folder, 'new', 'er'), folder, closedState, wholeState()]) {
      expect(checkStateDirectory(state)).toMatchObject({ state: 'ok' });
      const running = await start(state);
      await running.close();
    }
  });

  it('is opened when the last transaction of the log was cut short', async () => {
    const state = wholeState();
    const log = join(state, `${DATABASE}-wal`);
    truncateSync(log, statSync(log).size - 2000);
    const running = await start(state);
    await running.close();
    const store = new JobStore(state);
    expect(store.get('job-1')).toMatchObject({ error: 'no' });
    store.close();
  });

  it('has one owner, who goes with its process however that ends', async () => {
    const state = join(temporaryDirectory(cleanUp), 'state');
    const args = ['coordinator', '--port', '0', '--state', state, '--redis', redisUrl, '--no-dashboard'];
    const [first] = await startCommand(cleanUp, args, /Coordinator at/);
    const failure = await runCommand(args).catch((error: { code: number; stderr: string }) => error);
    expect(failure).toMatchObject({ code: errorCodes.STATE_IN_USE.exit });
    expect(failure.stderr).toMatch(
      new RegExp(`^kasane: another coordinator uses .*process ${first.pid} on .*, since 20`),
    );
    await expect(start(state)).rejects.toMatchObject({ code: 'STATE_IN_USE' });
    expect(checkStateDirectory(state)).toMatchObject({
      state: 'ok',
      found: expect.stringContaining(`process ${first.pid}`),
    });
    first.kill('SIGKILL');
    await new Promise((resolve) => first.once('exit', resolve));
    const running = await start(state);
    await expect(start(state)).rejects.toMatchObject({ code: 'STATE_IN_USE' });
    await running.close();
    await (await start(state)).close();
  });
});

it('ends at once, with one line and the right exit code', async () => {
  const state = wholeState();
  writeFileSync(closed(state), Buffer.alloc(8192, 0x5a));
  const commands = [
    ['coordinator', '--port', '0', '--state', state, '--redis', redisUrl],
    ['backup', join(state, '..', 'copy'), '--state', state],
    ['token', 'list', '--state', state],
  ];
  for (const args of commands) {
    const failure = await runCommand(args).catch((error: { code: number; stderr: string }) => error);
    expect(failure).toMatchObject({ code: errorCodes.FILE_DAMAGED.exit });
    expect(failure.stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^kasane: .*kasane\.sqlite: it is not an SQLite database; restore/),
    ]);
  }
});
