/** Nodes without inputs: what is fed, what is trained, and constants. */
import type { DType, Node } from '../graph.ts';
import { formatShape, type Shape } from '../shape.ts';
import { apply, fail, type NoGradient, type Op, type Signature } from './op.ts';

type LeafAttributes = { readonly name: string; readonly shape: Shape; readonly dtype: DType };
type ConstantAttributes = { readonly value: number; readonly shape: Shape };
type IotaAttributes = { readonly shape: Shape; readonly axis: number };

const end: NoGradient = { none: 'a leaf has no inputs' };

const checkShape = (op: string, shape: Shape) => {
  if (!shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
    fail(op, [], `shape [${shape.join(', ')}] must consist of non-negative integers`);
  }
};

function leaf(name: string): Op<LeafAttributes> {
  return {
    name,
    signature: (_, { shape, dtype }): Signature => {
      checkShape(name, shape);
      return { shape, dtype };
    },
    gradient: end,
    cases: [],
  };
}

/** A tensor that is trained; the backend keeps it between runs. */
export const parameterOp = leaf('parameter');
/** A tensor that the caller fills before each run. */
export const inputOp = leaf('input');
/** The same number everywhere. */
export const constantOp: Op<ConstantAttributes> = {
  name: 'constant',
  signature: (_, { shape, value }) => {
    checkShape('constant', shape);
    if (typeof value !== 'number') fail('constant', [], 'value must be a number');
    return { shape, dtype: 'f32' };
  },
  gradient: end,
  cases: [{ label: 'filled', inputs: [], attributes: { value: 1.5, shape: [2, 3] } }],
};

/** The place along one axis: 0, 1, 2 ... */
export const iotaOp: Op<IotaAttributes> = {
  name: 'iota',
  signature: (_, { shape, axis }) => {
    checkShape('iota', shape);
    if (shape[axis] === undefined) fail('iota', [], `axis ${axis} does not exist in ${formatShape(shape)}`);
    return { shape, dtype: 'f32' };
  },
  gradient: end,
  cases: [
    { label: 'vector', inputs: [], attributes: { shape: [7], axis: 0 } },
    { label: 'middle axis', inputs: [], attributes: { shape: [2, 3, 5], axis: 1 } },
  ],
};

export const parameter = (name: string, shape: Shape): Node =>
  apply<LeafAttributes>(parameterOp, [], { name, shape, dtype: 'f32' });
export const input = (name: string, shape: Shape, dtype: DType = 'f32'): Node =>
  apply<LeafAttributes>(inputOp, [], { name, shape, dtype });
/** `value` everywhere; a scalar unless a shape is given. */
export const constant = (value: number, shape: Shape = []): Node => apply(constantOp, [], { value, shape });
/** The place along an axis of a shape: 0, 1, 2 ... */
export const iota = (shape: Shape, axis: number): Node => apply(iotaOp, [], { shape, axis });
