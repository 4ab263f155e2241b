/**
 * Changes training images at random, so that a network sees no picture twice. What happens to an image is a function of seed,
 * epoch, its index and the list of steps: additions, multiplications and square roots only, which every engine computes alike.
 */
import { cosineOfPi } from '@kasane/tensor/internal/optim/exact';
import { type Key, philox4x32, unitInterval, type Words } from '@kasane/tensor/random';

/** One step. Probabilities and sizes were checked where the job was. */
export type Augmentation =
  /** Moves the picture by up to `padding` pixels each way; what comes in is black. */
  | { readonly type: 'crop'; readonly padding: number }
  /** A part of the picture, of an area within `scale` and an aspect ratio within `ratio`, stretched to the whole. */
  | { readonly type: 'resizedCrop'; readonly scale: readonly number[]; readonly ratio: readonly number[] }
  | { readonly type: 'flip'; readonly axis: 'horizontal' | 'vertical'; readonly probability: number }
  /** By up to so many degrees either way; what comes in is black. */
  | { readonly type: 'rotate'; readonly degrees: number }
  /** Each factor is drawn from 1 - v to 1 + v. */
  | {
      readonly type: 'jitter';
      readonly brightness: number;
      readonly contrast: number;
      readonly saturation: number;
    }
  /** A square of this side, anywhere, in the mean colour (DeVries and Taylor 2017). */
  | { readonly type: 'cutout'; readonly size: number };

/** Row-major, `channels` bytes a pixel. */
interface Picture {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}
type Draw = () => number;
type Step<T extends Augmentation['type']> = (
  options: Extract<Augmentation, { type: T }>,
  from: Uint8Array,
  to: Uint8Array,
  picture: Picture,
  draw: Draw,
  fill: readonly number[],
) => void;

/** Word 3 of the Philox counter for the first step of a list; `tensor/random.ts` says who uses which. */
const AUGMENT_STREAM = 0x8000_0100;

/** Fills `image` in with what becomes of the one in it. */
export type Augmenter = (image: Uint8Array, id: number, epoch: number) => void;

/**
 * @param shape [height, width] of grey images, or [height, width, channels]
 * @param mean what cutout fills with: 0..1, one number, or one a channel
 */
export function augmenter(
  steps: readonly Augmentation[],
  shape: readonly number[],
  mean: readonly number[],
  key: Key,
): Augmenter {
  const [height, width, channels = 1] = shape as [number, number, number?];
  const picture = { height, width, channels };
  const fill = Array.from({ length: channels }, (_, c) => round(255 * (mean[c] ?? mean[0]!)));
  const scratch = new Uint8Array(height * width * channels);
  return (image, id, epoch) => {
    for (const [index, step] of steps.entries()) {
      let words: Words = [0, 0, 0, 0];
      let drawn = 0;
      const draw = () => {
        if (drawn % 4 === 0) words = philox4x32([drawn / 4, id, epoch, AUGMENT_STREAM + index], key);
        return unitInterval(words[drawn++ % 4]!);
      };
      (perform[step.type] as Step<typeof step.type>)(step as never, image, scratch, picture, draw, fill);
      image.set(scratch);
    }
  };
}

const round = (value: number) => Math.floor(value + 0.5);
/** A whole number from 0 to `most`. */
const upTo = (most: number, draw: Draw) => Math.floor(draw() * (most + 1));
const between = ([low, high]: readonly number[], draw: Draw) => low! + draw() * (high! - low!);

