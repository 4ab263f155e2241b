/** The format of data at a path, by what it looks like: for commands that are given a path and no job. */
import { join } from 'node:path';
import { DataError } from '@kasane/data/dataset';
import { extensionOf, filesBelow, hasNoEnding, listData } from '@kasane/data/internal/files/folder';
import { isImage } from '@kasane/data/internal/images/image-decode';
import { INDEX_FILE } from '@kasane/data/internal/packed/packed-index';
import { isUrl } from '@kasane/data/internal/packed/remote';
import { sampleKind } from '@kasane/data/internal/records/open-samples';
import { KasaneError } from '@kasane/protocol/errors';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { sniff } from './sniff.ts';

/** As much of a data section as can be seen. */
export interface GuessedFormat {
  readonly format: 'packed' | 'idx' | 'csv' | 'text' | 'imagefolder';
  /** Of texts in class folders. */
  readonly objective?: 'classification';
}

export interface Guess {
  readonly section: GuessedFormat;
  /** What was guessed by the content, as a sentence with what decides otherwise. */
  readonly note?: string;
  /** Why the guess is not to be followed unless somebody says so. */
  readonly doubt?: string;
}

/** Files of a class that are looked at. */
const SNIFFED = 5;

const tables = new Set(['.csv', '.tsv', '.tab', '.psv', '.parquet', '.jsonl', '.ndjson']);
const texts = new Set(['.txt', '.md']);
const archives = new Set(['.zip', '.gz', '.tgz', '.tar', '.npy', '.npz', '.json', '.xlsx']);

/** @throws KasaneError DATA_INVALID, NO_INPUT */
export async function guessFormat(path: string): Promise<Guess> {
  if (isUrl(path) && [tables, texts, archives].some((kinds) => kinds.has(extensionOf(path))))
    throw new KasaneError(
      'DATA_INVALID',
      `${path}: only packed data (\`kasane data pack\`) can be read from URLs. Download the file and give its path`,
    );
  if (isUrl(path)) return { section: { format: 'packed' } };
  const kind = kindOfPath(path);
  if (kind === 'nothing') throw new KasaneError('NO_INPUT', `${path}: file or folder not found`);
  const samples = sampleKind(path);
  if (samples !== undefined && (samples !== 'records' || kind === 'folder'))
    throw new KasaneError(
      'DATA_INVALID',
      `${path}: pack it first: kasane data pack ${path} FOLDER, then use FOLDER in its place`,
    );
  if (kind !== 'folder') return guessFile(path);
  if (kindOfPath(join(path, INDEX_FILE)) !== 'nothing') return { section: { format: 'packed' } };
  try {
    return { section: await guessFolder(path) };
  } catch (cause) {
    if (cause instanceof DataError) throw new KasaneError('DATA_INVALID', cause.message, { cause });
    throw cause;
  }
}

async function guessFile(path: string): Promise<Guess> {
  if (tables.has(extensionOf(path))) return { section: { format: 'csv' } };
  const content = await sniff(path);
  if (content === 'table') {
    const note =
      'its lines all have the same number of fields, so it is read as a table (--set format=text to read it as text)';
    return { section: { format: 'csv' }, note };
  }
  const section = { format: 'text' } as const;
  const note = 'it is read as text for a model that generates text (--set format=csv to read it as a table)';
  if (content !== 'json') return { section, note };
  const doubt = `${path}: it contains JSON. For a table, write one object per line to a file that ends in .jsonl, or convert it to CSV; or read it as text with --set format=text`;
  return { section, note, doubt };
}

async function guessFolder(path: string): Promise<GuessedFormat> {
  const { folders, files } = listData(path);
  if (files.some((file) => /idx\d-ubyte/.test(file))) return { format: 'idx' };
  const text = files.some((file) => texts.has(extensionOf(file)));
  if (folders.length === 0) return { format: text || (await areTexts(files)) ? 'text' : 'imagefolder' };
  const below = folders.flatMap((folder) => filesBelow(folder).files);
  const kinds = below.map(extensionOf);
  // Notes lie beside images, too.
  if (below.some(isImage)) return { format: 'imagefolder' };
  if (!kinds.some((kind) => texts.has(kind)) && !(await areTexts(below))) return { format: 'imagefolder' };
  // One long text lies in files; what is sorted into folders is sorted by something.
  return text ? { format: 'text' } : { format: 'text', objective: 'classification' };
}

/** Whether there are files without an ending, and what is in the first of them is text. */
async function areTexts(files: readonly string[]): Promise<boolean> {
  if (files.some(isImage)) return false;
  const some = files.filter(hasNoEnding).slice(0, SNIFFED);
  const found = await Promise.all(some.map(sniff));
  return some.length > 0 && found.every((content) => content !== 'binary');
}
