/**
 * One coordinator per state directory. The claim is an exclusive lock of SQLite on a file of its own: the operating system
 * releases it when the process ends, however that happens, so no stale lock stays behind, in containers neither.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { KasaneError } from '@kasane/protocol/errors';
import { makePrivate } from './state-database.ts';
import { SQLITE, sqliteCode, stateError } from './state-errors.ts';
import { LOCK_FILE } from './state-place.ts';

/** Who holds the lock, for people. */
const OWNER = 'owner.json';

export interface Owner {
  readonly pid: number;
  readonly host: string;
  /** ISO 8601 */
  readonly since: string;
}

/** The coordinator that wrote last that a state directory is its own; whether it still runs only a claim can tell. */
function lastOwner(directory: string): Owner | undefined {
  try {
    const { pid, host, since } = JSON.parse(readFileSync(join(directory, OWNER), 'utf8')) as Owner;
    return { pid: Number(pid), host: String(host), since: String(since) };
  } catch {
    return undefined;
  }
}

/** Somebody who looks holds the lock for a moment: so long a claim waits, in milliseconds. */
const LOOK_MS = 500;

/** Nobody may open the file by other means in this process: closing any handle of a file ends POSIX locks on it. */
function lock(directory: string, timeout: number): DatabaseSync {
  makePrivate(join(directory, LOCK_FILE));
  const held = new DatabaseSync(join(directory, LOCK_FILE), { timeout });
  try {
    held.exec('BEGIN EXCLUSIVE');
    return held;
  } catch (error) {
    held.close();
    throw error;
  }
}

const isTaken = (error: unknown) => sqliteCode(error) === SQLITE.BUSY;

/** The coordinator that owns a state directory now. Undefined: none does. */
export function ownerOf(directory: string): Owner | 'unknown' | undefined {
  if (!existsSync(join(directory, LOCK_FILE))) return undefined;
  try {
    lock(directory, 0).close();
    return undefined;
  } catch (error) {
    return isTaken(error) ? (lastOwner(directory) ?? 'unknown') : undefined;
  }
}

/**
 * Makes this process the owner of a state directory.
 * @returns what gives it up
 * @throws KasaneError STATE_IN_USE when another coordinator owns it, STATE_UNUSABLE when nothing can be written there
 */
export function claimState(directory: string): () => void {
  let held: DatabaseSync;
  try {
    held = lock(directory, LOOK_MS);
  } catch (error) {
    if (!isTaken(error)) throw stateError(error, join(directory, LOCK_FILE));
    const owner = lastOwner(directory);
    const who = owner
      ? `process ${owner.pid} on ${owner.host}, since ${owner.since}`
      : 'its process is unknown';
    throw new KasaneError(
      'STATE_IN_USE',
      `another coordinator uses the state directory ${directory} (${who}); stop it, or choose another directory with --state`,
    );
  }
  const owner: Owner = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  try {
    writeFileSync(join(directory, OWNER), `${JSON.stringify(owner)}\n`, { mode: 0o600 });
  } catch {
    // A full disk: the lock holds all the same.
  }
  let isHeld = true;
  return () => {
    if (!isHeld) return;
    isHeld = false;
    // Where the directory has been replaced, another coordinator may own what is there now.
    try {
      if (lastOwner(directory)?.since === owner.since) rmSync(join(directory, OWNER), { force: true });
    } catch {
      // A disk that has become read-only: without the lock it says nothing.
    }
    held.close();
  };
}
