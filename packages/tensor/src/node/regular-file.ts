/**
 * The one door to files that users name. Only regular files are opened: a folder, pipe, socket or device may never end, may block the
 * process, or may do something when it is opened. Whatever goes wrong is one line that names the path and what to do.
 */
import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { meaningOf, type SystemCode, systemCodeOf } from './system-errors.ts';

/** Why a file or folder cannot be read, as a sentence that begins with its path. */
export class FileError extends Error {
  override readonly name: string = 'FileError';
}

/** Should the file be replaced by a pipe between the look at it and this, opening it must not wait for a writer. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);
/** Bytes that `pieces` asks for at once. */
const PIECE_BYTES = 1 << 18;
/** Bytes to ask the system for at once: Node ends the process over 2 GiB. */
const CALL_BYTES = 1 << 30;

/** A file that is open, as large as it was when it was opened. */
export class RegularFile {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;

  constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  /** Fills `into` from `position` on. @throws FileError, also when the file has become shorter */
  async readInto(into: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await this.#handle
        .read(into, done, Math.min(CALL_BYTES, into.length - done), position + done)
        .catch((error: unknown) => {
          throw failure(this.path, error);
        });
      if (bytesRead === 0) throw shorter(this.path, position + done, this.size);
      done += bytesRead;
    }
  }

  /** Up to `length` bytes from `position` on, fewer at the file's end. */
  async read(position: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.size - position)));
    await this.readInto(bytes, position);
    return bytes;
  }

  /** The whole content, piece by piece. */
  async *pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.size; at += PIECE_BYTES) yield await this.read(at, PIECE_BYTES);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** @throws FileError unless it is a regular file that may be read */
export async function openRegular(path: string): Promise<RegularFile> {
  let handle: FileHandle | undefined;
  try {
    requireRegular(path, await stat(path));
    handle = await open(path, FLAGS);
    const found = await handle.stat();
    requireRegular(path, found);
    return new RegularFile(path, found.size, handle);
  } catch (error) {
    await handle?.close();
    throw failure(path, error);
  }
}

/** The content of a file. @param most bytes. @throws FileError */
export async function readRegular(path: string, most: number): Promise<Buffer> {
  const file = await openRegular(path);
  try {
    requireSize(path, file.size, most);
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

/** As `readRegular`, for small files and for threads that serve nobody. */
export function readRegularSync(path: string, most: number): Buffer {
  let file: number | undefined;
  try {
    requireRegular(path, statSync(path));
    file = openSync(path, FLAGS);
    const found = fstatSync(file);
    requireRegular(path, found);
    requireSize(path, found.size, most);
    const bytes = Buffer.allocUnsafe(found.size);
    for (let done = 0; done < bytes.length; ) {
      const read = readSync(file, bytes, done, Math.min(CALL_BYTES, bytes.length - done), done);
      if (read === 0) throw shorter(path, done, bytes.length);
      done += read;
    }
    return bytes;
  } catch (error) {
    throw failure(path, error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** What a path leads to. other: a pipe, a device, a socket, or a link that leads nowhere. */
export type PathKind = 'file' | 'folder' | 'nothing' | 'other';

/** Looks, and opens nothing. Text that can be no path leads to nothing. */
export function kindOfPath(path: string): PathKind {
  try {
    const found = statSync(path);
    return found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other';
  } catch {
    return isLink(path) ? 'other' : 'nothing';
  }
}

/** What is in a folder, by name in code units: the same order on every machine. @throws FileError */
export function listFolder(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : a.name > b.name ? 1 : 0,
    );
  } catch (error) {
    throw failure(path, error);
  }
}

/** Size and time of last change of a regular file. @throws FileError */
export function statRegular(path: string): Stats {
  try {
    const found = statSync(path);
    requireRegular(path, found);
    return found;
  } catch (error) {
    throw failure(path, error);
  }
}

function requireRegular(path: string, found: Stats): void {
  if (found.isFile()) return;
  throw new FileError(
    `${path}: it is ${kindOf(found)}; only regular files are supported. Give a file instead`,
  );
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder';
  if (found.isFIFO()) return 'a named pipe';
  if (found.isSocket()) return 'a socket';
  return 'a device';
}

function requireSize(path: string, size: number, most: number): void {
  if (size > most) throw new FileError(`${path}: ${size} bytes; at most ${most} are supported`);
}

const shorter = (path: string, found: number, size: number) =>
  new FileError(
    `${path}: it ended after ${found} of ${size} bytes while it was being read. Wait until it has been written, then try again`,
  );

/** What to do about a file that is read, where the table of codes does not know of files. */
const todos: Partial<Record<SystemCode, string>> = {
  EACCES: 'give the current user permission to read it and to open the folders above it',
  EPERM: 'give the current user permission to read it and to open the folders above it',
  ELOOP: 'fix the link, or give the file itself',
  ENAMETOOLONG: 'check the path',
  EIO: 'check the disk, or copy the file elsewhere',
};

/** One line for whatever opening or reading threw. */
function failure(path: string, error: unknown): FileError {
  if (error instanceof FileError) return error;
  const code = systemCodeOf(error);
  if (code === 'ENOENT' && isLink(path)) {
    const why =
      'it is a symbolic link to something that does not exist. Fix the link, or give the file itself';
    return new FileError(`${path}: ${why}`, { cause: error });
  }
  if (code !== undefined) {
    const { words, todo } = meaningOf(code);
    const cure = todos[code] ?? todo;
    return new FileError(`${path}: ${words}. ${cure[0]!.toUpperCase()}${cure.slice(1)}`, { cause: error });
  }
  return new FileError(
    `${path}: the system could not read it. Check that it is a regular file on a working disk`,
    { cause: error },
  );
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}
