/** What `kasane predict` is given, turned into samples as the model was trained on: images, or numbers themselves. */

import { DataError, notFound, type Preparation } from '@kasane/data/dataset';
import { filesBelow } from '@kasane/data/internal/files/folder';
import { openRegular } from '@kasane/data/internal/files/regular-file';
import { hasBrightBorder } from '@kasane/data/internal/images/ground';
import {
  type Background,
  decodeImage,
  type ImageForm,
  RESCALE,
} from '@kasane/data/internal/images/image-decode';
import { inputReader, shapeOfBytes } from '@kasane/data/internal/normalize';
import { binaryKind, KIND_BYTES } from '@kasane/data/internal/text/decode-text';
import { KasaneError } from '@kasane/protocol/errors';
import { counted } from '@kasane/tensor/internal/counted';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { sizeOf } from '@kasane/tensor/shape';
import type { Trained } from '../../model/trained.ts';
import { withoutJob } from './plain-cure.ts';
import { readSeries, readTable } from './rows.ts';
import { readText } from './text.ts';
import { isRowsOfTexts, readTextRows } from './text-rows.ts';

export interface ReadOptions {
  /** Bright on dark is expected, as in MNIST; undefined: grey images with a bright border are inverted. */
  readonly invert?: boolean;
}

/** One sample. */
export interface ReadInput {
  /** What it is called in answers: the argument, with the line of a file that has several. */
  readonly name: string;
  readonly x: Float32Array;
  /** What was doubtful about it, a sentence each. */
  readonly notes?: readonly string[];
  /** Of an image: whether it was inverted first. */
  readonly inverted?: boolean;
  /** Of an image with transparent parts: on what it was put. */
  readonly background?: Background;
}

/**
 * The samples of one argument.
 * @throws KasaneError DATA_INVALID naming it, and what is expected
 */
export async function readInputs(
  trained: Trained,
  given: string,
  { invert }: ReadOptions,
): Promise<readonly ReadInput[]> {
  const { model, preparation } = trained;
  const input = model.sampleShape;
  const { table, series, text } = preparation;
  try {
    const form = imageForm(input, preparation);
    await checkKind(given, takes(preparation, form, input));
    if (text && isRowsOfTexts(given)) return await readTextRows(given, text, trained);
    if (text) return [{ name: given, ...readText(given, text) }];
    if (table) return await readTable(given, table);
    if (series) return await readSeries(given, series);
    return [
      form ? await readImage(given, form, preparation, invert) : readNumbers(given, input, preparation),
    ];
  } catch (cause) {
    if (cause instanceof DataError)
      throw new KasaneError('DATA_INVALID', withoutJob(cause.message), { cause });
    throw cause;
  }
}

/** The files in a folder of images and below, in order of their names. */
export interface FolderFiles {
  readonly files: readonly string[];
  /** What cannot be read: `path: why`. */
  readonly problems: readonly string[];
}

/** Whether an argument is a folder, of a model that takes images. */
export function isFolderOfImages({ model, preparation }: Trained, given: string): boolean {
  const { text, table, series } = preparation;
  if (text || table || series || kindOfPath(given) !== 'folder') return false;
  return imageForm(model.sampleShape, preparation) !== undefined;
}

/** @throws KasaneError DATA_INVALID when the folder cannot be read, or is empty */
export function filesIn(folder: string): FolderFiles {
  try {
    const found = filesBelow(folder);
    if (found.files.length + found.problems.length > 0) return found;
    throw new DataError(`${folder}: the folder contains no files`);
  } catch (cause) {
    if (cause instanceof DataError) throw new KasaneError('DATA_INVALID', cause.message, { cause });
    throw cause;
  }
}

/** What a model takes. */
interface Takes {
  /** As the end of a sentence. */
  readonly what: string;
  readonly file: 'only' | 'or value' | 'never';
  readonly binary: boolean;
}

function takes(
  { table, series, text }: Preparation,
  form: ImageForm | undefined,
  input: readonly number[],
): Takes {
  if (text) return { what: 'a text, a text file, or a CSV file of texts', file: 'or value', binary: false };
  if (table) {
    const names = table.columns.map(({ name }) => name);
    const row = names.length > ROW ? [...names.slice(0, ROW), '...'] : names;
    return { what: `a CSV file, or a row: ${row.join(',')}`, file: 'or value', binary: false };
  }
  if (series) return { what: 'a CSV file', file: 'only', binary: false };
  if (form)
    return { what: 'image files, such as PNG or JPEG, or folders of them', file: 'only', binary: true };
  const count = sizeOf(input);
  return {
    what: `${count} ${count === 1 ? 'number' : 'comma-separated numbers'}`,
    file: 'never',
    binary: false,
  };
}
/** Columns that are named of a row. */
const ROW = 5;

