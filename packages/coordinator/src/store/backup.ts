/**
 * A copy of a state directory that is in use. The copy is a state directory itself, as a coordinator that was killed leaves one: the
 * database as of one moment, and the files that it speaks of.
 */
import { existsSync, linkSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { KasaneError } from '@kasane/protocol/errors';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { JOBS } from './deleted-files.ts';
import { MODELS } from './model-store.ts';
import { checkState } from './state-check.ts';
import { DATABASE, makePrivate } from './state-database.ts';
import { stateError } from './state-errors.ts';
import { JobStore } from './store.ts';

export interface BackedUp {
  readonly jobs: number;
  /** Checkpoints and weights. */
  readonly files: number;
  /** Of all that was copied. */
  readonly bytes: number;
  /** Files that the database speaks of and that are not there; a job goes on from the checkpoint before. */
  readonly missing: readonly string[];
}

/** A checkpoint may be removed for newer ones before it is held: then the database of a later moment does. */
const ATTEMPTS = 5;

/**
 * Copies the state directory of a coordinator, which may be running, to `target`, a folder that is not there yet.
 * @throws KasaneError USAGE when there is no state, or something is in the place of the target; FILE_DAMAGED, STATE_UNUSABLE
 */
export async function backUp(stateDirectory: string, target: string): Promise<BackedUp> {
  const from = resolve(stateDirectory);
  if (!existsSync(join(from, DATABASE)))
    throw new KasaneError(
      'USAGE',
      `${from} is not the state directory of a coordinator: it has no ${DATABASE}; set it with --state`,
    );
  if (existsSync(target) && (await readdir(target).catch(() => ['a file'])).length > 0)
    throw new KasaneError('USAGE', `${target} already exists; choose another folder`);
  checkState(from);
  const partial = `${resolve(target)}.partial-${process.pid}`;
  makeFolders(dirname(partial));
  await mkdir(partial, { mode: 0o700 });
  try {
    const done = await copy(from, partial);
    await rename(partial, target);
    return done;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function copy(from: string, to: string): Promise<BackedUp> {
  const database = join(to, DATABASE);
  for (let attempt = 1; ; attempt++) {
    await rm(database, { force: true });
    const held = holdFiles(from);
    try {
      snapshot(join(from, DATABASE), database);
      const { jobs, files } = await contents(from, to);
      const missing: string[] = [];
      let bytes = (await stat(database)).size;
      for (const file of files) {
        const copyFrom = (folder: string) => copyWhole(join(folder, file), join(to, file));
        const size = (held === undefined ? undefined : await copyFrom(held)) ?? (await copyFrom(from));
        if (size === undefined) missing.push(file);
        bytes += size ?? 0;
      }
      if (missing.length === 0 || attempt === ATTEMPTS)
        return { jobs, files: files.length - missing.length, bytes, missing };
    } finally {
      if (held) rmSync(held, { recursive: true, force: true });
    }
  }
}

/**
 * Gives all files of jobs and of registered models a second name in a folder of ours, in a moment: what loses its first name before it is
 * copied stays there. A file is never written to once it has its name. Undefined where that cannot be done: then files are copied as they
 * are found.
 */
function holdFiles(from: string): string | undefined {
  let held: string | undefined;
  try {
    held = mkdtempSync(join(from, '.backup-'));
    const folders = readdirSync(join(from, JOBS)).map((job) => join(JOBS, job));
    if (existsSync(join(from, MODELS))) folders.push(MODELS);
    for (const folder of folders) {
      makeFolders(join(held, folder));
      for (const file of readdirSync(join(from, folder))) {
        try {
          linkSync(join(from, folder, file), join(held, folder, file));
        } catch (error) {
          // It has just gone.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        }
      }
    }
    return held;
  } catch {
    // A file system without links, a folder that is not ours, or no job yet.
    if (held) rmSync(held, { recursive: true, force: true });
    return undefined;
  }
}

/** The database as of now, whoever writes to it; a file of its own, without a log beside it. */
function snapshot(from: string, to: string): void {
  const source = new DatabaseSync(from, { timeout: 5000 });
  try {
    // It may be empty.
    makePrivate(to);
    source.prepare('VACUUM INTO ?').run(to);
  } catch (error) {
    throw stateError(error, from);
  } finally {
    source.close();
  }
}

/** What a copied database speaks of: files by their paths within a state directory. */
async function contents(from: string, to: string): Promise<{ jobs: number; files: string[] }> {
  const store = new JobStore(to, { origin: from });
  try {
    return { jobs: store.count, files: store.files() };
  } finally {
    await store.close();
  }
}

/** Copies a file to stay. Returns its size; undefined when it is not there. */
async function copyWhole(from: string, to: string): Promise<number | undefined> {
  makeFolders(dirname(to), 0o700);
  try {
    await copyFile(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const file = await open(to, 'r');
  try {
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}
