/** What `kasane predict` is given, turned into samples as the model was trained on: images, or numbers themselves. */
import { DataError, type Preparation } from '@kasane/data/dataset';
import { type Background, decodeImage, type ImageForm } from '@kasane/data/image-decode';
import { inputReader } from '@kasane/data/normalize';
import { KasaneError } from '@kasane/protocol/errors';
import { kindOfPath } from '@kasane/tensor/node/regular-file';
import { sizeOf } from '@kasane/tensor/shape';
import type { Trained } from '../trained.ts';
import { readSeries, readTable } from './rows.ts';
import { readText } from './text.ts';

export interface ReadOptions {
  /** Bright on dark is expected, as in MNIST; undefined: grey images with a bright border are inverted. */
  readonly invert?: boolean;
}

/** One sample. */
export interface ReadInput {
  /** What it is called in answers: the argument, with the line of a file that has several. */
  readonly name: string;
  readonly x: Float32Array;
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
  { model, preparation }: Trained,
  given: string,
  { invert }: ReadOptions,
): Promise<readonly ReadInput[]> {
  const input = model.sampleShape;
  const { table, series, text } = preparation;
  try {
    if (text) return [{ name: given, x: readText(given, text) }];
    if (table) return await readTable(given, table);
    if (series) return await readSeries(given, series);
    const form = imageForm(input, preparation);
    return [form ? await readImage(given, form, preparation, invert) : readNumbers(given, input)];
  } catch (cause) {
    if (cause instanceof DataError) throw new KasaneError('DATA_INVALID', cause.message, { cause });
    throw cause;
  }
}

/** The images that a model takes; undefined when it takes none. Bytes that were normalised were pixels. */
function imageForm(input: readonly number[], { mean, image }: Preparation): ImageForm | undefined {
  if (image || mean === undefined) return image;
  const side = Math.sqrt(input[0]!);
  const [height, width, channels = 1] = input.length === 1 ? [side, side] : input;
  if (input.length > 3 || !Number.isInteger(height) || (channels !== 1 && channels !== 3)) return undefined;
  return { height: height!, width: width!, channels, fit: 'contain' };
}

async function readImage(
  path: string,
  form: ImageForm,
  { mean = 0, std = 1, image }: Preparation,
  invert: boolean | undefined,
): Promise<ReadInput> {
  const { pixels, background } = await decodeImage(path, form);
  const { height, width, channels } = form;
  // Digits as IDX files have them are bright on dark; a folder of images says for itself what it is like.
  const inverted = invert ?? (!image && channels === 1 && hasBrightBorder(pixels, width));
  const shown = inverted ? pixels.map((value) => 255 - value) : pixels;
  const x = new Float32Array(shown.length);
  inputReader({ dtype: 'u8', shape: [height, width, channels] }, [mean].flat(), [std].flat())(shown, x);
  return { name: path, x, inverted, ...(background && { background }) };
}

function hasBrightBorder(pixels: Uint8Array, side: number): boolean {
  const border = pixels.filter(
    (_, i) => i < side || i >= pixels.length - side || i % side === 0 || i % side === side - 1,
  );
  return border.reduce((sum, value) => sum + value, 0) / border.length > 127;
}

function readNumbers(given: string, shape: readonly number[]): ReadInput {
  const count = sizeOf(shape);
  const parts = given.split(/[\s,;]+/).filter((part) => part !== '');
  const values = parts.map(Number);
  const bad = parts.find((_, i) => !Number.isFinite(values[i]));
  const example = Array.from({ length: Math.min(count, 4) }, (_, i) => i).join(',');
  const wanted = `${count} number${count === 1 ? '' : 's'} with commas between, such as ${example}${count > 4 ? ',...' : ''}`;
  if (bad !== undefined) {
    const hint =
      kindOfPath(given) !== 'nothing' ? 'a file, but the model takes numbers' : `'${bad}' is no number`;
    throw new DataError(`${given}: ${hint}; expected ${wanted}`);
  }
  if (values.length !== count) throw new DataError(`${given}: ${values.length} numbers; expected ${wanted}`);
  return { name: given, x: Float32Array.from(values) };
}
