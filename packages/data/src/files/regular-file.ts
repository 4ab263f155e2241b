/** How readers of data open what a job names: regular files only, and whatever goes wrong is a DataError. */
import type { Dirent, Stats } from 'node:fs';
import * as files from '@kasane/tensor/internal/node/regular-file';
import { DataError } from '../dataset.ts';

let leadsOut: (path: string) => boolean = () => false;

/** From now on this thread reads nothing that leads out of the folders that may be read. @param out whether a path does */
export function confine(out: (path: string) => boolean): void {
  leadsOut = out;
}

/** Why a path is not read, whatever lies there; undefined where it may be. */
export const whyOutside = (path: string): string | undefined =>
  leadsOut(path)
    ? `${path}: links lead from here out of the folders that may be read (--data-root). Replace the link by a copy`
    : undefined;

function requireInside(path: string): void {
  const why = whyOutside(path);
  if (why) throw new files.FileError(why);
}

/** @throws DataError unless it is a regular file that may be read */
export const openRegular = async (path: string): Promise<files.RegularFile> => {
  orRefuse(() => requireInside(path));
  return files.openRegular(path).catch(refuse);
};

/** The content of a file. @param most bytes. @throws DataError */
export const readRegular = async (path: string, most: number): Promise<Buffer> => {
  orRefuse(() => requireInside(path));
  return files.readRegular(path, most).catch(refuse);
};

/** As `readRegular`, for small files and for threads that serve nobody. @throws DataError */
export const readRegularSync = (path: string, most: number): Buffer =>
  orRefuse(() => {
    requireInside(path);
    return files.readRegularSync(path, most);
  });

/** What is in a folder, by name in code units. @throws DataError */
export const listFolder = (path: string): Dirent[] =>
  orRefuse(() => {
    requireInside(path);
    return files.listFolder(path);
  });

/** Size and time of last change of a regular file. @throws DataError */
export const statRegular = (path: string): Stats =>
  orRefuse(() => {
    requireInside(path);
    return files.statRegular(path);
  });

function refuse(error: unknown): never {
  if (error instanceof files.FileError) throw new DataError(error.message, { cause: error });
  throw error;
}

function orRefuse<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    return refuse(error);
  }
}
