/**
 * Convolution and its adjoints as WGSL: what computes element e of the result, by a walk over the products of its sum. The first
 * elements of the inputs and of the result are in at[0].
 */
import type { Node } from '../../graph.ts';
import { convolutionSizes } from '../../ops/conv2d.ts';

/** Sizes as WGSL constants, and the number of rows and columns of windows that cover a place of the image. */
function constants(node: Node): string {
  const { image, places, window, stride, padding, dilation, groups, channels, filters, samples } =
    convolutionSizes(node);
  const pair = (name: string, [rows, columns]: readonly [number, number]) =>
    `const ${name} = vec2<i32>(${rows}, ${columns});`;
  return `${pair('image', image)} ${pair('places', places)} ${pair('window', window)}
  ${pair('stride', stride)} ${pair('padding', padding)} ${pair('dilation', dilation)}
  const samples = ${samples}; const parts = ${groups}; const channels = ${channels}; const filters = ${filters};
  let at0 = i32(at[0].x); let at1 = i32(at[0].y); let n = i32(e);
  var sum = 0.0f;`;
}

const inside = (position: string, extents: string) =>
  `${position}.x >= 0 && ${position}.y >= 0 && ${position}.x < ${extents}.x && ${position}.y < ${extents}.y`;

export function convolve(node: Node): string {
  return `${constants(node)}
  let f = n % (parts * filters);
  let group = f / filters;
  let place = n / (parts * filters);
  let sample = place / (places.x * places.y);
  let start = vec2<i32>((place / places.y) % places.x, place % places.y) * stride - padding;
  for (var i = 0; i < window.x; i++) {
    for (var j = 0; j < window.y; j++) {
      let pixel = start + vec2<i32>(i, j) * dilation;
      if (${inside('pixel', 'image')}) {
        let source = at0 + (((sample * image.x + pixel.x) * image.y + pixel.y) * parts + group) * channels;
        let weight = at1 + (i * window.y + j) * channels * parts * filters + f;
        for (var c = 0; c < channels; c++) { sum += m[source + c] * m[weight + c * parts * filters]; }
      }
    }
  }
  m[at[0].z + e] = sum;`;
}

export function convolutionInputGradient(node: Node): string {
  return `${constants(node)}
  let c = n % channels;
  let group = (n / channels) % parts;
  let pixel = n / (channels * parts);
  let sample = pixel / (image.x * image.y);
  let position = vec2<i32>((pixel / image.y) % image.x, pixel % image.y) + padding;
  for (var i = window.x - 1; i >= 0; i--) {
    for (var j = window.y - 1; j >= 0; j--) {
      let start = position - vec2<i32>(i, j) * dilation;
      let place = start / stride;
      if (start.x >= 0 && start.y >= 0 && all(place * stride == start) && ${inside('place', 'places')}) {
        let source = at0 + (((sample * places.x + place.x) * places.y + place.y) * parts + group) * filters;
        let weight = at1 + (((i * window.y + j) * channels + c) * parts + group) * filters;
        for (var f = 0; f < filters; f++) { sum += m[source + f] * m[weight + f]; }
      }
    }
  }
  m[at[0].z + e] = sum;`;
}

export function convolutionWeightGradient(node: Node): string {
  return `${constants(node)}
  let f = n % (parts * filters);
  let group = f / filters;
  let c = (n / (parts * filters)) % channels;
  let tap = n / (parts * filters * channels);
  let offset = vec2<i32>(tap / window.y, tap % window.y) * dilation - padding;
  for (var sample = 0; sample < samples; sample++) {
    for (var r = 0; r < places.x; r++) {
      for (var q = 0; q < places.y; q++) {
        let pixel = vec2<i32>(r, q) * stride + offset;
        if (${inside('pixel', 'image')}) {
          let source = (((sample * image.x + pixel.x) * image.y + pixel.y) * parts + group) * channels + c;
          let result = ((sample * places.x + r) * places.y + q) * parts * filters + f;
          sum += m[at0 + source] * m[at1 + result];
        }
      }
    }
  }
  m[at[0].z + e] = sum;`;
}
