/** What flows through a graph while it is translated: numbers that are known, and values that a model computes. */
import type { Node } from '../../../graph.ts';
import { type AxisOrder, channelsFirst } from '../../../onnx/graph.ts';
import { reshape, transpose } from '../../../ops/movement.ts';
import { formatShape, type Shape, sizeOf } from '../../../shape.ts';
import type { TensorRecord } from './file.ts';
import { OnnxFileError } from './wire.ts';

/** Whole numbers and truths are computed as f32, too. */
export type ValueType = 'float' | 'int' | 'bool';

export interface Known {
  readonly kind: 'known';
  readonly type: ValueType;
  readonly shape: Shape;
  /** Row-major. */
  readonly numbers: Float32Array | Float64Array;
  /** Its name, if the file has it as an initializer. */
  readonly initializer?: string;
}

export interface Computed {
  readonly kind: 'computed';
  readonly type: ValueType;
  readonly node: Node;
  /** Axis i of the value in the file is axis order[i] of the node; without it they are the same. Only ever `channelsFirst`. */
  readonly order?: AxisOrder;
  /** True: the order is that of an image, and not of a matrix that happens to be transposed. */
  readonly isImage?: true;
}

export type Value = Known | Computed;

/** What a file has and a model here cannot. The message names neither operation nor node: `translate.ts` does. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
  /** The option of the import that settles it; the message ends before it. */
  readonly option: ImportOption | undefined;

  constructor(message: string, option?: ImportOption) {
    super(message);
    this.option = option;
  }
}

/** Options of the import that an error may ask for. */
export type ImportOption = 'output' | 'shapes';

/** In the order of the file. */
export const shapeOf = (value: Value): Shape => {
  if (value.kind === 'known') return value.shape;
  const { node, order } = value;
  return order ? order.map((axis) => node.shape[axis]!) : node.shape;
};

export const known = (type: ValueType, shape: Shape, numbers: ArrayLike<number>): Known => ({
  kind: 'known',
  type,
  shape,
  numbers: Float64Array.from(numbers),
});

export const computed = (node: Node, type: ValueType = 'float'): Computed => ({
  kind: 'computed',
  type,
  node,
});

/** The same with other content: order and all. */
export const like = (value: Computed, node: Node, type: ValueType = value.type): Computed => ({
  ...value,
  node,
  type,
});

export const isImageOrder = (order: readonly number[]): boolean =>
  order.length > 2 && channelsFirst(order.length).every((axis, i) => axis === order[i]);

/** A transpose; where only axes of one element move, a reshape. */
export function arranged(node: Node, permutation: readonly number[]): Node {
  if (permutation.every((axis, i) => axis === i)) return node;
  const long = permutation.filter((axis) => node.shape[axis] !== 1);
  return long.every((axis, i) => i === 0 || axis > long[i - 1]!)
    ? reshape(
        node,
        permutation.map((axis) => node.shape[axis]!),
      )
    : transpose(node, permutation);
}

/** With its axes as the file has them. */
export const plainNode = ({ node, order }: Computed): Node => (order ? arranged(node, order) : node);

/** Channels last in memory. The value must have at least three axes. */
export function imageNode(value: Computed): Node {
  if (value.order) return value.node;
  const order = channelsFirst(value.node.shape.length);
  return arranged(
    value.node,
    order.map((_, axis) => order.indexOf(axis)),
  );
}

/** A value of which the node has channels last. */
export const image = (node: Node, type: ValueType = 'float'): Computed => ({
  ...{ kind: 'computed', type, node, order: channelsFirst(node.shape.length) },
  isImage: true,
});

const permuted = new WeakMap<Known, Map<string, Known>>();

/** The same numbers with their axes in another order; the same object for the same question. */
export function permute(value: Known, order: readonly number[]): Known {
  if (order.every((axis, i) => axis === i)) return value;
  const variants = permuted.get(value) ?? new Map<string, Known>();
  permuted.set(value, variants);
  const key = String(order);
  const before = variants.get(key);
  if (before) return before;
  const strides = value.shape.map((_, axis) => sizeOf(value.shape.slice(axis + 1)));
  const extents = order.map((axis) => value.shape[axis]!);
  const steps = order.map((axis) => strides[axis]!);
  const numbers = value.numbers.slice();
  const index = extents.map(() => 0);
  let from = 0;
  for (let to = 0; to < numbers.length; to++) {
    numbers[to] = value.numbers[from]!;
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++index[axis]! < extents[axis]!) break;
      from -= steps[axis]! * extents[axis]!;
      index[axis] = 0;
    }
  }
  const made: Known = { ...value, shape: extents, numbers };
  variants.set(key, made);
  return made;
}

/** Numbers of a part of them under another shape; the same object for the same question. */
export function derived(value: Known, key: string, make: () => Pick<Known, 'shape' | 'numbers'>): Known {
  const variants = permuted.get(value) ?? new Map<string, Known>();
  permuted.set(value, variants);
  const made = variants.get(key) ?? { ...value, ...make() };
  variants.set(key, made);
  return made;
}

/** Reads other files: bytes [offset, offset + length) of one beside the model, to its end without a length. */
export type ExternalData = (location: string, offset: number, length: number | undefined) => Uint8Array;

