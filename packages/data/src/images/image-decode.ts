/** Image files to pixels: all of sharp, in a pool of its own concurrency. */
import { availableParallelism } from 'node:os';
import type sharp from 'sharp';
import { DataError } from '../dataset.ts';
import { extensionOf } from '../files/folder.ts';
import { readRegular } from '../files/regular-file.ts';
import { Budget } from './budget.ts';

export interface ImageForm {
  readonly height: number;
  readonly width: number;
  /** 1: grey. 3: RGB. */
  readonly channels: 1 | 3;
  /** cover: fills the picture, cuts what stands out. contain: black edges. fill: stretches. */
  readonly fit: 'cover' | 'contain' | 'fill';
  /** On what pictures with transparent parts are put. Absent: each on the one that shows it. */
  readonly background?: Background;
}

export type Background = 'black' | 'white';

export const imageBytes = ({ height, width, channels }: ImageForm): number => height * width * channels;

const BLACK = { r: 0, g: 0, b: 0 };
const WHITE = { r: 255, g: 255, b: 255 };

let loading: Promise<typeof sharp> | undefined;

/** Loaded with the first image: what decodes none starts sooner, also where sharp's library can not be loaded. */
export function loadSharp(): Promise<typeof sharp> {
  loading ??= import('sharp').then(({ default: loaded }) => {
    // One thread an image and several images at once beat many threads for one image.
    loaded.concurrency(1);
    loaded.cache(false);
    return loaded;
  });
  return loading;
}

/** Of one file, before it is decoded. */
export const FILE_BYTES = 1 << 28;
/** Contents that are read, whatever a file is called. A drawing of lines (SVG) has no pixels until somebody chooses a size. */
const formats = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif']);
/** What files of them are called. */
const extensions = new Set([
  ...['.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.gif'],
  ...['.avif', '.tif', '.tiff'],
]);
export const IMAGE_KINDS = ['JPEG', 'PNG', 'WebP', 'GIF', 'AVIF', 'TIFF'] as const;

/** Whether a file is an image by its name. */
export const isImage = (file: string): boolean => extensions.has(extensionOf(file));

export interface Decoded {
  /** Row-major, one byte a channel; turned as its EXIF says. */
  readonly pixels: Uint8Array;
  /** On what it was put, where parts of it are transparent. */
  readonly background?: Background;
  /** What is not used of it, as of `ImageKind`. */
  readonly animated: boolean;
  readonly deep: boolean;
}

/** What a note says that images have of which not all is used. */
export const RESCALE =
  'more than 8 bits per channel, of which the upper 8 are used. If their values do not span the full range, as in 12-bit scans, rescale them first';

/**
 * Pixels of an image file: the only reader of images, in training and afterwards.
 * @throws DataError naming the file when it can not be decoded whole
 */
export async function decodeImage(path: string, form: ImageForm): Promise<Decoded> {
  // Read here: whatever else lies at the path, such as a pipe, would keep a thread of the library for ever.
  return decodeImageBytes(await readRegular(path, FILE_BYTES), form, path);
}

/** As `decodeImage`, of what was read elsewhere. @param path names it in messages */
export async function decodeImageBytes(bytes: Buffer, form: ImageForm, path: string): Promise<Decoded> {
  if (bytes.length === 0) throw new DataError(`${path}: it is empty`);
  try {
    return await inMemory.run(await pixelsHeld(bytes), () => decodeTolerantly(bytes, form));
  } catch (cause) {
    throw new DataError(`${path}: ${whyNot(cause)}`, { cause });
  }
}

/** Of all images that are decoded at once, where decoders hold them whole: a few bytes of WebP are a gigabyte of pixels. */
const inMemory = new Budget(1 << 27);

