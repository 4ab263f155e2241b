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
}

/** MNIST's digits fill 20 of 28 pixels. */
const FILLED = 20 / 28;

/** What images a job's network takes; undefined when it takes none. Bytes that were normalised were pixels. */
export function imageFormOf({ shape, preparation }: Samples): ImageForm | undefined {
  const [height, width, channels = 1] = shape;
  const { mean, std, image, text } = preparation;
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
    digits: !image && channels === 1,
  };
}

export function sampleOfDrawing(canvas: HTMLCanvasElement, form: ImageForm): Float32Array | undefined {
  if (!form.digits) return normalized(drawn(canvas, canvas, form), form);
  const box = inkBox(canvas);
  return box && normalized(centred(canvas, box, form), form);
}

/** The middle of the picture, as large as it gets. */
export function sampleOfImage(image: ImageBitmap, form: ImageForm): Float32Array {
  const pixels = drawn(image, image, form);
  if (form.digits && isLight(pixels)) {
    for (let i = 0; i < pixels.length; i++) if (i % 4 < 3) pixels[i] = 255 - pixels[i]!;
  }
  return normalized(pixels, form);
}

type Pixels = Uint8ClampedArray;
interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function context({ width, height }: Pick<ImageForm, 'width' | 'height'>): OffscreenCanvasRenderingContext2D {
  const made = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  made.fillStyle = '#000';
  made.fillRect(0, 0, width, height);
  made.imageSmoothingQuality = 'high';
  return made;
}

function drawn(source: CanvasImageSource, size: { width: number; height: number }, form: ImageForm): Pixels {
  const to = context(form);
  const scale = Math.max(form.width / size.width, form.height / size.height);
  const [width, height] = [size.width * scale, size.height * scale];
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
function isLight(pixels: Pixels): boolean {
  const corners = [0, pixels.length - 4];
  return corners.every((corner) => pixels[corner]! > 127);
}

function normalized(pixels: Pixels, { width, height, channels, mean, std }: ImageForm): Float32Array {
  const x = new Float32Array(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [r, g, b] = pixels.subarray(4 * pixel, 4 * pixel + 3) as unknown as [number, number, number];
    const values = channels === 3 ? [r, g, b] : [0.299 * r + 0.587 * g + 0.114 * b];
    for (let c = 0; c < channels; c++) x[pixel * channels + c] = (values[c]! / 255 - mean[c]!) / std[c]!;
  }
  return x;
}
