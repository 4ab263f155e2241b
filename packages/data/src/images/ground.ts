/** On what gray pictures are drawn: most digits are bright on dark, as in MNIST, and people draw dark on bright. */
import type { Dataset } from '../dataset.ts';

/** Pictures that are looked at. */
const LOOKED_AT = 100;

/** Whether the border of a picture of one channel is bright: dark ink on paper. */
export function hasBrightBorder(pixels: Uint8Array, width: number): boolean {
  const border = pixels.filter(
    (_, i) => i < width || i >= pixels.length - width || i % width === 0 || i % width === width - 1,
  );
  return border.reduce((sum, value) => sum + value, 0) / border.length > 127;
}

/** Whether most pictures of a data set have a bright border. Samples of other shapes than [height, width] and one channel have none. */
export async function isGroundBright(part: Dataset): Promise<boolean> {
  const [height = 0, width = 0, channels = 1, ...rest] = part.input.shape;
  if (height * width === 0 || channels !== 1 || rest.length > 0) return false;
  const count = Math.min(LOOKED_AT, part.samples);
  const size = height * width;
  const pixels = new Uint8Array(count * size);
  await part.gather(
    Uint32Array.from({ length: count }, (_, index) => index),
    pixels,
    new Uint8Array(count),
  );
  const bright = Array.from({ length: count }, (_, index) =>
    hasBrightBorder(pixels.subarray(index * size, (index + 1) * size), width),
  );
  return 2 * bright.filter(Boolean).length > count;
}
