/**
 * What lies in folders of data: the one place that says which names are nobody's data, how links are followed, and in which order
 * things come. Every format that reads folders walks them with this.
 */
import { realpathSync } from 'node:fs';
import { basename, extname, join, sep } from 'node:path';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { DataError } from '../dataset.ts';
import { listFolder, statRegular, whyOutside } from './regular-file.ts';

/** Files and folders that systems and programs leave behind, in any case; names that begin with a dot are hidden anyway. */
const leftBehind = new Set([
  ...[
    '__macosx',
    '__pycache__',
    'cvs',
    'lost+found',
    'system volume information',
    '$recycle.bin',
    'recycler',
  ],
  ...['thumbs.db', 'thumbs.db:encryptable', 'ehthumbs.db', 'ehthumbs_vista.db', 'desktop.ini', 'icon\r'],
  ...['@eadir', '@recycle', '#recycle', '@tmp', '@__thumb', '@recently-snapshot', 'network trash folder'],
]);

/** Whether a file or folder is no data: hidden, a backup of an editor, or left behind by a system. */
export const isHidden = (name: string): boolean =>
  name.startsWith('.') ||
  name.startsWith('~$') ||
  name.endsWith('~') ||
  /^#.*#$/.test(name) ||
  leftBehind.has(name.toLowerCase());

/** The name as it is shown and compared: systems write the same accents as one character or as two. */
export const shownName = (name: string): string => name.normalize('NFC');

/** By code units of the shown names: the same order on every machine, unlike localeCompare and unlike that of the file system. */
export const byName = (a: string, b: string): number => {
  const [x, y] = [shownName(a), shownName(b)];
  if (x !== y) return x < y ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
};

export const extensionOf = (file: string): string => extname(file).toLowerCase();

/** Whether a name says nothing of what is in the file: it has no ending, or only a number or a digest, as mail has. */
export const hasNoEnding = (file: string): boolean => /^$|^\.\d+$|^\.[\da-f]{16,}$/.test(extensionOf(file));

/** What is in a folder, without what is hidden; paths in order of their names. */
export interface Listing {
  readonly folders: readonly string[];
  readonly files: readonly string[];
  /** What can be neither: `path: why`. */
  readonly problems: readonly string[];
}

/** @throws DataError when the folder itself can not be read */
export function listData(folder: string): Listing {
  const [folders, files, problems]: [string[], string[], string[]] = [[], [], []];
  for (const { name } of [...listFolder(folder)].sort((a, b) => byName(a.name, b.name))) {
    if (isHidden(name)) continue;
    const path = join(folder, name);
    const outside = whyOutside(path);
    if (outside) {
      problems.push(outside);
      continue;
    }
    const kind = kindOfPath(path);
    if (kind === 'folder') folders.push(path);
    else if (kind === 'file') files.push(path);
    else problems.push(whyNoFile(path));
  }
  return { folders, files, problems };
}

function whyNoFile(path: string): string {
  // Node has put this character in the place of bytes that are no text, and finds nothing by it.
  if (basename(path).includes('\ufffd') && kindOfPath(path) === 'nothing')
    return `${path}: its name is not UTF-8; rename the file, for example with convmv`;
  try {
    statRegular(path);
    return `${path}: it changed while it was being read. Try again`;
  } catch (error) {
    if (error instanceof DataError) return error.message;
    throw error;
  }
}

/** Whether an absolute path is `folder` or lies in it. */
export const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);

/** All files in a folder and below, in order of their names, and what can not be read there. */
export function filesBelow(folder: string): Omit<Listing, 'folders'> {
  const files: string[] = [];
  const problems: string[] = [];
  const visit = (at: string, above: readonly string[]) => {
    let listing: Listing;
    try {
      listing = listData(at);
    } catch (error) {
      if (!(error instanceof DataError) || above.length === 0) throw error;
      problems.push(error.message);
      return;
    }
    // A link may lead to a folder that holds it: one that is walked, or one around all of them, where other classes are.
    const real = realpathSync(at);
    if (above.some((folder) => isWithin(folder, real))) {
      problems.push(`${at}: it is a link back to ${real}. Remove the link`);
      return;
    }
    for (const problem of listing.problems) problems.push(problem);
    // Together by name, as they stand in the folder.
    const all = [
      ...listing.files.map((path) => ({ path, file: true })),
      ...listing.folders.map((path) => ({ path, file: false })),
    ].sort((a, b) => byName(basename(a.path), basename(b.path)));
    for (const { path, file } of all) {
      if (file) files.push(path);
      else visit(path, [...above, real]);
    }
  };
  visit(folder, []);
  return { files, problems };
}