/** Bytes of an element by TensorProto.DataType, and how to read one. */
const elements: ReadonlyMap<
  number,
  { readonly bytes: number; readonly type: ValueType; readonly read: (view: DataView, at: number) => number }
> = new Map([
  [1, { bytes: 4, type: 'float', read: (view: DataView, at: number) => view.getFloat32(at, true) }],
  [2, { bytes: 1, type: 'int', read: (view: DataView, at: number) => view.getUint8(at) }],
  [3, { bytes: 1, type: 'int', read: (view: DataView, at: number) => view.getInt8(at) }],
  [4, { bytes: 2, type: 'int', read: (view: DataView, at: number) => view.getUint16(at, true) }],
  [5, { bytes: 2, type: 'int', read: (view: DataView, at: number) => view.getInt16(at, true) }],
  [6, { bytes: 4, type: 'int', read: (view: DataView, at: number) => view.getInt32(at, true) }],
  [7, { bytes: 8, type: 'int', read: (view: DataView, at: number) => Number(view.getBigInt64(at, true)) }],
  [9, { bytes: 1, type: 'bool', read: (view: DataView, at: number) => (view.getUint8(at) === 0 ? 0 : 1) }],
  [10, { bytes: 2, type: 'float', read: (view: DataView, at: number) => half(view.getUint16(at, true)) }],
  [11, { bytes: 8, type: 'float', read: (view: DataView, at: number) => view.getFloat64(at, true) }],
  [12, { bytes: 4, type: 'int', read: (view: DataView, at: number) => view.getUint32(at, true) }],
  [13, { bytes: 8, type: 'int', read: (view: DataView, at: number) => Number(view.getBigUint64(at, true)) }],
  [
    16,
    { bytes: 2, type: 'float', read: (view: DataView, at: number) => brainFloat(view.getUint16(at, true)) },
  ],
]);

const names = ['undefined', 'float', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'string', 'bool'];

/** TensorProto.DataType as a type of values. @throws UnsupportedError */
export function typeOf(type: number): ValueType {
  const found = elements.get(type);
  if (found) return found.type;
  throw new UnsupportedError(`elements of type ${names[type] ?? type} are not supported`);
}

function half(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const word = new DataView(new ArrayBuffer(4));
function brainFloat(bits: number): number {
  word.setUint32(0, bits * 2 ** 16);
  return word.getFloat32(0);
}

/**
 * The numbers of a tensor.
 * @param what it is, for errors
 * @throws OnnxFileError where it has not as many as its shape
 * @throws UnsupportedError for texts, complex and quantized numbers
 */
export function numbersOf(record: TensorRecord, what: string, external?: ExternalData): Known {
  const { type, shape, numbers: listed } = record;
  const called = `${what}${record.name === '' ? '' : ` ${record.name.slice(0, 200)}`}`;
  const element = elements.get(type);
  if (!element)
    throw new UnsupportedError(`${called}: elements of type ${names[type] ?? type} are not supported`);
  const size = sizeOf(shape);
  const raw = record.external ? externalBytes(record, called, size * element.bytes, external) : record.raw;
  const present = raw ? raw.length / element.bytes : listed.length;
  if (present !== size)
    throw new OnnxFileError(
      `${called} ${formatShape(shape)} has ${raw ? `${raw.length} bytes` : `${listed.length} numbers`}; expected ${raw ? size * element.bytes : size}: the file is damaged`,
    );
  const numbers = element.type === 'float' ? new Float32Array(size) : new Float64Array(size);
  if (raw) {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let i = 0; i < size; i++) numbers[i] = element.read(view, i * element.bytes);
  } else {
    // Halves are listed as their bits.
    const read = type === 10 ? half : type === 16 ? brainFloat : (value: number) => value;
    for (let i = 0; i < size; i++) numbers[i] = read(listed[i]!);
  }
  return { kind: 'known', type: element.type, shape, numbers };
}

function externalBytes(
  { external: entries }: TensorRecord,
  called: string,
  bytes: number,
  read: ExternalData | undefined,
): Uint8Array {
  const location = entries?.get('location') ?? '';
  const [offset, length] = [entries?.get('offset') ?? '0', entries?.get('length') ?? String(bytes)];
  if (!/^\d{1,15}$/.test(offset) || !/^\d{1,15}$/.test(length) || Number(length) !== bytes)
    throw new OnnxFileError(
      `${called}: its data lie at offset ${offset.slice(0, 20)} with length ${length.slice(0, 20)} in another file; expected ${bytes} bytes`,
    );
  // A path would read what the sender of a model may not.
  if (!/^[^/\\\0:]+$/.test(location) || /^\.+$/.test(location))
    throw new OnnxFileError(
      `${called}: its data lie in ${JSON.stringify(location.slice(0, 100))}; only files in the folder of the model are read`,
    );
  if (!read)
    throw new UnsupportedError(
      `${called}: its data lie in the file ${location.slice(0, 100)}, which cannot be read here`,
    );
  const found = read(location, Number(offset), bytes);
  if (found.length !== bytes)
    throw new OnnxFileError(
      `${called}: ${location.slice(0, 100)} ends before its ${bytes} bytes at offset ${offset}`,
    );
  return found;
}
