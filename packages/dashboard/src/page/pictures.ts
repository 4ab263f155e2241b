/** Numbers as pictures: filters, feature maps, attention, and distributions over time. */
import { h } from './dom.ts';

/** A table of numbers, row-major; three channels make colours. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 1 or 3. */
  readonly channels: number;
  readonly values: ArrayLike<number>;
}

/** signed: blue below 0, red above it. heat: dark to light. grey: black to white. */
export type Palette = 'signed' | 'heat' | 'grey';
type Rgb = readonly [number, number, number];

const HEAT: readonly Rgb[] = [
  [13, 8, 60],
  [84, 20, 125],
  [168, 45, 114],
  [232, 95, 75],
  [252, 170, 60],
  [250, 248, 165],
];

function mix(stops: readonly Rgb[], at: number): Rgb {
  const place = Math.max(0, Math.min(1, at)) * (stops.length - 1);
  const index = Math.min(stops.length - 2, Math.floor(place));
  const part = place - index;
  const [a, b] = [stops[index]!, stops[index + 1]!];
  return [0, 1, 2].map((c) => a[c]! + part * (b[c]! - a[c]!)) as unknown as Rgb;
}

const SIGNED: readonly Rgb[] = [
  [28, 74, 190],
  [120, 160, 240],
  [245, 245, 245],
  [240, 140, 110],
  [180, 30, 40],
];

/** How a value between `low` and `high` is coloured. */
function paint(palette: Palette, value: number, low: number, high: number): Rgb {
  if (!Number.isFinite(value)) return [255, 0, 255];
  if (palette === 'signed') {
    const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    return mix(SIGNED, 0.5 + value / (2 * most));
  }
  const at = high > low ? (value - low) / (high - low) : 0;
  return palette === 'heat' ? mix(HEAT, at) : [255 * at, 255 * at, 255 * at];
}

export interface GridOptions {
  readonly label: string;
  readonly palette: Palette;
  /** Pictures in a row; default as square as it gets. */
  readonly columns?: number;
  /** One scale for all of them, so that they compare. Default: each has its own. */
  readonly shared?: boolean;
  /** Pixels that the whole should be wide, about. Default 420. */
  readonly width?: number;
}

const GAP = 1;

/** A canvas with the pictures side by side, each number a square. */
export function pictureGrid(pictures: readonly Picture[], options: GridOptions): HTMLCanvasElement {
  const { label, palette, shared = false, width: wanted = 420 } = options;
  const [first] = pictures;
  const canvas = h('canvas', { role: 'img', 'aria-label': label, class: 'pictures' });
  if (!first) return canvas;
  const columns = options.columns ?? Math.ceil(Math.sqrt((pictures.length * first.height) / first.width));
  const rows = Math.ceil(pictures.length / columns);
  canvas.width = columns * (first.width + GAP) - GAP;
  canvas.height = rows * (first.height + GAP) - GAP;
  const scale = Math.max(1, Math.min(16, Math.floor(wanted / canvas.width)));
  canvas.style.width = `${scale * canvas.width}px`;
  const context = canvas.getContext('2d')!;
  const all = shared ? rangeOf(pictures) : undefined;
  for (const [index, picture] of pictures.entries()) {
    const [low, high] = all ?? rangeOf([picture]);
    const image = context.createImageData(picture.width, picture.height);
    const { values, channels } = picture;
    for (let pixel = 0; pixel < picture.width * picture.height; pixel++) {
      for (let c = 0; c < 3; c++) {
        const [r, g, b] = paint(
          channels === 3 ? 'grey' : palette,
          values[pixel * channels + (channels === 3 ? c : 0)]!,
          low,
          high,
        );
        image.data[4 * pixel + c] = [r, g, b][c]!;
      }
      image.data[4 * pixel + 3] = 255;
    }
    const [x, y] = [index % columns, Math.floor(index / columns)];
    context.putImageData(image, x * (first.width + GAP), y * (first.height + GAP));
  }
  return canvas;
}

function rangeOf(pictures: readonly Picture[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { values } of pictures) {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low > high ? [0, 1] : [low, high];
}

/** Convolution filters, from weights [height, width, channels, filters]. With 1 or 3 channels a picture a filter; else one a channel. */
export function filterPictures(
  weights: Float32Array,
  [height, width, channels, filters]: readonly [number, number, number, number],
  most: { readonly filters: number; readonly channels: number },
): { pictures: Picture[]; columns: number | undefined } {
  const shown = Math.min(filters, most.filters);
  const value = (pixel: number, channel: number, filter: number) =>
    weights[(pixel * channels + channel) * filters + filter]!;
  const pixels = Array.from({ length: height * width }, (_, pixel) => pixel);
  const of = (filter: number, list: readonly number[]): Picture => ({
    ...{ width, height, channels: list.length },
    values: pixels.flatMap((pixel) => list.map((channel) => value(pixel, channel, filter))),
  });
  if (channels === 1 || channels === 3) {
    const list = Array.from({ length: channels }, (_, channel) => channel);
    return { pictures: Array.from({ length: shown }, (_, filter) => of(filter, list)), columns: undefined };
  }
  const columns = Math.min(channels, most.channels);
  const pictures = Array.from({ length: shown * columns }, (_, at) =>
    of(Math.floor(at / columns), [at % columns]),
  );
  return { pictures, columns };
}

/** What comes out of a layer for one sample, by its shape: a picture a channel, or one of all numbers. */
export function mapPictures(values: Float32Array, shape: readonly number[], most: number): Picture[] {
  if (shape.length === 3) {
    const [height, width, channels] = shape as [number, number, number];
    return Array.from({ length: Math.min(channels, most) }, (_, channel) => ({
      ...{ width, height, channels: 1 },
      values: Float32Array.from(
        { length: height * width },
        (_, pixel) => values[pixel * channels + channel]!,
      ),
    }));
  }
  if (shape.length === 2) return [{ width: shape[1]!, height: shape[0]!, channels: 1, values }];
  const width = Math.min(values.length, 64);
  const height = Math.ceil(values.length / width);
  const padded = new Float32Array(width * height).fill(Number.NaN);
  padded.set(values);
  return [
    {
      width,
      height,
      channels: 1,
      values: height > 1 && values.length % width > 0 ? padded.fill(0, values.length) : padded,
    },
  ];
}

/** The attention maps [heads, time, time] of one sample, a picture a head. */
export function attentionPictures(values: Float32Array, [heads, time]: readonly [number, number]): Picture[] {
  const size = time * time;
  return Array.from({ length: heads }, (_, head) => ({
    ...{ width: time, height: time, channels: 1 },
    values: values.subarray(head * size, (head + 1) * size),
  }));
}
