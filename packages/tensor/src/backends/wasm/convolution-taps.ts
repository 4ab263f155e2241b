/** Which elements of a window a product sums, and the patches under it. */
import type { ConvolutionSizes } from '../../ops/conv2d.ts';
import type { PatchShape } from './patches.ts';

/** Elements of the window that are summed, along one axis, and where in the image the first place has the first of them. */
export interface Taps {
  /** Index in the window of the first, and from one to the next. */
  readonly first: number;
  readonly step: number;
  /** From the pixel of a place to theirs, ascending. */
  readonly offsets: readonly number[];
}

export const forwardTaps = ({ window, dilation, padding }: ConvolutionSizes, axis: 0 | 1): Taps => ({
  first: 0,
  step: 1,
  offsets: Array.from({ length: window[axis] }, (_, i) => i * dilation[axis] - padding[axis]),
});

/** The patches under the window. */
export function windowPatch(sizes: ConvolutionSizes): PatchShape {
  const { image, groups, channels, places, stride } = sizes;
  const [rows, columns] = [forwardTaps(sizes, 0).offsets, forwardTaps(sizes, 1).offsets];
  return { image, pixel: groups * channels, channels, places, stride, rows, columns };
}
