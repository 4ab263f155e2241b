/**
 * Whether a state directory is one that a coordinator can go on with. Looks and changes nothing: a coordinator asks before it opens
 * the database, and `kasane doctor` asks the same.
 */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { KasaneError } from '@kasane/protocol/errors';
import { JOBS, markedDeleted } from './deleted-files.ts';
import { SCHEMA_VERSION } from './migrations.ts';
import { markedModels } from './model-files.ts';
import { fileOfModel, MODELS } from './model-store.ts';
import { DATABASE } from './state-database.ts';
import { damaged, RESTORE, stateError, unusable, whyOf } from './state-errors.ts';
import { ownerOf } from './state-lock.ts';
import { faultOfLog } from './wal.ts';

/** Bytes 18 and 19 of a database in WAL mode. */
const WAL_MODE = 2;

/** @throws KasaneError STATE_UNUSABLE, FILE_DAMAGED */
export function checkState(directory: string): void {
  if (!checkFolder(directory)) return;
  const path = join(directory, DATABASE);
  const [database, log, journal] = ['', '-wal', '-journal'].map((suffix) => found(path + suffix));
  if (database && !database.isFile()) throw unusable(path, 'it is not a file');
  if (!database || database.size === 0) {
    const what = database ? 'is empty' : 'is missing';
    if (log && log.size > 0) throw lost(directory, what, `${DATABASE}-wal exists`);
    const files = filesThere(directory);
    if (files !== undefined) throw lost(directory, what, files);
    return;
  }
  try {
    // While a coordinator runs, its SQLite vouches for them.
    if (ownerOf(directory) === undefined) {
      if (log) checkLog(`${path}-wal`);
      if (journal && journal.size > 0 && isInWalMode(path))
        throw damaged(`${path}-journal`, 'it does not belong to this database');
    }
    checkDatabase(directory, path);
  } catch (error) {
    throw stateError(error, path);
  }
}

/** Returns whether it is there. Where it is not, it can be made. */
function checkFolder(directory: string): boolean {
  let at = directory;
  try {
    for (let stat = found(at); !stat?.isDirectory(); stat = found(at)) {
      if (stat) throw unusable(at, 'it is a file, not a folder');
      if (dirname(at) === at) break;
      at = dirname(at);
    }
    accessSync(at, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    if (error instanceof KasaneError) throw error;
    throw unusable(at, whyOf(error));
  }
  return at === directory;
}

function found(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function checkLog(path: string): void {
  const fault = faultOfLog(path);
  if (fault) throw damaged(path, fault);
}

/** By the header; SQLite itself would play a journal back. */
function isInWalMode(path: string): boolean {
  const file = openSync(path, 'r');
  try {
    const header = Buffer.alloc(20);
    readSync(file, header, 0, header.length, 0);
    return header[18] === WAL_MODE && header[19] === WAL_MODE;
  } finally {
    closeSync(file);
  }
}

function checkDatabase(directory: string, path: string): void {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
  try {
    const ask = (pragma: string) => Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0];
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const names = new Set(tables.map(({ name }) => name));
    if (names.size > 0 && !names.has('jobs') && !names.has('tokens'))
      throw damaged(path, 'it is the database of another program');
    const version = Number(ask('user_version'));
    if (version > SCHEMA_VERSION) {
      const which = `schema version ${version}; this Kasane supports up to ${SCHEMA_VERSION}`;
      throw unusable(path, `it was written by a later version of Kasane (${which}): install that version`);
    }
    const integrity = String(ask('quick_check(1)'));
    if (integrity !== 'ok') throw damaged(path, `it is damaged (${integrity.split('\n').at(-1)})`);
    if (names.has('jobs') && database.prepare('SELECT 1 FROM jobs LIMIT 1').get()) return;
    if (names.has('models') && database.prepare('SELECT 1 FROM models LIMIT 1').get()) return;
    const files = filesThere(directory);
    if (files !== undefined) throw lost(directory, 'has no jobs', files);
  } finally {
    database.close();
  }
}

const jobsOf = (jobs: readonly string[]) =>
  `${jobs.length} ${jobs.length === 1 ? 'job' : 'jobs'} (${jobs.slice(0, 3).join(', ')})`;

const lost = (directory: string, what: string, but: string) =>
  new KasaneError('FILE_DAMAGED', `${join(directory, DATABASE)} ${what}, but ${but}; ${RESTORE}`);

/** What a database should know of: weights of registered models, or files of jobs, without those whose deletion is not finished. */
function filesThere(directory: string): string | undefined {
  const list = (folder: string) => {
    try {
      return readdirSync(join(directory, folder));
    } catch {
      return [];
    }
  };
  const isWeights = (file: string) => file.endsWith('.safetensors');
  const deleted = new Set(markedDeleted(directory));
  const jobs = list(JOBS).filter((job) => !deleted.has(job) && list(join(JOBS, job)).some(isWeights));
  if (jobs.length > 0) return `${JOBS}/ has files of ${jobsOf(jobs)}`;
  const names = list(MODELS);
  const changing = new Set(markedModels(names).map(fileOfModel));
  const areKept = names.some((file) => isWeights(file) && !changing.has(join(MODELS, file)));
  return areKept ? `${MODELS}/ has weights of registered models` : undefined;
}