const perform: { readonly [T in Augmentation['type']]: Step<T> } = {
  crop: ({ padding }, from, to, { height, width, channels }, draw) => {
    const down = upTo(2 * padding, draw) - padding;
    const right = upTo(2 * padding, draw) - padding;
    to.fill(0);
    const [left, end] = [Math.max(0, -right), Math.min(width, width - right)];
    for (let y = Math.max(0, -down); y < Math.min(height, height - down) && left < end; y++) {
      const row = (y + down) * width + right;
      to.set(from.subarray((row + left) * channels, (row + end) * channels), (y * width + left) * channels);
    }
  },
  resizedCrop: ({ scale, ratio }, from, to, picture, draw) => {
    const { height, width } = picture;
    const area = between(scale, draw) * height * width;
    const aspect = between(ratio, draw);
    const [rows, columns] = [Math.sqrt(area / aspect), Math.sqrt(area * aspect)].map(round) as [
      number,
      number,
    ];
    const [h, w] = [Math.max(1, Math.min(height, rows)), Math.max(1, Math.min(width, columns))];
    const [top, left] = [upTo(height - h, draw), upTo(width - w, draw)];
    // Pixel centres of the part, laid over those of the whole; at its edge, the edge.
    const inside = (value: number, low: number, extent: number) =>
      Math.max(low, Math.min(low + extent - 1, value));
    resample(from, to, picture, (y, x) => [
      inside(top + ((y + 0.5) * h) / height - 0.5, top, h),
      inside(left + ((x + 0.5) * w) / width - 0.5, left, w),
    ]);
  },
  flip: ({ axis, probability }, from, to, { height, width, channels }, draw) => {
    to.set(from);
    if (draw() >= probability) return;
    for (let y = 0; y < height; y++) {
      if (axis === 'vertical') {
        const row = from.subarray(y * width * channels, (y + 1) * width * channels);
        to.set(row, (height - 1 - y) * width * channels);
        continue;
      }
      for (let x = 0; x < width; x++) {
        const [at, other] = [(y * width + x) * channels, (y * width + width - 1 - x) * channels];
        for (let c = 0; c < channels; c++) to[at + c] = from[other + c]!;
      }
    }
  },
  rotate: ({ degrees }, from, to, picture, draw) => {
    const turn = ((2 * draw() - 1) * degrees) / 180;
    const cos = cosineOfPi(Math.abs(turn));
    const sin = (turn < 0 ? -1 : 1) * cosineOfPi(Math.abs(0.5 - Math.abs(turn)));
    const [middleY, middleX] = [(picture.height - 1) / 2, (picture.width - 1) / 2];
    resample(from, to, picture, (y, x) => {
      const [dy, dx] = [y - middleY, x - middleX];
      return [middleY + cos * dy + sin * dx, middleX - sin * dy + cos * dx];
    });
  },
  jitter: ({ brightness, contrast, saturation }, from, to, { channels }, draw) => {
    const factor = (spread: number) => 1 + (2 * draw() - 1) * spread;
    const [bright, contrasted, saturated] = [factor(brightness), factor(contrast), factor(saturation)];
    const pixels = from.length / channels;
    const grey = (at: number) =>
      channels === 3 ? 0.299 * from[at]! + 0.587 * from[at + 1]! + 0.114 * from[at + 2]! : from[at]!;
    let sum = 0;
    for (let i = 0; i < pixels; i++) sum += bright * grey(i * channels);
    const middle = sum / pixels;
    const clamp = (value: number) => Math.max(0, Math.min(255, round(value)));
    for (let i = 0; i < pixels; i++) {
      const own = middle + contrasted * (bright * grey(i * channels) - middle);
      for (let c = 0; c < channels; c++) {
        const value = middle + contrasted * (bright * from[i * channels + c]! - middle);
        to[i * channels + c] = clamp(channels === 3 ? own + saturated * (value - own) : value);
      }
    }
  },
  cutout: ({ size }, from, to, { height, width, channels }, draw, fill) => {
    to.set(from);
    const [top, left] = [upTo(height - 1, draw) - (size >> 1), upTo(width - 1, draw) - (size >> 1)];
    for (let y = Math.max(0, top); y < Math.min(height, top + size); y++) {
      for (let x = Math.max(0, left); x < Math.min(width, left + size); x++) {
        for (let c = 0; c < channels; c++) to[(y * width + x) * channels + c] = fill[c]!;
      }
    }
  },
};

/** to[y, x] = from at `place(y, x)`, between its four neighbours; black outside. */
function resample(
  from: Uint8Array,
  to: Uint8Array,
  { height, width, channels }: Picture,
  place: (y: number, x: number) => readonly [number, number],
): void {
  const at = (y: number, x: number, c: number) =>
    y < 0 || x < 0 || y >= height || x >= width ? 0 : from[(y * width + x) * channels + c]!;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [py, px] = place(y, x);
      const [top, left] = [Math.floor(py), Math.floor(px)];
      const [fy, fx] = [py - top, px - left];
      for (let c = 0; c < channels; c++) {
        const upper = at(top, left, c) + fx * (at(top, left + 1, c) - at(top, left, c));
        const lower = at(top + 1, left, c) + fx * (at(top + 1, left + 1, c) - at(top + 1, left, c));
        to[(y * width + x) * channels + c] = round(upper + fy * (lower - upper));
      }
    }
  }
}
