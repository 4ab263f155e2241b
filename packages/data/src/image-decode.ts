/** Image files to pixels: all of sharp, in a pool of its own concurrency. */
import { availableParallelism } from 'node:os';
import type sharp from 'sharp';
import { DataError } from './dataset.ts';
import { readRegular } from './regular-file.ts';

export interface ImageForm {
  readonly height: number;
  readonly width: number;
  /** 1: grey. 3: RGB. What is transparent becomes black. */
  readonly channels: 1 | 3;
  /** cover: fills the picture, cuts what stands out. contain: black edges. fill: stretches. */
  readonly fit: 'cover' | 'contain' | 'fill';
}

export const imageBytes = ({ height, width, channels }: ImageForm): number => height * width * channels;

let loading: Promise<typeof sharp> | undefined;

/** Loaded with the first image: what decodes none starts sooner, also where sharp's library can not be loaded. */
function loadSharp(): Promise<typeof sharp> {
  loading ??= import('sharp').then(({ default: loaded }) => {
    // One thread an image and several images at once beat many threads for one image.
    loaded.concurrency(1);
    loaded.cache(false);
    return loaded;
  });
  return loading;
}

/** Of one file, before it is decoded. */
const FILE_BYTES = 1 << 28;

const BLACK = { r: 0, g: 0, b: 0 };

/**
 * Pixels of an image file, row-major, one byte a channel; turned as its EXIF says.
 * @throws DataError naming the file when it can not be decoded whole
 */
export async function decodeImage(path: string, form: ImageForm): Promise<Uint8Array> {
  const { height, width, channels, fit } = form;
  // Read here: whatever else lies at the path, such as a pipe, would keep a thread of the library for ever.
  const bytes = await readRegular(path, FILE_BYTES);
  try {
    const decode = await loadSharp();
    const pixels = await decode(bytes, { failOn: 'warning' })
      .autoOrient()
      .flatten({ background: BLACK })
      .resize(width, height, { fit, background: BLACK })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw()
      .toBuffer();
    if (pixels.length === imageBytes(form)) return pixels;
    throw new Error(`${pixels.length} bytes of pixels came; ${imageBytes(form)} were asked for`);
  } catch (cause) {
    const [first] = (cause as Error).message.split('\n');
    const unknown = first === 'Input file contains unsupported image format';
    const why = unknown ? 'it is empty, or no image of a kind that is known' : first;
    throw new DataError(`${path}: it does not decode: ${why}`, { cause });
  }
}

/** Runs tasks in the order in which they came, at most `limit` at once. */
export class Pool {
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running === this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await task();
    } finally {
      // Whoever waits takes over the place.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}

/** Images decoded at once, over all data sets of the process. */
export const decoding = new Pool(availableParallelism());
