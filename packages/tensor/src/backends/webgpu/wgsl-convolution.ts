/**
 * Convolution and its adjoints as WGSL: matrix products whose sides are found in the image while tiles are loaded (implicit
 * GEMM), a product for each group. Groups too narrow for a tile, depthwise convolution above all, walk over the products of
 * each element's sum instead.
 */
import type { Node } from '../../graph.ts';
import { type ConvolutionSizes, convolutionSizes } from '../../ops/conv2d.ts';
import { sizeOf } from '../../shape.ts';
import { type ProductSizes, tiledProduct } from './wgsl-matmul.ts';
import type { Dispatch, Kernel } from './wgsl-module.ts';
import { longSum } from './wgsl-sums.ts';

/** Channels and filters of a group below which most of a tile would be empty. */
const NARROW = 4;

const isNarrow = ({ groups, channels, filters }: ConvolutionSizes): boolean =>
  groups > 1 && Math.min(channels, filters) < NARROW;

/** The product that a node of any of the three operations is; undefined where its groups are too narrow for one. */
export function convolutionProduct(node: Node): ProductSizes | undefined {
  const sizes = convolutionSizes(node);
  if (isNarrow(sizes)) return undefined;
  const { samples, image, places, window, groups: batch, channels, filters } = sizes;
  const [taps, results] = [window[0] * window[1], samples * places[0] * places[1]];
  switch (node.op) {
    case 'conv2d':
      return { batch, m: results, n: filters, k: taps * channels };
    case 'conv2dInputGradient':
      return { batch, m: samples * image[0] * image[1], n: channels, k: taps * filters };
    default:
      return { batch, m: taps * channels, n: filters, k: results };
  }
}

/** Products of each element's sum. */
function termsOf(node: Node): number {
  const { samples, places, window, channels, filters } = convolutionSizes(node);
  if (node.op === 'conv2dWeightGradient') return samples * places[0] * places[1];
  return window[0] * window[1] * (node.op === 'conv2d' ? channels : filters);
}

/** Sizes as WGSL constants; rows and columns are x and y. */
function constants(node: Node): string {
  const { image, places, window, stride, padding, dilation, groups, channels, filters, samples } =
    convolutionSizes(node);
  const pair = (name: string, [rows, columns]: readonly [number, number]) =>
    `const ${name} = vec2<i32>(${rows}, ${columns});`;
  return `${pair('image', image)} ${pair('places', places)} ${pair('window', window)}
${pair('stride', stride)} ${pair('padding', padding)} ${pair('dilation', dilation)}
const samples = ${samples}; const parts = ${groups}; const channels = ${channels}; const filters = ${filters};`;
}

const inside = (position: string, extents: string) =>
  `${position}.x >= 0 && ${position}.y >= 0 && ${position}.x < ${extents}.x && ${position}.y < ${extents}.y`;

/** What the image, tensor `i` of the kernel, has under a tap of the window at a place. */
const underWindow = (kernel: Kernel, i: number) => `
fn under_window(group: i32, place: i32, tap: i32, c: i32) -> f32 {
  let at_place = vec2<i32>((place / places.y) % places.x, place % places.y);
  let pixel = at_place * stride + vec2<i32>(tap / window.y, tap % window.y) * dilation - padding;
  if (!(${inside('pixel', 'image')})) { return 0.0; }
  let sample = place / (places.x * places.y);
  return ${kernel.read(i, 'u32((((sample * image.x + pixel.x) * image.y + pixel.y) * parts + group) * channels + c)')};
}`;

/** What the result's gradient, tensor 0 of the kernel, has where the window's tap covers a pixel. */
const overPixel = (kernel: Kernel) => `
fn over_pixel(group: i32, pixel: i32, tap: i32, f: i32) -> f32 {
  let position = vec2<i32>((pixel / image.y) % image.x, pixel % image.y) + padding;
  let start = position - vec2<i32>(tap / window.y, tap % window.y) * dilation;
  let place = start / stride;
  if (start.x < 0 || start.y < 0 || any(place * stride != start) || !(${inside('place', 'places')})) { return 0.0; }
  let sample = pixel / (image.x * image.y);
  return ${kernel.read(0, 'u32((((sample * places.x + place.x) * places.y + place.y) * parts + group) * filters + f)')};
}`;

