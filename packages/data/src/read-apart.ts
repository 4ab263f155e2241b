/** Reads data in a thread of its own: whoever opens data has heartbeats to send, and other jobs. */
import { Worker } from 'node:worker_threads';
import { answerOf, type NoAnswer } from '@kasane/tensor/internal/node/thread-answer';
import { type ArraysRead, datasetOfArrays } from './arrays.ts';
import { DataError, type DataParts } from './dataset.ts';
import { type IdxData, type IdxFolder, openIdxOnce } from './idx/idx.ts';
import { loadSharp } from './images/image-decode.ts';
import {
  type ImageFolderOptions,
  type ImagesPart,
  type ImagesRead,
  imagesOfRead,
} from './images/image-folder.ts';
import type { IndexRead } from './packed/packed-index.ts';
import { type SeriesOptions, type SeriesRead, seriesOfRead } from './series/series.ts';
import type { CsvOptions } from './tables/csv.ts';
import type { TextOptions } from './text/text.ts';

export type ToRead =
  | CsvOptions
  | SeriesOptions
  | TextOptions
  | ImageFolderOptions
  | { readonly format: 'idx'; readonly path: string }
  | { readonly format: 'identity of images'; readonly path: string; readonly part: ImagesPart }
  | {
      readonly format: 'index of packed data';
      readonly path: string;
      readonly bytes: Uint8Array;
      readonly expected: string | undefined;
    };

export type ReadAnswer =
  | { readonly read: object }
  /** What is wrong with the data, as a sentence; and the code of the system's error behind it, such as ENOENT. */
  | { readonly refused: string; readonly code: string | undefined };

/** @throws DataError naming file, line and column */
export async function openCsv(options: CsvOptions, signal?: AbortSignal): Promise<DataParts> {
  const { train, test, preparation, notes } = await readApart<ArraysRead>(options, [], signal);
  return { train: datasetOfArrays(train), test: datasetOfArrays(test), preparation, notes };
}

/** @throws DataError naming file, line and column */
export async function openSeries(options: SeriesOptions, signal?: AbortSignal): Promise<DataParts> {
  return seriesOfRead(await readApart<SeriesRead>(options, [], signal));
}

/** The four files of a folder: see `readIdxFolder`. @throws DataError naming the file */
export const openIdxApart = (directory: string, signal?: AbortSignal): Promise<IdxData> =>
  openIdxOnce(directory, (path) => readApart<IdxFolder>({ format: 'idx', path }, [], signal));

/** @throws DataError naming the files that can not be used */
export async function openImages(options: ImageFolderOptions, signal?: AbortSignal): Promise<DataParts> {
  // Its library must be there before a thread uses it, and stay. Where it can not be loaded, each image says so.
  await loadSharp().catch(() => undefined);
  const { path } = options;
  const identify = async (part: ImagesPart) =>
    (await readApart<{ identity: string }>({ format: 'identity of images', path, part })).identity;
  return imagesOfRead(await readApart<ImagesRead>(options, [], signal), options, identify);
}

/** Of a large index, whose memory is handed over: see `readIndex`. @throws DataError */
export const readIndexApart = (
  bytes: Buffer,
  path: string,
  expected: string | undefined,
): Promise<IndexRead> =>
  readApart({ format: 'index of packed data', path, bytes, expected }, [bytes.buffer as ArrayBuffer]);

/**
 * @param handedOver memory in `what` that is not copied
 * @param signal ends it
 * @throws DataError, with the system's error as its cause where one is behind it
 */
export async function readApart<T extends object>(
  what: ToRead,
  handedOver: readonly ArrayBuffer[] = [],
  signal?: AbortSignal,
): Promise<T> {
  const stopped = () => new DataError(`${what.path}: reading was stopped`);
  if (signal?.aborted) throw stopped();
  const file = import.meta.url.endsWith('.ts') ? './read-thread.ts' : './read-thread.js';
  const thread = new Worker(new URL(file, import.meta.url), {
    workerData: what,
    transferList: [...handedOver],
  });
  const refuse = (why: NoAnswer) => {
    if (signal?.aborted) return stopped();
    return new DataError(
      why === 'memory'
        ? `${what.path}: there is not enough memory to read it. Split it, or pack it on another machine`
        : `${what.path}: the process that read it was terminated`,
    );
  };
  const answer = await answerOf<ReadAnswer>(thread, refuse, signal);
  if ('refused' in answer) {
    const { refused, code } = answer;
    throw new DataError(refused, { cause: code && Object.assign(new Error(refused), { code }) });
  }
  // What it says is the reader's own type: see read-thread.ts.
  return answer.read as T;
}