/** Pixels that decoding holds at once: 0 of a picture that is decoded row by row, and of what is none. */
export async function pixelsHeld(bytes: Buffer): Promise<number> {
  if (isJpeg(bytes)) return progressivePixels(bytes);
  // The last byte of its header says whether it is interlaced.
  if (bytes.length > 28 && bytes.toString('latin1', 1, 4) === 'PNG' && bytes[28] === 0) return 0;
  try {
    refuseHeic(bytes);
    const decode = await loadSharp();
    const metadata = await decode(bytes, { failOn: 'none' }).metadata();
    return (metadata.width ?? 0) * (metadata.height ?? 0);
  } catch {
    // Whoever decodes it says what is wrong.
    return 0;
  }
}

/** ITU T.81: of a progressive JPEG, whose coefficients are all held until its last scan, what its frame's header says. */
function progressivePixels(bytes: Buffer): number {
  for (let at = 2; at + 9 <= bytes.length; ) {
    const marker = bytes[at] === 0xff ? bytes[at + 1]! : 0;
    if (marker === 0xc2) return bytes.readUInt16BE(at + 5) * bytes.readUInt16BE(at + 7);
    if (marker === 0xda || marker === 0xc0 || marker === 0xc1) return 0;
    at += marker === 0 || marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return 0;
}

/**
 * What the library warns of in photographs that every viewer shows: markers that cameras and phones write their own way. Damage to the
 * picture itself has other words.
 */
const harmless =
  /extraneous bytes before marker|Invalid SOS parameters|Inconsistent progression sequence|Unknown Adobe color transform|unknown JFIF revision|bad ICC marker/i;
const isJpeg = (bytes: Buffer) => bytes.length > 2 && bytes.readUInt16BE(0) === 0xffd8;

async function decodeTolerantly(bytes: Buffer, form: ImageForm): Promise<Decoded> {
  refuseHeic(bytes);
  // The library makes up what is missing of a picture, if only something follows.
  if (isJpeg(bytes) && !hasJpegEnd(bytes)) throw new Error('premature end');
  try {
    return await decodeStrictly(bytes, form, 'warning');
  } catch (error) {
    if (!isJpeg(bytes) || !harmless.test((error as Error).message)) throw error;
    return decodeStrictly(bytes, form, 'error');
  }
}

/** ITU T.81: the last marker. A thumbnail in front has an end of its own; in and behind the scan there is but the picture's. */
function hasJpegEnd(bytes: Buffer): boolean {
  for (let at = 2; at + 4 <= bytes.length; ) {
    const marker = bytes[at] === 0xff ? bytes[at + 1]! : 0;
    if (marker === 0xda) return bytes.includes(Buffer.from([0xff, 0xd9]), at);
    // Some cameras leave bytes between segments.
    at += marker === 0 || marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return false;
}

const PLAIN = { alpha: false, animated: false, deep: false };

async function decodeStrictly(
  bytes: Buffer,
  { height, width, channels, fit, background: wanted }: ImageForm,
  failOn: 'warning' | 'error',
): Promise<Decoded> {
  const decode = await loadSharp();
  const { alpha, animated, deep } = isJpeg(bytes) ? PLAIN : await describeImage(bytes);
  const ink = alpha ? await inkOf(bytes) : undefined;
  const background = ink?.transparent ? (wanted ?? showing(ink)) : undefined;
  const ground = background === 'white' ? WHITE : BLACK;
  const pixels = await decode(bytes, { failOn })
    .autoOrient()
    .flatten({ background: ground })
    .resize(width, height, { fit, background: ground })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .raw()
    .toBuffer();
  const expected = height * width * channels;
  if (pixels.length !== expected) {
    throw new Error(`${pixels.length} bytes of pixels; expected ${expected}`);
  }
  return { pixels, animated, deep, ...(background && { background }) };
}

/** An image that is whole, but of a kind that is not read. The message is a clause. */
class UnsupportedImage extends Error {
  override readonly name = 'UnsupportedImage';
}

export interface ImageKind {
  readonly format: string;
  /** Whether it has an alpha channel. */
  readonly alpha: boolean;
  /** More than one picture; the first is used. */
  readonly animated: boolean;
  /** More than 8 bits a channel; the upper 8 are used. */
  readonly deep: boolean;
}

/** What the library calls values that are no intensities of a known range. */
const wordsOf: Readonly<Record<string, string>> = {
  short: 'signed 16-bit integers',
  int: 'signed 32-bit integers',
  uint: '32-bit integers',
  float: '32-bit floating-point numbers',
  double: '64-bit floating-point numbers',
};

/**
 * What a file's beginning says.
 * @throws Error when it is no image that is read
 */
export async function describeImage(bytes: Buffer): Promise<ImageKind> {
  const decode = await loadSharp();
  refuseHeic(bytes);
  const metadata = await decode(bytes, { failOn: 'none' }).metadata();
  const { format, hasAlpha, depth, channels, space, pages = 1 } = metadata;
  if (!formats.has(format)) throw new UnsupportedImage(`its content is ${format}; save it as PNG or JPEG`);
  // The library would cut these to 0 to 255, whatever range they use; that of CIELAB is known.
  if (depth !== 'uchar' && depth !== 'ushort' && space !== 'lab')
    throw new UnsupportedImage(
      `its values are ${wordsOf[depth] ?? depth}, of unknown range; scale them and save them with 8 or 16 bits per channel`,
    );
  const most = space === 'cmyk' ? 5 : 4;
  if (channels > most)
    throw new UnsupportedImage(
      `it has ${channels} channels; select one or three of them and save them as PNG or TIFF`,
    );
  return {
    format,
    alpha: hasAlpha === true,
    animated: pages > 1,
    deep: depth === 'ushort',
  };
}

/**
 * Photographs of phones, whatever they are called: the library reads AVIF of this container, but not what is compressed by HEVC.
 * The brands are those of ISO/IEC 23008-12, annex B.
 */
function refuseHeic(bytes: Buffer): void {
  if (/^ftyp(hei[cxms]|hev[cxms])$/.test(bytes.toString('latin1', 4, 12)))
    throw new UnsupportedImage('it is a HEIC image, despite its name; save it as JPEG or PNG');
}

export interface Ink {
  /** Whether anything shines through. */
  readonly transparent: boolean;
  /** How much of the picture is dark, how much is bright, weighted by how opaque it is. */
  readonly dark: number;
  readonly bright: number;
}

/** Side to which a picture is brought to weigh its ink. */
const INK_SIDE = 64;

/** What is drawn on a transparent ground. */
export async function inkOf(bytes: Buffer): Promise<Ink> {
  const decode = await loadSharp();
  const data = await decode(bytes, { failOn: 'none' })
    .resize(INK_SIDE, INK_SIDE, { fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer();
  let [transparent, dark, bright] = [false, 0, 0];
  for (let at = 0; at < data.length; at += 4) {
    const opacity = data[at + 3]!;
    const light = (data[at]! + data[at + 1]! + data[at + 2]!) / 3;
    if (opacity < 255) transparent = true;
    dark += opacity * (255 - light);
    bright += opacity * light;
  }
  return { transparent, dark, bright };
}

/** The ground on which ink shows. */
export const showing = ({ dark, bright }: Pick<Ink, 'dark' | 'bright'>): Background =>
  dark > bright ? 'white' : 'black';

/** Why an image is not decoded, as a clause. */
export function whyNot(cause: unknown): string {
  if (cause instanceof UnsupportedImage) return cause.message;
  const [first = ''] = (cause as Error).message.split('\n');
  if (/unsupported image format/.test(first)) return 'it is not an image in a supported format';
  if (/^premature end$|premature end of JPEG/i.test(first)) return 'it is truncated';
  // libvips may lose what its decoder warned of: that it did is what is left.
  if (/exceeds pixel limit/i.test(first)) return 'it has more than 268 million pixels; save it smaller';
  if (
    /libpng read error|unable to parse image|corrupt header|^Warning treated as error|bad seek|quantization table/i.test(
      first,
    )
  )
    return 'it is damaged or truncated';
  if (/coordinates out of range/i.test(first)) return 'one of its sides is too long; save it smaller';
  return `it cannot be decoded: ${first}`;
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