/** @throws DataError when an argument is plainly not what the model takes: what reads it would speak of something else */
async function checkKind(given: string, { what, file, binary }: Takes): Promise<void> {
  if (given.trim() === '') throw new DataError(`an argument is empty; the model takes ${what}`);
  const about = (why: string) => `${given}: ${why}; the model takes ${what}`;
  const refuse = (why: string) => new DataError(about(why));
  const kind = kindOfPath(given);
  if (kind === 'folder') throw refuse('it is a folder');
  if (kind === 'nothing' && file === 'only') throw notFound(about('file not found'));
  if (kind === 'nothing' || file === 'never') return;
  const opened = await openRegular(given);
  try {
    if (opened.size === 0) throw refuse('it is empty');
    const is = binaryKind(await opened.read(0, KIND_BYTES));
    if (is !== undefined && !binary) throw refuse(`it is ${is}`);
  } finally {
    await opened.close();
  }
}

/** The images that a model takes; undefined when it takes none. Bytes that were normalised were pixels. */
function imageForm(
  input: readonly number[],
  { mean, image, shape, ground }: Preparation,
): ImageForm | undefined {
  if (image || mean === undefined) return image;
  const [height, width, channels = 1, ...rest] = shapeOfBytes(input, shape);
  if (height === undefined || width === undefined || rest.length > 0) return undefined;
  if (channels !== 1 && channels !== 3) return undefined;
  return { height, width, channels, fit: 'contain', ...(ground === 'bright' && { background: 'white' }) };
}

async function readImage(
  path: string,
  form: ImageForm,
  { mean = 0, std = 1, image, ground }: Preparation,
  invert: boolean | undefined,
): Promise<ReadInput> {
  const { pixels, background, animated, deep } = await decodeImage(path, form);
  const { height, width, channels } = form;
  // Digits as IDX files have them are mostly bright on dark; a folder of images says for itself what it is like.
  const areDigits = !image && channels === 1 && ground !== 'bright';
  const inverted = invert ?? (areDigits && hasBrightBorder(pixels, width));
  const shown = inverted ? pixels.map((value) => 255 - value) : pixels;
  const x = new Float32Array(shown.length);
  inputReader({ dtype: 'u8', shape: [height, width, channels] }, [mean].flat(), [std].flat())(shown, x);
  const notes = [
    ...(animated ? [`${path}: only the first frame of the animated image is used`] : []),
    ...(deep ? [`${path}: the image has ${RESCALE}`] : []),
  ];
  return { name: path, x, notes, inverted, ...(background && { background }) };
}

/** Numbers as the model takes them; where training had bytes, bytes. */
function readNumbers(given: string, shape: readonly number[], { mean, std = 1 }: Preparation): ReadInput {
  const count = sizeOf(shape);
  const bytes = mean !== undefined;
  const parts = given.split(/[\s,;]+/).filter((part) => part !== '');
  const values = parts.map(Number);
  const bad = parts.find((_, i) => !Number.isFinite(values[i]));
  const example = Array.from({ length: Math.min(count, 4) }, (_, i) => i).join(',');
  const what = bytes ? 'whole number' : 'number';
  const range = bytes ? ' from 0 to 255' : '';
  const wanted = `${counted(count, what)}${range} separated by commas, such as ${example}${count > 4 ? ',...' : ''}`;
  if (bad !== undefined) {
    const hint =
      kindOfPath(given) !== 'nothing'
        ? 'it is a file, but the model takes numbers'
        : `'${bad}' is not a number`;
    throw new DataError(`${given}: ${hint}; expected ${wanted}`);
  }
  if (values.length !== count)
    throw new DataError(`${given}: ${counted(values.length, 'number')}; expected ${wanted}`);
  if (!bytes) return { name: given, x: Float32Array.from(values) };
  const strange = values.find((value) => !Number.isInteger(value) || value < 0 || value > 255);
  if (strange !== undefined) throw new DataError(`${given}: ${strange} is not a byte; expected ${wanted}`);
  const x = new Float32Array(count);
  inputReader({ dtype: 'u8', shape }, [mean].flat(), [std].flat())(Uint8Array.from(values), x);
  return { name: given, x };
}
