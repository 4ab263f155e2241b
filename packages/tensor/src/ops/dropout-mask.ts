/**
 * The mask of a dropout layer: 0, or 1 / (1 - rate) where the element is kept. It depends on seed, epoch, sample and
 * layer only, so it is the same wherever and whenever a sample is computed.
 */
import type { Node } from '../graph.ts';
import { type Shape, sameShape } from '../shape.ts';
import { apply, expectInputs, fail, type Op } from './op.ts';

type DropoutMaskAttributes = {
  /** Index among all layers of the model. */
  readonly layer: number;
  /** Part of the elements that is dropped, in [0, 1). */
  readonly rate: number;
  /** Shape of one sample. */
  readonly shape: Shape;
};

/**
 * Inputs: sampleIds i32 [n] (the bits of a uint32) and key i32 [4] (seed low, seed high, epoch, 0). Output: f32 [n, ...shape].
 * Element e of sample s: word e & 3 of philox4x32([e >> 2, s, epoch, layer], [seed low, seed high]) decides; see
 * `dropoutThreshold` and `dropoutScale`.
 */
export const dropoutMaskOp: Op<DropoutMaskAttributes> = {
  name: 'dropoutMask',
  signature: (inputs, { layer, rate, shape }) => {
    expectInputs('dropoutMask', inputs, ['i32', 'i32']);
    const [ids, key] = inputs as readonly [Node, Node];
    if (ids.shape.length !== 1 || !sameShape(key.shape, [4])) {
      fail('dropoutMask', inputs, 'expected sample ids [n] and a key [4]');
    }
    if (!(rate >= 0 && rate < 1)) fail('dropoutMask', inputs, `rate is ${rate}; expected 0 <= rate < 1`);
    if (!Number.isSafeInteger(layer) || layer < 0)
      fail('dropoutMask', inputs, `layer is ${layer}; expected an index`);
    return { shape: [ids.shape[0]!, ...shape], dtype: 'f32' };
  },
  gradient: { none: 'random, not a function of any real input' },
  cases: [
    {
      label: 'row of 7',
      inputs: [
        { shape: [3], dtype: 'i32', values: [0, 41, -1] },
        { shape: [4], dtype: 'i32', values: [12345, -7, 3, 0] },
      ],
      attributes: { layer: 2, rate: 0.2, shape: [7] },
    },
    {
      label: '2-D sample',
      inputs: [
        { shape: [2], dtype: 'i32', values: [59999, 5] },
        { shape: [4], dtype: 'i32', values: [1, 0, 0, 0] },
      ],
      attributes: { layer: 0, rate: 0.5, shape: [3, 4] },
    },
    {
      label: 'nothing dropped',
      inputs: [
        { shape: [2], dtype: 'i32', values: [1, 2] },
        { shape: [4], dtype: 'i32', values: [1, 0, 0, 0] },
      ],
      attributes: { layer: 1, rate: 0, shape: [5] },
    },
  ],
};

export function dropoutMask(sampleIds: Node, key: Node, attributes: DropoutMaskAttributes): Node {
  return apply(dropoutMaskOp, [sampleIds, key], attributes);
}

/** An element is kept when the upper 24 bits of its random word, as an integer, reach this: (word >>> 8) / 2^24 >= rate. */
export function dropoutThreshold(rate: number): number {
  return Math.ceil(rate * 2 ** 24);
}

/** What kept elements are multiplied with, as a float32. */
export function dropoutScale(rate: number): number {
  return Math.fround(1 / (1 - rate));
}
