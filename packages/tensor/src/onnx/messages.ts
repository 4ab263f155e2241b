/**
 * The messages of an ONNX file, with their field numbers from onnx/onnx.proto (IR version 8). Says how a model is written,
 * not what is in it.
 */
import type { Shape } from '../shape.ts';
import { Message } from './protobuf.ts';

/** TensorProto.DataType */
export const elementTypes = { float: 1, int64: 7, bool: 9 } as const;
export type ElementType = keyof typeof elementTypes;

/** A whole number is INT, a list of them INTS; a floating-point number says so, since 1 would be either. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly tensor: OnnxTensor };

/** AttributeProto.AttributeType */
const attributeTypes = { float: 1, int: 2, string: 3, tensor: 4, ints: 7 } as const;

function attribute(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  if (typeof value === 'number') return message.integer(3, value).integer(20, attributeTypes.int);
  if (typeof value === 'string') return message.text(4, value).integer(20, attributeTypes.string);
  if ('float' in value) return message.float(2, value.float).integer(20, attributeTypes.float);
  if ('tensor' in value) return message.message(5, tensor(value.tensor)).integer(20, attributeTypes.tensor);
  return message.integers(8, value).integer(20, attributeTypes.ints);
}

export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** NodeProto */
function node({ name, op, inputs, outputs, attributes }: OnnxNode): Message {
  const message = new Message();
  for (const input of inputs) message.text(1, input);
  for (const output of outputs) message.text(2, output);
  message.text(3, name).text(4, op);
  for (const [key, value] of Object.entries(attributes)) message.message(5, attribute(key, value));
  return message;
}

export interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
  /** Little-endian, row-major. */
  readonly data: Uint8Array;
}

/** TensorProto */
const tensor = ({ name, type, shape, data }: OnnxTensor): Message =>
  new Message().integers(1, shape).integer(2, elementTypes[type]).text(8, name).content(9, data);

export interface OnnxPort {
  readonly name: string;
  readonly type: ElementType;
  /** A word is an extent that each run may choose. */
  readonly shape: readonly (number | string)[];
  readonly description: string;
}

/** ValueInfoProto, with TypeProto, its Tensor and TensorShapeProto inside. */
function port({ name, type, shape, description }: OnnxPort): Message {
  const extents = new Message();
  for (const extent of shape) {
    const dimension = new Message();
    if (typeof extent === 'number') dimension.integer(1, extent);
    else dimension.text(2, extent);
    extents.message(1, dimension);
  }
  const tensorType = new Message().integer(1, elementTypes[type]).message(2, extents);
  return new Message().text(1, name).message(2, new Message().message(1, tensorType)).text(3, description);
}

export interface OnnxFile {
  readonly irVersion: number;
  /** Of the standard operators. */
  readonly opset: number;
  readonly producer: string;
  readonly description: string;
  readonly graphName: string;
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly OnnxTensor[];
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * ModelProto, with GraphProto inside.
 * @throws RangeError when it would be larger than Protocol Buffers allow, 2 GiB
 */
export function encodeOnnx(file: OnnxFile): Uint8Array<ArrayBuffer> {
  const graph = new Message();
  for (const each of file.nodes) graph.message(1, node(each));
  graph.text(2, file.graphName);
  for (const each of file.tensors) graph.message(5, tensor(each));
  for (const each of file.inputs) graph.message(11, port(each));
  for (const each of file.outputs) graph.message(12, port(each));
  const model = new Message()
    .integer(1, file.irVersion)
    .text(2, file.producer)
    .text(6, file.description)
    .message(7, graph)
    .message(8, new Message().text(1, '').integer(2, file.opset));
  for (const [key, value] of Object.entries(file.metadata)) {
    model.message(14, new Message().text(1, key).text(2, value));
  }
  return model.finish();
}
