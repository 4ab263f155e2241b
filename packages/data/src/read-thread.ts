/** The thread that reads one data set: takes what to read as its data, and posts what came of it, once. */
import { isMarkedAsUntransferable, parentPort, workerData } from 'node:worker_threads';
import { DataError } from './dataset.ts';
import { readIdxFolder } from './idx/idx.ts';
import { identityOfImages, readImageFolder } from './images/image-folder.ts';
import { readIndex } from './packed/packed-index.ts';
import type { ReadAnswer, ToRead } from './read-apart.ts';
import { readSeries } from './series/series.ts';
import { readCsv } from './tables/csv.ts';
import { readTokens } from './text/text-read.ts';

async function read(what: ToRead): Promise<object> {
  switch (what.format) {
    case 'csv':
      return readCsv(what);
    case 'series':
      return readSeries(what);
    case 'text':
      return readTokens(what);
    case 'idx':
      return readIdxFolder(what.path);
    case 'imagefolder':
      return readImageFolder(what);
    case 'identity of images':
      return { identity: await identityOfImages(what.path, what.part) };
    case 'index of packed data':
      return readIndex(what.bytes, what.path, what.expected);
  }
}

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
  const found = await read(workerData as ToRead);
  parentPort!.postMessage({ read: found } satisfies ReadAnswer, [...new Set(buffersIn(found))]);
} catch (error) {
  if (!(error instanceof DataError)) throw error;
  parentPort!.postMessage({ refused: error.message, code: codeOf(error) } satisfies ReadAnswer);
}
