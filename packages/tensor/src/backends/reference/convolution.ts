/** The definition of convolution and its adjoints: three uses of one walk over every product of the sum. */
import type { Node } from '../../graph.ts';
import { type ConvolutionSizes, convolutionSizes } from '../../ops/conv2d.ts';
import { sizeOf } from '../../shape.ts';

type Values = Float64Array;

/** Where one axis of a window, at one of its places, covers a pixel of the image. */
interface Covered {
  readonly place: number;
  readonly tap: number;
  readonly pixel: number;
}

/** All of an axis, place by place; what lies in the padding is left out. */
function coveredAlong(
  axis: 0 | 1,
  { image, places, window, stride, padding, dilation }: ConvolutionSizes,
): readonly Covered[] {
  const found: Covered[] = [];
  for (let place = 0; place < places[axis]; place++) {
    for (let tap = 0; tap < window[axis]; tap++) {
      const pixel = place * stride[axis] + tap * dilation[axis] - padding[axis];
      if (pixel >= 0 && pixel < image[axis]) found.push({ place, tap, pixel });
    }
  }
  return found;
}

/** Calls `visit` for every pixel under every window of every sample. */
function eachCovered(
  sizes: ConvolutionSizes,
  visit: (pixel: number, tap: number, place: number) => void,
): void {
  const { samples, image, places, window } = sizes;
  const columns = coveredAlong(1, sizes);
  const rows = coveredAlong(0, sizes);
  for (let sample = 0; sample < samples; sample++) {
    for (const row of rows) {
      for (const column of columns) {
        visit(
          (sample * image[0] + row.pixel) * image[1] + column.pixel,
          row.tap * window[1] + column.tap,
          (sample * places[0] + row.place) * places[1] + column.place,
        );
      }
    }
  }
}

/** Calls `visit` for every product, with the places of its three numbers in image, weight and result. */
function eachProduct(
  sizes: ConvolutionSizes,
  visit: (inImage: number, inWeight: number, inResult: number) => void,
): void {
  const { groups, channels, filters } = sizes;
  eachCovered(sizes, (pixel, tap, place) => {
    for (let group = 0; group < groups; group++) {
      for (let c = 0; c < channels; c++) {
        for (let f = 0; f < filters; f++) {
          visit(
            (pixel * groups + group) * channels + c,
            ((tap * channels + c) * groups + group) * filters + f,
            (place * groups + group) * filters + f,
          );
        }
      }
    }
  });
}

export function convolve(node: Node, inputs: readonly Values[]): Values {
  const [x, weight] = inputs as readonly [Values, Values];
  const y = new Float64Array(sizeOf(node.shape));
  eachProduct(convolutionSizes(node), (inImage, inWeight, inResult) => {
    y[inResult]! += x[inImage]! * weight[inWeight]!;
  });
  return y;
}

export function convolutionInputGradient(node: Node, inputs: readonly Values[]): Values {
  const [g, weight] = inputs as readonly [Values, Values];
  const x = new Float64Array(sizeOf(node.shape));
  eachProduct(convolutionSizes(node), (inImage, inWeight, inResult) => {
    x[inImage]! += g[inResult]! * weight[inWeight]!;
  });
  return x;
}

export function convolutionWeightGradient(node: Node, inputs: readonly Values[]): Values {
  const [x, g] = inputs as readonly [Values, Values];
  const weight = new Float64Array(sizeOf(node.shape));
  eachProduct(convolutionSizes(node), (inImage, inWeight, inResult) => {
    weight[inWeight]! += x[inImage]! * g[inResult]!;
  });
  return weight;
}
