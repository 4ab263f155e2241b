/** What an ONNX file says, read and checked: its graph as a list of nodes, its tensors still as bytes. Field numbers are those of onnx/onnx.proto. */
import { addFloats, addIntegers, contentOf, fieldsOf, OnnxFileError, textOf } from './wire.ts';

/** A tensor as the file has it; `tensors.ts` makes numbers of it. */
export interface TensorRecord {
  readonly name: string;
  /** TensorProto.DataType */
  readonly type: number;
  readonly shape: readonly number[];
  readonly raw: Uint8Array | undefined;
  /** Where they are not raw. */
  readonly numbers: readonly number[];
  /** In another file. */
  readonly external: ReadonlyMap<string, string> | undefined;
}

/** 'graph' stands for whatever is neither numbers nor text. */
export type AttributeValue = number | string | readonly number[] | readonly string[] | TensorRecord | 'graph';

export interface FileNode {
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  /** Empty: it is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeValue>;
}

/** An input or output. */
export interface FilePort {
  readonly name: string;
  /** Of its elements; undefined: it is no tensor. */
  readonly type: number | undefined;
  /** A word is an extent that is left open, as is undefined. */
  readonly shape: readonly (number | string | undefined)[] | undefined;
}

export interface OnnxContent {
  /** Version of the standard operators. */
  readonly opset: number;
  readonly producer: string;
  readonly nodes: readonly FileNode[];
  readonly initializers: ReadonlyMap<string, TensorRecord>;
  /** Without those that initializers give a value. */
  readonly inputs: readonly FilePort[];
  readonly outputs: readonly FilePort[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** At most so many of each in a file. */
const MOST_NODES = 50_000;
const MOST_TENSORS = 50_000;
const MOST_PORTS = 1000;
/** Of a node. */
const MOST_VALUES = 1000;
const MOST_ATTRIBUTES = 100;
const MOST_TENSOR_AXES = 16;
const MOST_METADATA = 1000;

function limited<T>(list: T[], value: T, most: number, what: string): void {
  if (list.length >= most) throw new OnnxFileError(`${what}: more than ${most} are not read`);
  list.push(value);
}

/** @throws OnnxFileError where it is damaged, or no ONNX file */
export function readOnnx(bytes: Uint8Array): OnnxContent {
  let [producer, opset] = ['', 0];
  let graph: Uint8Array | undefined;
  let isModel = false;
  const metadata = new Map<string, string>();
  for (const field of fieldsOf(bytes, 'the model')) {
    if (field.field === 1) isModel = field.content === undefined && field.integer > 0;
    else if (field.field === 2) producer = textOf(field, 'the name of the producer');
    else if (field.field === 7) graph = contentOf(field, 'the model');
    else if (field.field === 8) opset = standardOpset(contentOf(field, 'the model')) ?? opset;
    else if (field.field === 14 && metadata.size < MOST_METADATA)
      metadata.set(...entryOf(contentOf(field, 'the model'), 'metadata'));
  }
  if (!isModel || !graph)
    throw new OnnxFileError(
      `not an ONNX file, or a damaged one: it has no ${isModel ? 'graph' : 'version of the format'}`,
    );
  return { opset, producer, metadata, ...graphOf(graph) };
}

/** The version of the standard operators; undefined: it is that of others. */
function standardOpset(message: Uint8Array): number | undefined {
  let [domain, version] = ['', 0];
  for (const field of fieldsOf(message, 'a version of operators')) {
    if (field.field === 1) domain = textOf(field, 'a version of operators');
    else if (field.field === 2) version = field.integer;
  }
  return isStandard(domain) ? version : undefined;
}

export const isStandard = (domain: string): boolean => domain === '' || domain === 'ai.onnx';

/** Metadata keep whole texts, such as a model's description. */
function entryOf(message: Uint8Array, what: string): [key: string, value: string] {
  let [key, value] = ['', ''];
  for (const field of fieldsOf(message, what)) {
    if (field.field === 1) key = textOf(field, what);
    else if (field.field === 2) value = new TextDecoder().decode(contentOf(field, what));
  }
  return [key, value];
}

function graphOf(message: Uint8Array): Pick<OnnxContent, 'nodes' | 'initializers' | 'inputs' | 'outputs'> {
  const nodes: FileNode[] = [];
  const tensors: TensorRecord[] = [];
  const inputs: FilePort[] = [];
  const outputs: FilePort[] = [];
  for (const field of fieldsOf(message, 'the graph')) {
    if (field.field === 1)
      limited(nodes, nodeOf(contentOf(field, 'the graph'), nodes.length), MOST_NODES, 'nodes');
    else if (field.field === 5)
      limited(
        tensors,
        tensorOf(contentOf(field, 'the graph'), `initializer ${tensors.length}`),
        MOST_TENSORS,
        'initializers',
      );
    else if (field.field === 11) limited(inputs, portOf(contentOf(field, 'the graph')), MOST_PORTS, 'inputs');
    else if (field.field === 12)
      limited(outputs, portOf(contentOf(field, 'the graph')), MOST_PORTS, 'outputs');
    else if (field.field === 15)
      throw new OnnxFileError('the graph has sparse initializers, which are not supported');
  }
  const initializers = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return { nodes, initializers, inputs: inputs.filter(({ name }) => !initializers.has(name)), outputs };
}

function nodeOf(message: Uint8Array, index: number): FileNode {
  const what = `node ${index}`;
  let [name, op, domain] = ['', '', ''];
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributes = new Map<string, AttributeValue>();
  for (const field of fieldsOf(message, what)) {
    if (field.field === 1) limited(inputs, textOf(field, what), MOST_VALUES, `inputs of ${what}`);
    else if (field.field === 2) limited(outputs, textOf(field, what), MOST_VALUES, `outputs of ${what}`);
    else if (field.field === 3) name = textOf(field, what);
    else if (field.field === 4) op = textOf(field, what);
    else if (field.field === 7) domain = textOf(field, what);
    else if (field.field === 5) {
      if (attributes.size >= MOST_ATTRIBUTES)
        throw new OnnxFileError(`attributes of ${what}: more than ${MOST_ATTRIBUTES} are not read`);
      attributes.set(...attributeOf(contentOf(field, what), what));
    }
  }
  return { name, op, domain, inputs, outputs, attributes };
}

function attributeOf(message: Uint8Array, node: string): [string, AttributeValue] {
  const what = `an attribute of ${node}`;
  let name = '';
  let single: number | string | TensorRecord | 'graph' | undefined;
  const numbers: number[] = [];
  const texts: string[] = [];
  let type = 0;
  for (const field of fieldsOf(message, what)) {
    switch (field.field) {
      case 1:
        name = textOf(field, what);
        break;
      case 20:
        type = field.integer;
        break;
      case 2: {
        const one: number[] = [];
        addFloats(one, field, what);
        single = one[0];
        break;
      }
      case 3:
        single = field.integer;
        break;
      case 4:
        single = textOf(field, what);
        break;
      case 5:
        single = tensorOf(contentOf(field, what), what);
        break;
      case 7:
        addFloats(numbers, field, what);
        break;
      case 8:
        addIntegers(numbers, field, what);
        break;
      case 9:
        limited(texts, textOf(field, what), MOST_VALUES, `texts of ${what}`);
        break;
      case 6:
      case 10:
      case 11:
      case 14:
      case 15:
      case 21:
      case 22:
      case 23:
        single = 'graph';
        break;
    }
  }
  // FLOATS, INTS and STRINGS; of other types proto3 may leave out what is 0.
  const isList = type === 6 || type === 7 || type === 8;
  if (!isList && single !== undefined) return [name, single];
  if (texts.length > 0) return [name, texts];
  return [name, isList || numbers.length > 0 ? numbers : type === 3 ? '' : 0];
}

/** TensorProto. @throws OnnxFileError */
export function tensorOf(message: Uint8Array, what: string): TensorRecord {
  let [name, type, isExternal] = ['', 0, false];
  const [shape, numbers]: [number[], number[]] = [[], []];
  const external = new Map<string, string>();
  let raw: Uint8Array | undefined;
  for (const field of fieldsOf(message, what)) {
    if (field.field === 1) addIntegers(shape, field, what);
    else if (field.field === 2) type = field.integer;
    else if (field.field === 4) addFloats(numbers, field, what);
    else if (field.field === 5 || field.field === 7 || field.field === 11) addIntegers(numbers, field, what);
    else if (field.field === 8) name = textOf(field, what);
    else if (field.field === 9) raw = contentOf(field, what);
    else if (field.field === 10) addFloats(numbers, field, what, 8);
    else if (field.field === 13 && external.size < 16) external.set(...entryOf(contentOf(field, what), what));
    else if (field.field === 14) isExternal = field.integer === 1;
  }
  const called = name === '' ? what : `tensor ${name.slice(0, 200)}`;
  if (
    shape.length > MOST_TENSOR_AXES ||
    !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)
  )
    throw new OnnxFileError(
      `${called} has the shape [${shape.slice(0, MOST_TENSOR_AXES).join(', ')}]: the file is damaged`,
    );
  return { name, type, shape, raw, numbers, external: isExternal ? external : undefined };
}

function portOf(message: Uint8Array): FilePort {
  let name = '';
  let tensor: Uint8Array | undefined;
  for (const field of fieldsOf(message, 'an input or output')) {
    if (field.field === 1) name = textOf(field, 'an input or output');
    else if (field.field === 2)
      for (const kind of fieldsOf(contentOf(field, 'a type'), 'a type'))
        if (kind.field === 1) tensor = contentOf(kind, 'a type');
  }
  let type: number | undefined;
  let shape: (number | string | undefined)[] | undefined;
  for (const field of fieldsOf(tensor ?? new Uint8Array(), name)) {
    if (field.field === 1) type = field.integer;
    else if (field.field === 2) {
      shape = [];
      for (const dimension of fieldsOf(contentOf(field, name), name))
        if (dimension.field === 1)
          limited(shape, extentOf(contentOf(dimension, name), name), MOST_TENSOR_AXES, `axes of ${name}`);
    }
  }
  return { name, type, shape };
}

function extentOf(message: Uint8Array, what: string): number | string | undefined {
  let extent: number | string | undefined;
  for (const field of fieldsOf(message, what)) {
    if (field.field === 1) extent = field.integer;
    else if (field.field === 2) extent = textOf(field, what);
  }
  return typeof extent === 'number' && extent < 0 ? undefined : extent;
}
