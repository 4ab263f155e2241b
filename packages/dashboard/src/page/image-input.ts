/** From a drawing or an image to what a network takes: brought to its size, centred as its training data was, normalised. */
import type { Samples } from './remote.ts';

export interface ImageForm {
  readonly width: number;
  readonly height: number;
  /** 1 or 3. */
  readonly channels: number;
  /** One a channel, of values 0 to 1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Drawn white on black and centred by weight, as MNIST and its kin are. */
  readonly digits: boolean;
  readonly fit: 'cover' | 'contain' | 'fill';
  /** On what training put transparent parts; absent where it met none. */
  readonly background?: Background | undefined;
}

export type Background = 'black' | 'white';

export interface ImageSample {
  readonly x: Float32Array;
  /** On what it was put, where parts of it are transparent. */
  readonly background?: Background | undefined;
}

/** MNIST's digits fill 20 of 28 pixels. */
const FILLED = 20 / 28;

/** What images a job's network takes; undefined when it takes none. Bytes that were normalised were pixels. */
export function imageFormOf({ shape, preparation }: Samples): ImageForm | undefined {
  const [height, width, channels = 1] = shape;
  const { mean, std, image, text, ground } = preparation;
  if (
    shape.length < 2 ||
    shape.length > 3 ||
    (channels !== 1 && channels !== 3) ||
    text ||
    mean === undefined
  )
    return undefined;
  const each = (value: number | readonly number[] | undefined, otherwise: number) =>
    Array.from({ length: channels }, (_, c) =>
      typeof value === 'number' ? value : (value?.[c] ?? value?.[0] ?? otherwise),
    );
  return {
    width: width!,
    height: height!,
    channels,
    mean: each(mean, 0),
    std: each(std, 1),
    digits: !image && channels === 1 && ground !== 'bright',
    fit: image?.fit ?? 'contain',
    background: image?.background ?? (ground === 'bright' ? 'white' : undefined),
  };
}

export function sampleOfDrawing(canvas: HTMLCanvasElement, form: ImageForm): Float32Array | undefined {
  if (!form.digits) {
    const pixels = drawn(canvas, form, 'black');
    // The pad is drawn on in white: on a white ground the network has seen dark ink.
    if (form.background === 'white') invert(pixels);
    return normalized(pixels, form);
  }
  const box = inkBox(canvas);
  return box && normalized(centred(canvas, box, form), form);
}

/** As `kasane predict` reads it: brought to size as in training, transparent parts put on the ground that training had, or that shows them. */
export function sampleOfImage(image: ImageBitmap, form: ImageForm): ImageSample {
  const ink = inkOf(image);
  const background = ink.transparent
    ? (form.background ?? (ink.dark > ink.bright ? 'white' : 'black'))
    : undefined;
  const pixels = drawn(image, form, background ?? 'black');
  if (form.digits && hasBrightBorder(pixels, form)) invert(pixels);
  return { x: normalized(pixels, form), background };
}

/** Side to which a picture is brought to weigh its ink. */
const INK_SIDE = 64;

/** How much of it is dark, how much is bright, weighted by how opaque it is. */
function inkOf(image: ImageBitmap): { transparent: boolean; dark: number; bright: number } {
  const scale = Math.min(1, INK_SIDE / Math.max(image.width, image.height));
  const [width, height] = [image.width, image.height].map((extent) =>
    Math.max(1, Math.round(extent * scale)),
  );
  const to = new OffscreenCanvas(width!, height!).getContext('2d', { willReadFrequently: true })!;
  to.drawImage(image, 0, 0, width!, height!);
  const { data } = to.getImageData(0, 0, width!, height!);
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

type Pixels = Uint8ClampedArray;
interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function context(
  { width, height }: Pick<ImageForm, 'width' | 'height'>,
  ground: Background = 'black',
): OffscreenCanvasRenderingContext2D {
  const made = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  made.fillStyle = ground;
  made.fillRect(0, 0, width, height);
  made.imageSmoothingQuality = 'high';
  return made;
}

function drawn(source: ImageBitmap | HTMLCanvasElement, form: ImageForm, ground: Background): Pixels {
  const to = context(form, ground);
  const [across, down] = [form.width / source.width, form.height / source.height];
  const scale = form.fit === 'cover' ? Math.max(across, down) : Math.min(across, down);
  const [width, height] =
    form.fit === 'fill' ? [form.width, form.height] : [source.width * scale, source.height * scale];
  to.drawImage(source, (form.width - width) / 2, (form.height - height) / 2, width, height);
  return to.getImageData(0, 0, form.width, form.height).data;
}

/** Where anything is drawn. */
function inkBox(canvas: HTMLCanvasElement): Box | undefined {
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d')!.getImageData(0, 0, width, height);
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[4 * (y * width + x)]! < 64) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  return right < 0 ? undefined : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

/** The ink at the size that digits have, its centre of gravity in the middle. */
function centred(canvas: HTMLCanvasElement, box: Box, form: ImageForm): Pixels {
  const scale = (FILLED * Math.min(form.width, form.height)) / Math.max(box.width, box.height);
  const [width, height] = [box.width * scale, box.height * scale];
  const draw = (x: number, y: number) => {
    const to = context(form);
    to.drawImage(canvas, box.x, box.y, box.width, box.height, x, y, width, height);
    return to.getImageData(0, 0, form.width, form.height).data;
  };
  const [x, y] = [(form.width - width) / 2, (form.height - height) / 2];
  const first = draw(x, y);
  let [mass, sumX, sumY] = [0, 0, 0];
  for (let pixel = 0; pixel < form.width * form.height; pixel++) {
    const ink = first[4 * pixel]!;
    mass += ink;
    sumX += ink * (pixel % form.width);
    sumY += ink * Math.floor(pixel / form.width);
  }
  if (mass === 0) return first;
  return draw(
    x + Math.round((form.width - 1) / 2 - sumX / mass),
    y + Math.round((form.height - 1) / 2 - sumY / mass),
  );
}

/** Whether the edge is light: dark ink on paper. */
function hasBrightBorder(pixels: Pixels, { width, height }: ImageForm): boolean {
  let [sum, count] = [0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (x > 0 && y > 0 && x < width - 1 && y < height - 1) continue;
      sum += grey(pixels, 4 * (y * width + x));
      count++;
    }
  }
  return sum / count > 127;
}

function invert(pixels: Pixels): void {
  for (let i = 0; i < pixels.length; i++) if (i % 4 < 3) pixels[i] = 255 - pixels[i]!;
}

/** Luminance of sRGB (IEC 61966-2-1), as the images of a training are made grey. */
function grey(pixels: Pixels, at: number): number {
  const [r, g, b] = [pixels[at]!, pixels[at + 1]!, pixels[at + 2]!];
  if (r === g && g === b) return r;
  const linear = (value: number) =>
    value <= 10.314_75 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return Math.round(255 * (light <= 0.003_130_8 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055));
}

function normalized(pixels: Pixels, { width, height, channels, mean, std }: ImageForm): Float32Array {
  const x = new Float32Array(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [r, g, b] = pixels.subarray(4 * pixel, 4 * pixel + 3) as unknown as [number, number, number];
    const values = channels === 3 ? [r, g, b] : [grey(pixels, 4 * pixel)];
    for (let c = 0; c < channels; c++) x[pixel * channels + c] = (values[c]! / 255 - mean[c]!) / std[c]!;
  }
  return x;
}
