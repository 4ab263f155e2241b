/** The folder of packed data that is written: nothing else is in it, and its index comes last. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolders } from '@kasane/tensor/internal/node/make-folders';
import { kindOfPath, listFolder } from '@kasane/tensor/internal/node/regular-file';
import { DataError } from '../dataset.ts';
import { isTemporaryFile, writeWholeFile } from '../files/whole-file.ts';
import { CHUNKS_FOLDER, digestOf, encodeIndex, INDEX_FILE, type PackedIndex } from './packed-index.ts';

/** Chunks of a packing that was interrupted may be there. Beside anything else, packed data would be taken for a part of it, or the other way round. */
export function requireRoom(folder: string): void {
  if (existsSync(join(folder, INDEX_FILE)))
    throw new DataError(`${folder}: it already contains packed data; choose another folder`);
  if (kindOfPath(folder) !== 'folder') return;
  const other = listFolder(folder).find(
    ({ name }) => name !== CHUNKS_FOLDER && !name.startsWith('.') && !isTemporaryFile(name),
  );
  if (other)
    throw new DataError(
      `${folder}: it contains other files, such as ${other.name}; choose a new or empty folder`,
    );
}

/** Makes the chunks in a folder a dataset. @returns SHA-256 of the index */
export async function writeIndex(folder: string, content: Omit<PackedIndex, 'format'>): Promise<string> {
  const index = encodeIndex(content);
  makeFolders(folder);
  await writeWholeFile(join(folder, INDEX_FILE), index);
  return digestOf(index);
}
