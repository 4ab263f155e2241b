/** The definition of convolution and its adjoints: three uses of one walk over every product of the sum. */
import type { Node } from '../../graph.ts';
import { type ConvolutionSizes, convolutionSizes } from '../../ops/conv2d.ts';
import { sizeOf } from '../../shape.ts';

type Values = Float64Array;

/** Calls `visit` for every product, with the places of its three numbers in image, weight and result. */
function eachProduct(
  sizes: ConvolutionSizes,
  visit: (inImage: number, inWeight: number, inResult: number) => void,
): void {
  const { samples, image, places, window, stride, padding, dilation, groups, channels, filters } = sizes;
  for (let sample = 0; sample < samples; sample++) {
    for (let r = 0; r < places[0]; r++) {
      for (let q = 0; q < places[1]; q++) {
        for (let i = 0; i < window[0]; i++) {
          for (let j = 0; j < window[1]; j++) {
            const row = r * stride[0] + i * dilation[0] - padding[0];
            const column = q * stride[1] + j * dilation[1] - padding[1];
            if (row < 0 || row >= image[0] || column < 0 || column >= image[1]) continue;
            const pixel = (sample * image[0] + row) * image[1] + column;
            const place = (sample * places[0] + r) * places[1] + q;
            for (let group = 0; group < groups; group++) {
              for (let c = 0; c < channels; c++) {
                for (let f = 0; f < filters; f++) {
                  visit(
                    (pixel * groups + group) * channels + c,
                    (((i * window[1] + j) * channels + c) * groups + group) * filters + f,
                    (place * groups + group) * filters + f,
                  );
                }
              }
            }
          }
        }
      }
    }
  }
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
