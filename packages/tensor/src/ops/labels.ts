/** Operations on class labels (i32). */
import type { Node } from '../graph.ts';
import { sameShape, sizeOf } from '../shape.ts';
import { transpose } from './movement.ts';
import { apply, expectInputs, fail, type Op } from './op.ts';

type OneHotAttributes = { readonly classes: number };
type LabelAttributes = { readonly classes: number };
type None = Readonly<Record<string, never>>;

/** A label that is none of the classes. Thrown while a program runs, by every backend. */
export class LabelError extends RangeError {
  override readonly name = 'LabelError';

  /**
   * @param place of the label among all of them, from 0
   * @param perSample how many labels a sample has
   */
  constructor(label: number, classes: number, place: number, perSample: number) {
    const [sample, within] = [Math.floor(place / perSample), place % perSample];
    const where =
      perSample > 1 ? `sample ${sample} of the batch, place ${within}` : `sample ${sample} of the batch`;
    super(`${where}: label ${label} is out of range; there are ${classes} classes, 0 to ${classes - 1}`);
  }
}

/** i32 [samples, ...] to the same: labels that are all below `classes`. Running it throws LabelError for one that is not. */
export const checkLabelsOp: Op<LabelAttributes> = {
  name: 'checkLabels',
  signature: (inputs, { classes }) => {
    expectInputs('checkLabels', inputs, ['i32']);
    if (!Number.isSafeInteger(classes) || classes < 1) {
      fail('checkLabels', inputs, `classes is ${classes}; expected a positive integer`);
    }
    return { shape: inputs[0]!.shape, dtype: 'i32' };
  },
  gradient: { none: 'labels are integers' },
  cases: [
    {
      label: '3 classes',
      inputs: [{ shape: [5], dtype: 'i32', domain: [0, 3] }],
      attributes: { classes: 3 },
    },
    {
      label: 'labels of sequences',
      inputs: [{ shape: [2, 3], dtype: 'i32', domain: [0, 7] }],
      attributes: { classes: 7 },
    },
    { label: 'no label', inputs: [{ shape: [0], dtype: 'i32' }], attributes: { classes: 1 } },
  ],
};

/** i32 [...] to f32 [..., classes]: 1 at the label. A label outside 0..classes-1 gives zeros only. */
export const oneHotOp: Op<OneHotAttributes> = {
  name: 'oneHot',
  signature: (inputs, { classes }) => {
    expectInputs('oneHot', inputs, ['i32']);
    if (!Number.isSafeInteger(classes) || classes < 1) {
      fail('oneHot', inputs, `classes is ${classes}; expected a positive integer`);
    }
    return { shape: [...inputs[0]!.shape, classes], dtype: 'f32' };
  },
  gradient: { none: 'labels are integers' },
  cases: [
    {
      label: '10 classes',
      inputs: [{ shape: [7], dtype: 'i32', domain: [0, 10] }],
      attributes: { classes: 10 },
    },
    {
      label: '3 classes',
      inputs: [{ shape: [5], dtype: 'i32', domain: [0, 3] }],
      attributes: { classes: 3 },
    },
    {
      label: 'labels out of range',
      inputs: [{ shape: [4], dtype: 'i32', values: [-1, 3, 0, 2] }],
      attributes: { classes: 3 },
    },
  ],
};

/**
 * f32 [..., classes] to i32 [...]: place of the largest element of the last axis, the first of several that are equal. NaN counts as the
 * largest, as in PyTorch.
 */
export const argmaxOp: Op<None> = {
  name: 'argmax',
  signature: (inputs) => {
    expectInputs('argmax', inputs, ['f32']);
    const { shape } = inputs[0]!;
    if (!(shape.at(-1)! > 0)) fail('argmax', inputs, 'expected a last axis with elements');
    return { shape: shape.slice(0, -1), dtype: 'i32' };
  },
  gradient: { none: 'piecewise constant' },
  cases: [
    { label: '7 of 5', inputs: [{ shape: [7, 5] }], attributes: {} },
    {
      label: 'ties go to the first',
      inputs: [{ shape: [2, 3], values: [1, 2, 2, 0, 0, 0] }],
      attributes: {},
    },
    { label: '3-D', inputs: [{ shape: [2, 3, 4] }], attributes: {} },
    {
      label: 'NaN counts as the largest',
      inputs: [{ shape: [3, 3], values: [1, NaN, 2, NaN, 5, NaN, 3, 4, NaN] }],
      attributes: {},
    },
  ],
};

/**
 * f32 [..., classes] and i32 [...] to f32 [...]: 1 where the largest element of the last axis stands at the label, the
 * first of several that are equal. 0 where one of them is NaN: such scores are never right.
 */
export const argmaxEqualsOp: Op<None> = {
  name: 'argmaxEquals',
  signature: (inputs) => {
    expectInputs('argmaxEquals', inputs, ['f32', 'i32']);
    const [scores, labels] = inputs as readonly [Node, Node];
    if (!sameShape(scores.shape.slice(0, -1), labels.shape) || !(scores.shape.at(-1)! > 0)) {
      fail('argmaxEquals', inputs, 'expected scores [..., classes] and one label [...] for each');
    }
    return { shape: labels.shape, dtype: 'f32' };
  },
  gradient: { none: 'piecewise constant' },
  cases: [
    {
      label: '3 classes',
      inputs: [{ shape: [9, 3] }, { shape: [9], dtype: 'i32', domain: [0, 3] }],
      attributes: {},
    },
    {
      label: 'ties go to the first',
      inputs: [
        { shape: [3, 5], values: [1, 2, 2, 0, 2, 0, 0, 0, 0, 0, -1, -2, -3, -1, -1] },
        { shape: [3], dtype: 'i32', values: [1, 0, 3] },
      ],
      attributes: {},
    },
    {
      label: 'one class',
      inputs: [{ shape: [2, 1] }, { shape: [2], dtype: 'i32', values: [0, 1] }],
      attributes: {},
    },
    {
      label: 'NaN is never right',
      inputs: [
        { shape: [4, 3], values: [NaN, NaN, NaN, NaN, 1, 2, 1, NaN, 2, 1, 2, NaN] },
        { shape: [4], dtype: 'i32', values: [0, 0, 1, 2] },
      ],
      attributes: {},
    },
  ],
};

/** The labels, once it is sure that each of them is a class; see `checkLabelsOp`. */
export const checkLabels = (labels: Node, classes: number): Node =>
  apply(checkLabelsOp, [labels], { classes });
/** How many labels a sample of a checkLabels node has. */
export const labelsPerSample = ({ shape }: Node): number => sizeOf(shape.slice(1));
export const oneHot = (labels: Node, classes: number): Node => apply(oneHotOp, [labels], { classes });
/** Place of the largest element along an axis (default: the last; negative ones count from the end), which is left out of the shape. */
export function argmax(scores: Node, axis = -1): Node {
  const last = scores.shape.length - 1;
  const along = axis < 0 ? axis + last + 1 : axis;
  if (along === last) return apply(argmaxOp, [scores], {});
  if (scores.shape[along] === undefined) fail('argmax', [scores], `axis ${axis} does not exist`);
  const others = scores.shape.map((_, i) => i).filter((i) => i !== along);
  return apply(argmaxOp, [transpose(scores, [...others, along])], {});
}
export const argmaxEquals = (scores: Node, labels: Node): Node => apply(argmaxEqualsOp, [scores, labels], {});