/** Element of a weight, counted in i32. */
const WEIGHT = '((tap * channels + c) * parts + group) * filters + f';

export function convolve(node: Node, kernel: Kernel): Dispatch[] {
  const helpers = constants(node) + underWindow(kernel, 0);
  const product = convolutionProduct(node);
  if (product) {
    const { channels, filters, groups } = convolutionSizes(node);
    return tiledProduct(kernel, {
      ...product,
      helpers,
      a: `under_window(i32(b), i32(row), i32(p / ${channels}u), i32(p % ${channels}u))`,
      b: kernel.read(1, `(p * ${groups}u + b) * ${filters}u + column`),
      store: kernel.write(2, `(row * ${groups}u + b) * ${filters}u + column`, 'value'),
    });
  }
  const { declare, carry, finish } = longSum('sum', termsOf(node));
  const body = `let f = i32(e) % filters; let group = (i32(e) / filters) % parts; let place = i32(e) / (parts * filters);
  ${declare}
  for (var tap = 0; tap < window.x * window.y; tap++) {
    for (var c = 0; c < channels; c++) {
      sum += under_window(group, place, tap, c) * ${kernel.read(1, `u32(${WEIGHT})`)};
      ${carry('u32(tap * channels + c)')}
    }
  }
  ${finish}
  ${kernel.write(2, 'e', 'sum')}`;
  return kernel.each(sizeOf(node.shape), body, helpers);
}

export function convolutionInputGradient(node: Node, kernel: Kernel): Dispatch[] {
  const helpers = constants(node) + overPixel(kernel);
  const product = convolutionProduct(node);
  if (product) {
    const { channels, filters, groups } = convolutionSizes(node);
    const weight = `((p / ${filters}u * ${channels}u + column) * ${groups}u + b) * ${filters}u + p % ${filters}u`;
    return tiledProduct(kernel, {
      ...product,
      helpers,
      a: `over_pixel(i32(b), i32(row), i32(p / ${filters}u), i32(p % ${filters}u))`,
      b: kernel.read(1, weight),
      store: kernel.write(2, `(row * ${groups}u + b) * ${channels}u + column`, 'value'),
    });
  }
  const { declare, carry, finish } = longSum('sum', termsOf(node));
  const body = `let c = i32(e) % channels; let group = (i32(e) / channels) % parts; let pixel = i32(e) / (channels * parts);
  ${declare}
  for (var tap = window.x * window.y - 1; tap >= 0; tap--) {
    for (var f = 0; f < filters; f++) {
      sum += over_pixel(group, pixel, tap, f) * ${kernel.read(1, `u32(${WEIGHT})`)};
      ${carry('u32((window.x * window.y - 1 - tap) * filters + f)')}
    }
  }
  ${finish}
  ${kernel.write(2, 'e', 'sum')}`;
  return kernel.each(sizeOf(node.shape), body, helpers);
}

export function convolutionWeightGradient(node: Node, kernel: Kernel): Dispatch[] {
  const helpers = constants(node) + underWindow(kernel, 0);
  const product = convolutionProduct(node);
  if (product) {
    const { channels, filters, groups } = convolutionSizes(node);
    return tiledProduct(kernel, {
      ...product,
      helpers,
      a: `under_window(i32(b), i32(p), i32(row / ${channels}u), i32(row % ${channels}u))`,
      b: kernel.read(1, `(p * ${groups}u + b) * ${filters}u + column`),
      store: kernel.write(2, `(row * ${groups}u + b) * ${filters}u + column`, 'value'),
    });
  }
  const { declare, carry, finish } = longSum('sum', termsOf(node));
  const body = `let f = i32(e) % filters; let group = (i32(e) / filters) % parts;
  let c = (i32(e) / (parts * filters)) % channels; let tap = i32(e) / (parts * filters * channels);
  ${declare}
  for (var place = 0; place < samples * places.x * places.y; place++) {
    sum += under_window(group, place, tap, c) * ${kernel.read(1, 'u32((place * parts + group) * filters + f)')};
    ${carry('u32(place)')}
  }
  ${finish}
  ${kernel.write(2, 'e', 'sum')}`;
  return kernel.each(sizeOf(node.shape), body, helpers);
}
