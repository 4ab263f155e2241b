/** The thread that reads one data set: takes what to read as its data, and posts what came of it, once. */
import { isMarkedAsUntransferable, parentPort, workerData } from 'node:worker_threads';
import { DataError } from './dataset.ts';
import { readIdxFolder } from './idx/idx.ts';
import { type ImagesPart, identityOfImages, readImageFolder } from './images/image-folder.ts';
import { readIndex } from './packed/packed-index.ts';
import type { ReadAnswer } from './read-apart.ts';
import { readSeries } from './series/series.ts';
import { readCsv } from './tables/csv.ts';
import { readTokens } from './text/text-read.ts';

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

/** What reads the data of each format. What they return is handed to another thread. */
const readers = {
  csv: readCsv,
  series: readSeries,
  text: readTokens,
  imagefolder: readImageFolder,
  idx: ({ path }: IdxToRead) => readIdxFolder(path),
  'identity of images': ({ path, part }: ImagesToIdentify) => identityOfImages(path, part),
  'index of packed data': ({ bytes, path, expected }: IndexToRead) => readIndex(bytes, path, expected),
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
  const what = workerData as { readonly format: keyof Readers };
  const found: unknown = await (readers[what.format] as (what: object) => unknown)(what);
  parentPort!.postMessage({ read: found } satisfies ReadAnswer, [...new Set(buffersIn(found))]);
} catch (error) {
  if (!(error instanceof DataError)) throw error;
  parentPort!.postMessage({ refused: error.message, code: codeOf(error) } satisfies ReadAnswer);
}
