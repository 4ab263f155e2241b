/** What an output may replace: an earlier output of its own kind, and no other file, such as the job file or the data of a mistyped command. */
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { KasaneError } from '@kasane/protocol/errors';

/** How the files that commands write begin, with each byte as a character. */
const kinds = {
  // The length of the header, in 8 bytes, and the header, which is JSON.
  weights: { called: 'the weights', isBegun: (head: string) => head.startsWith('\0\0{', 6) },
  // The version of the format is its first field.
  onnx: { called: 'the model', isBegun: (head: string) => head.startsWith('\b') },
  predictions: { called: 'the predictions', isBegun: (head: string) => head.startsWith('input,') },
  'confusion matrix': {
    called: 'the confusion matrix',
    isBegun: (head: string) => head.startsWith('actual,'),
  },
  'model card': { called: 'the model card', isBegun: (head: string) => head.startsWith('<!-- Kasane') },
  // That of a worker is a list, that of a training has its lists joined.
  profile: { called: 'the profile', isBegun: (head: string) => /^(\{"traceEvents":)?\[/.test(head) },
  sheet: { called: 'the sheet', isBegun: (head: string) => head.startsWith('PNG', 1) },
};

export type OutputKind = keyof typeof kinds;

const HEAD_BYTES = 16;

/**
 * Asked before anything is computed. An empty file, as mktemp makes them, may be replaced by any kind.
 * @param option that names it
 * @throws KasaneError USAGE where another kind of file is there
 */
export function requireReplaceable(path: string, kind: OutputKind, option: string): void {
  const there = statSync(path, { throwIfNoEntry: false });
  if (!there?.isFile() || there.size === 0) return;
  const { called, isBegun } = kinds[kind];
  if (isBegun(headOf(path))) return;
  throw new KasaneError(
    'USAGE',
    `${option} ${path}: ${called} would replace another kind of file; set ${option} to another name, or remove the file first`,
  );
}

/** Names that differ only in upper and lower case are one file on some disks, and count as one on all. */
export const isOnePlace = (path: string, other: string): boolean =>
  placeOf(path).toLowerCase() === placeOf(other).toLowerCase();

/**
 * Asked before anything is computed: of two outputs in one file, the second would replace the first.
 * @param option that names the path
 * @param what goes to the other path
 * @throws KasaneError USAGE
 */
export function requireApart(path: string, option: string, other: string, what: string): void {
  if (!isOnePlace(path, other)) return;
  throw new KasaneError(
    'USAGE',
    `${option} ${path}: the ${what} would be in the same file; set ${option} to another name`,
  );
}

/** Where a path leads, whether or not there is a file yet. */
function placeOf(path: string): string {
  for (const [known, rest] of [
    [path, ''],
    [dirname(path), basename(path)],
  ] as const)
    try {
      return join(realpathSync(known), rest);
    } catch {
      // Nothing is there yet.
    }
  return resolve(path);
}

/** The first bytes, each as a character. A file that cannot be read is left alone, too. */
function headOf(path: string): string {
  const head = Buffer.alloc(HEAD_BYTES);
  try {
    const file = openSync(path, 'r');
    try {
      return head.toString('latin1', 0, readSync(file, head, 0, HEAD_BYTES, 0));
    } finally {
      closeSync(file);
    }
  } catch {
    return '';
  }
}
