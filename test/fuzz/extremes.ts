/**
 * Extreme values for every field of every request, read from the .proto files themselves: a new field is among them without a line here.
 * Each is appended to a valid request, where the last value of a field is the one that counts (protobuf encoding, "Last One Wins").
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

interface FieldDescriptor {
  readonly name: string;
  readonly number: number;
  readonly type: string;
  readonly typeName: string;
  readonly label: string;
}
interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly FieldDescriptor[];
}

export interface Extreme {
  /** Path of the field, and what it is. */
  readonly name: string;
  /** To be appended to a request. */
  readonly bytes: Buffer;
}

interface MethodDescriptor {
  readonly path: string;
  readonly requestType: { readonly type: MessageDescriptor };
}
/** What the loader makes of a descriptor set: messages and enums have a format, services have methods. */
type Definitions = Readonly<
  Record<
    string,
    | { readonly format: string; readonly type: MessageDescriptor | { readonly value: unknown } }
    | Readonly<Record<string, MethodDescriptor>>
  >
>;
/** The coordinator has it, for its reflection service. */
const { loadFileDescriptorSetFromBuffer } = createRequire(
  import.meta.resolve('@kasane/coordinator/coordinator'),
)('@grpc/proto-loader') as { loadFileDescriptorSetFromBuffer: (bytes: Buffer) => Definitions };
const descriptors = loadFileDescriptorSetFromBuffer(
  readFileSync(new URL(import.meta.resolve('@kasane/protocol/descriptors'))),
);

const messages = new Map<string, MessageDescriptor>();
/** Of each method its request, by path. */
export const requestOf = new Map<string, string>();
for (const [name, definition] of Object.entries(descriptors)) {
  if (typeof definition.format === 'string') {
    const { type } = definition as { type: MessageDescriptor | { value: unknown } };
    if ('field' in type) messages.set(name, type);
    continue;
  }
  for (const { path, requestType } of Object.values(definition as Record<string, MethodDescriptor>))
    requestOf.set(path, `kasane.v1.${requestType.type.name}`);
}

const varint = (value: bigint): Buffer => {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, value); ; rest >>= 7n) {
    const more = rest > 127n;
    bytes.push(Number(rest & 127n) | (more ? 128 : 0));
    if (!more) return Buffer.from(bytes);
  }
};
const tagged = (number: number, wire: number, payload: Buffer) =>
  Buffer.concat([varint(BigInt((number << 3) | wire)), payload]);
const sized = (payload: Buffer) => Buffer.concat([varint(BigInt(payload.length)), payload]);

const texts: Readonly<Record<string, Buffer>> = {
  empty: Buffer.alloc(0),
  zero: Buffer.from('\0'),
  'escape sequences': Buffer.from('\u001b[2J\u001b]0;x\u0007\u009b31m\u202e'),
  'no UTF-8': Buffer.from([0xff, 0xfe, 0xc0, 0x80]),
  'a prototype': Buffer.from('__proto__'),
  'a path': Buffer.from('../../../etc/passwd'),
  'a quote': Buffer.from(`'"; DROP TABLE jobs; --`),
  'a megabyte': Buffer.alloc(1 << 20, 'x'),
  'a megabyte of escape sequences': Buffer.alloc(1 << 20, '\u001b'),
  'three megabytes': Buffer.alloc(3 << 20, '{"a":['),
  brackets: Buffer.alloc(900_000, '['),
  keys: Buffer.from(Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`).join('\n')),
};
const whole = [
  0n,
  1n,
  -1n,
  2n ** 31n - 1n,
  -(2n ** 31n),
  2n ** 32n - 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  2n ** 64n - 1n,
];
const reals = [0, -0, 1, -1, Number.NaN, Infinity, -Infinity, 1.7e308, 5e-324, 3.4e38, 2 ** 53];

/** The values of one field, with its tag; empty for a message. */
function* scalars({ number, type }: FieldDescriptor): Generator<readonly [string, Buffer]> {
  switch (type) {
    case 'TYPE_STRING':
    case 'TYPE_BYTES':
      for (const [name, text] of Object.entries(texts)) yield [name, tagged(number, 2, sized(text))];
      return;
    case 'TYPE_DOUBLE':
    case 'TYPE_FLOAT':
      for (const real of reals) {
        const bytes = Buffer.alloc(type === 'TYPE_DOUBLE' ? 8 : 4);
        if (type === 'TYPE_DOUBLE') bytes.writeDoubleLE(real);
        else bytes.writeFloatLE(real);
        yield [String(real), tagged(number, type === 'TYPE_DOUBLE' ? 1 : 5, bytes)];
      }
      return;
    case 'TYPE_MESSAGE':
      return;
    default:
      for (const value of whole) yield [String(value), tagged(number, 0, varint(value))];
  }
}

/** @param type name of a message @param levels of messages inside that are looked into */
export function* extremesOf(type: string, path = '', levels = 4): Generator<Extreme> {
  const { field } = messages.get(type)!;
  for (const one of field) {
    const name = path ? `${path}.${one.name}` : one.name;
    for (const [what, bytes] of scalars(one)) yield { name: `${name}: ${what}`, bytes };
    const some = one.type === 'TYPE_MESSAGE' ? tagged(one.number, 2, varint(0n)) : [...scalars(one)][0]![1];
    if (one.label === 'LABEL_REPEATED' || one.type === 'TYPE_MESSAGE')
      yield { name: `${name}: 100,000 of it`, bytes: Buffer.concat(Array<Buffer>(100_000).fill(some)) };
    // Of another type than it is declared as.
    yield { name: `${name}: another type`, bytes: tagged(one.number, 5, Buffer.alloc(4, 255)) };
    if (one.type !== 'TYPE_MESSAGE' || levels === 0) continue;
    const inner = one.typeName.replace(/^\./, '');
    const full = messages.has(inner) ? inner : `kasane.v1.${inner}`;
    for (const { name: within, bytes } of extremesOf(full, name, levels - 1))
      yield { name: within, bytes: tagged(one.number, 2, sized(bytes)) };
  }
}
