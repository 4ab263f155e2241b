/** How readers of data open what a job names: regular files only, and whatever goes wrong is a DataError. */
import type { Dirent, Stats } from 'node:fs';
import * as files from '@kasane/tensor/internal/node/regular-file';
import { DataError } from '../dataset.ts';

/** @throws DataError unless it is a regular file that may be read */
export const openRegular = (path: string): Promise<files.RegularFile> =>
  files.openRegular(path).catch(refuse);

/** The content of a file. @param most bytes. @throws DataError */
export const readRegular = (path: string, most: number): Promise<Buffer> =>
  files.readRegular(path, most).catch(refuse);

/** As `readRegular`, for small files and for threads that serve nobody. @throws DataError */
export const readRegularSync = (path: string, most: number): Buffer =>
  orRefuse(() => files.readRegularSync(path, most));

/** What is in a folder, by name in code units. @throws DataError */
export const listFolder = (path: string): Dirent[] => orRefuse(() => files.listFolder(path));

/** Size and time of last change of a regular file. @throws DataError */
export const statRegular = (path: string): Stats => orRefuse(() => files.statRegular(path));

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
