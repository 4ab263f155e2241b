/** The format of data at a path, by what it looks like: for commands that are given a path and no job. */
import { join } from 'node:path';
import { DataError } from '@kasane/data/dataset';
import { extensionOf, filesBelow, listData } from '@kasane/data/folder';
import { INDEX_FILE } from '@kasane/data/packed-index';
import { isUrl } from '@kasane/data/remote';
import { KasaneError } from '@kasane/protocol/errors';
import { kindOfPath } from '@kasane/tensor/node/regular-file';

/** As much of a data section as can be seen. */
export interface GuessedFormat {
  readonly format: 'packed' | 'idx' | 'csv' | 'text' | 'imagefolder';
  /** Of texts in class folders. */
  readonly objective?: 'classification';
}

const images = new Set(['.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp']);
const tables = new Set(['.csv', '.tsv', '.tab', '.psv']);
const texts = new Set(['.txt', '.md']);

/** @throws KasaneError DATA_INVALID */
export function guessFormat(path: string): GuessedFormat {
  if (isUrl(path)) return { format: 'packed' };
  const kind = kindOfPath(path);
  if (kind === 'nothing') throw new KasaneError('DATA_INVALID', `${path}: there is no such file or folder`);
  if (kind !== 'folder') return { format: tables.has(extensionOf(path)) ? 'csv' : 'text' };
  if (kindOfPath(join(path, INDEX_FILE)) !== 'nothing') return { format: 'packed' };
  try {
    return guessFolder(path);
  } catch (cause) {
    if (cause instanceof DataError) throw new KasaneError('DATA_INVALID', cause.message, { cause });
    throw cause;
  }
}

function guessFolder(path: string): GuessedFormat {
  const { folders, files } = listData(path);
  if (files.some((file) => /idx\d-ubyte/.test(file))) return { format: 'idx' };
  const text = files.some((file) => texts.has(extensionOf(file)));
  if (folders.length === 0) return { format: text ? 'text' : 'imagefolder' };
  const below = folders.flatMap((folder) => filesBelow(folder).files).map(extensionOf);
  // Notes lie beside images, too.
  if (below.some((kind) => images.has(kind)) || !below.some((kind) => texts.has(kind))) {
    return { format: 'imagefolder' };
  }
  // One long text lies in files; what is sorted into folders is sorted by something.
  return text ? { format: 'text' } : { format: 'text', objective: 'classification' };
}
