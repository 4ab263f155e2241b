/**
 * Folders in the place for temporary files: what TMPDIR says, or the system's. Each names its owner, so that what a killed process left can
 * be told from what a living one uses.
 */
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { KasaneError } from '@kasane/protocol/errors';
import { systemFailure } from '../process/system-errors.ts';

/** What all names begin with. */
const PREFIX = 'kasane-';
const OWNER = 'owner.json';

/** Where temporary files go, as an absolute path: others, with another working directory, are told of it. */
export const temporaryPlace = (): string => resolve(tmpdir());

/** Makes a folder of this process there. @throws KasaneError CANNOT_WRITE naming the place and what is wrong with it */
export function makeTemporaryFolder(kind = ''): string {
  const place = temporaryPlace();
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(place, PREFIX + kind));
    writeFileSync(join(folder, OWNER), JSON.stringify(ownerOf(process.pid)));
    return folder;
  } catch (cause) {
    // A full disk has room for a folder, and none for what is in it.
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    const why = systemFailure(cause)?.words ?? 'it cannot be written to';
    throw new KasaneError(
      'CANNOT_WRITE',
      `no temporary folder can be created in ${place}: ${why}; set TMPDIR to a writable folder`,
      { cause },
    );
  }
}

/** Of files in such a folder, whose place nobody has named. @param what a path and why it cannot be written */
export const noTemporaryFiles = (what: string): KasaneError =>
  new KasaneError(
    'CANNOT_WRITE',
    `temporary files cannot be written: ${what}; set TMPDIR to a folder on another disk`,
  );

/** From now on it is its user's: nobody sweeps it. */
export const disownFolder = (folder: string): void => rmSync(join(folder, OWNER), { force: true });

/** A process of one machine, so that no other, with the same number, is taken for it. */
interface Owner {
  readonly pid: number;
  /** When it began, in the kernel's ticks; empty where the system does not say. */
  readonly began: string;
  /** Where its number counts: host, and on Linux the namespace of processes. */
  readonly where: string;
}

const ownerOf = (pid: number): Owner => ({
  pid,
  began: beganAt(pid),
  where: `${hostname()} ${pidNamespace()}`,
});

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function beganAt(pid: number): string {
  try {
    // The name, in parentheses, may have blanks; the 22nd field is the time (proc_pid_stat(5)).
    return (
      readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ')[19] ?? ''
    );
  } catch {
    return '';
  }
}

/** Whether the process that made a folder is certainly gone: not merely unknown here. */
function isGone({ pid, began, where }: Owner): boolean {
  if (where !== ownerOf(process.pid).where) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  const now = beganAt(pid);
  return began !== '' && now !== '' && began !== now;
}

/**
 * Removes the folders that killed processes of this user left.
 * @param before called with each first, to end what still runs in it
 * @returns their paths
 */
export async function sweepTemporaryFolders(before: (folder: string) => Promise<void>): Promise<string[]> {
  const place = temporaryPlace();
  const swept: string[] = [];
  for (const name of namesIn(place).filter((one) => one.startsWith(PREFIX))) {
    const folder = join(place, name);
    const owner = readOwner(folder);
    if (!owner || !isGone(owner)) continue;
    await before(folder);
    rmSync(folder, { recursive: true, force: true });
    swept.push(folder);
  }
  return swept;
}

function namesIn(place: string): string[] {
  try {
    return readdirSync(place);
  } catch {
    return [];
  }
}

/** Undefined for what is not such a folder of this user. */
function readOwner(folder: string): Owner | undefined {
  try {
    const found = lstatSync(folder);
    if (!found.isDirectory() || (process.getuid && found.uid !== process.getuid())) return undefined;
    const { pid, began, where } = JSON.parse(readFileSync(join(folder, OWNER), 'utf8')) as Partial<Owner>;
    if (!Number.isSafeInteger(pid) || pid! <= 0 || typeof began !== 'string' || typeof where !== 'string')
      return undefined;
    return { pid: pid!, began, where };
  } catch {
    return undefined;
  }
}
