/** The thread that reads one data set: takes what to read as its data, and posts what came of it, once. */
import { isMarkedAsUntransferable, parentPort, workerData } from 'node:worker_threads';
import { DataError } from './dataset.ts';
import { leadsOutOf } from './files/access.ts';
import { confine } from './files/regular-file.ts';
import type { ImageFolderOptions } from './images/image-folder.ts';
import type { ImagesPart } from './images/images-part.ts';
import type { ReadAnswer, ToRead } from './read-apart.ts';
import type { SeriesOptions } from './series/series.ts';
import type { CsvOptions } from './tables/csv.ts';
import type { TextOptions } from './text/text.ts';

interface IdxToRead {
  readonly format: 'idx';
  readonly path: string;
}
interface ImagesToIdentify {
  readonly format: 'identity of images';
  readonly path: string;
  readonly part: ImagesPart;
}
interface IndexToRead {
  readonly format: 'index of packed data';
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly expected: string | undefined;
}

/**
 * What reads the data of each format. What they return is handed to another thread. A thread reads one data set, and a job waits for it: it
 * loads the modules of that format alone.
 */
const readers = {
  csv: async (what: CsvOptions) => (await import('./tables/csv.ts')).readCsv(what),
  series: async (what: SeriesOptions) => (await import('./series/series.ts')).readSeries(what),
  text: async (what: TextOptions) => (await import('./text/text-read.ts')).readTokens(what),
  imagefolder: async (what: ImageFolderOptions) =>
    (await import('./images/image-folder.ts')).readImageFolder(what),
  idx: async ({ path }: IdxToRead) => (await import('./idx/idx.ts')).readIdxFolder(path),
  'identity of images': async ({ path, part }: ImagesToIdentify) =>
    (await import('./images/images-part.ts')).identityOfImages(path, part),
  'index of packed data': async ({ bytes, path, expected }: IndexToRead) =>
    (await import('./packed/packed-index.ts')).readIndex(bytes, path, expected),
};
export type Readers = typeof readers;

/** Memory of the arrays in a value: handed over, not copied, but for what Node keeps small buffers in. */
function buffersIn(value: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(value))
    return isMarkedAsUntransferable(value.buffer) ? [] : [value.buffer as ArrayBuffer];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.values(value).flatMap(buffersIn);
}

/** Errors do not keep their codes from thread to thread. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.cause);
}

try {
  const { what, roots } = workerData as ToRead<{ readonly format: keyof Readers }>;
  if (roots !== 'any') confine((path) => leadsOutOf(path, roots));
  const found: unknown = await (readers[what.format] as (what: object) => unknown)(what);
  parentPort!.postMessage({ read: found } satisfies ReadAnswer, [...new Set(buffersIn(found))]);
} catch (error) {
  if (!(error instanceof DataError)) throw error;
  parentPort!.postMessage({ refused: error.message, code: codeOf(error) } satisfies ReadAnswer);
}
