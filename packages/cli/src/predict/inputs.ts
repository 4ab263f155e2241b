/** What `kasane predict` is given, turned into the numbers that a model takes: image files, or numbers themselves. */
import { existsSync } from 'node:fs';
import type { Preparation } from '@kasane/data/dataset';
import { inputReader } from '@kasane/data/normalize';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { sizeOf } from '@kasane/tensor/shape';
import sharp from 'sharp';
import type { Trained } from '../trained.ts';

export interface ReadOptions {
  /** Bright on dark is expected, as in MNIST; undefined: grey images with a bright border are inverted. */
  readonly invert?: boolean;
}

export interface ReadInput {
  readonly x: Float32Array;
  /** Of an image: whether it was inverted first. */
  readonly inverted?: boolean;
}

/** Reads one input. @throws KasaneError DATA_INVALID naming it and what is expected */
export type Reader = (given: string) => Promise<ReadInput>;

/** The reader of what the model was trained on. */
export function readerOf({ model, preparation }: Trained, options: ReadOptions): Reader {
  const form = imageForm(model.description.input, preparation);
  if (form) return (given) => readImage(given, form, preparation, options.invert);
  return async (given) => ({ x: readNumbers(given, model.description.input) });
}

interface ImageForm {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
}

/** The images that it takes; undefined when it takes none. Bytes that were normalised were pixels. */
function imageForm(input: readonly number[], { mean }: Preparation): ImageForm | undefined {
  if (mean === undefined) return undefined;
  const [height, width, channels = 1] =
    input.length === 1 ? [Math.sqrt(input[0]!), Math.sqrt(input[0]!)] : input;
  const fits = Number.isInteger(height) && (channels === 1 || channels === 3) && input.length <= 3;
  return fits ? { height: height!, width: width!, channels } : undefined;
}

/** Any image that sharp reads, in the size and channels that the model takes. */
async function readImage(
  path: string,
  { height, width, channels }: ImageForm,
  { mean = 0, std = 1 }: Preparation,
  invert: boolean | undefined,
): Promise<ReadInput> {
  let pixels: Buffer;
  try {
    const image = sharp(path).autoOrient().flatten({ background: '#000' });
    pixels = await image
      .resize(width, height, { fit: 'contain', background: '#000' })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw()
      .toBuffer();
  } catch (cause) {
    throw new KasaneError('DATA_INVALID', `${path}: not an image that can be read (${messageOf(cause)})`, {
      cause,
    });
  }
  const inverted = invert ?? (channels === 1 && hasBrightBorder(pixels, width));
  const shown = inverted ? pixels.map((value) => 255 - value) : pixels;
  const x = new Float32Array(shown.length);
  const field = { dtype: 'u8', shape: [height, width, channels] } as const;
  inputReader(field, [mean].flat(), [std].flat())(shown, x);
  return { x, inverted };
}

function hasBrightBorder(pixels: Uint8Array, side: number): boolean {
  const border = pixels.filter(
    (_, i) => i < side || i >= pixels.length - side || i % side === 0 || i % side === side - 1,
  );
  return border.reduce((sum, value) => sum + value, 0) / border.length > 127;
}

function readNumbers(given: string, shape: readonly number[]): Float32Array {
  const count = sizeOf(shape);
  const parts = given.split(/[\s,;]+/).filter((part) => part !== '');
  const values = parts.map(Number);
  const bad = parts.find((_, i) => !Number.isFinite(values[i]));
  const example = Array.from({ length: Math.min(count, 4) }, (_, i) => i).join(',');
  const wanted = `${count} number${count === 1 ? '' : 's'} with commas between, such as ${example}${count > 4 ? ',...' : ''}`;
  if (bad !== undefined) {
    const hint = existsSync(given) ? 'a file, but the model takes numbers' : `'${bad}' is no number`;
    throw new KasaneError('DATA_INVALID', `${given}: ${hint}; expected ${wanted}`);
  }
  if (values.length !== count) {
    throw new KasaneError('DATA_INVALID', `${given}: ${values.length} numbers; expected ${wanted}`);
  }
  return Float32Array.from(values);
}
