/** What a sample's input or target is while it is stored and while it travels: element type and shape. */
import { formatShape, type Shape, sameShape, sizeOf } from './shape.ts';

/** Bytes of an element. u8: pixels and small class numbers; i32: tokens and class numbers; f32: anything. */
export const fieldTypes = { u8: 1, i32: 4, f32: 4 } as const;
export type FieldType = keyof typeof fieldTypes;

/** One part of every sample of a data set. Row-major, little-endian. */
export interface Field {
  readonly dtype: FieldType;
  /** Of one sample: [28, 28] for grey images, [] for one class number. */
  readonly shape: Shape;
}

/** Bytes of one sample's part. */
export const fieldBytes = ({ dtype, shape }: Field): number => fieldTypes[dtype] * sizeOf(shape);

export const sameField = (a: Field, b: Field): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape);

/** `u8 [28, 28]` for messages. */
export const formatField = ({ dtype, shape }: Field): string => `${dtype} ${formatShape(shape)}`;
