/**
 * Safetensors: eight bytes with the header's length, a JSON header, the numbers. Encoding is deterministic: equal tensors give
 * equal bytes. Decoding trusts nothing: files come from disks and from other people.
 */
import type { NamedTensor } from '../named-tensor.ts';
import type { Shape } from '../shape.ts';
import { otherKind } from './other-files.ts';

/** Bytes that are no safetensors file, or one with types we do not read. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
}

const METADATA = '__metadata__';
const PREFIX_BYTES = 8;
const ALIGNMENT = 8;
/** Some 100,000 tensors: parsing more takes gigabytes and minutes. The format's reference implementation takes ten times as many. */
const MAX_HEADER_BYTES = 10_000_000;

/** Bytes that are copied at a time: about a millisecond. */
const PIECE_BYTES = 4 << 20;

/** A safetensors file of float32 tensors in the order given; 8-byte aligned, header padded with spaces. */
export function encodeSafetensors(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const { file, pieces } = beginSafetensors(tensors, metadata);
  for (const _ of pieces);
  return file;
}

/**
 * The same file, without its numbers yet: each of the pieces puts some of them in when it is asked for, so that a thread that others wait
 * for can turn to them in between. Nobody may change the tensors meanwhile.
 */
export function beginSafetensors(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): { readonly file: Uint8Array<ArrayBuffer>; readonly pieces: Iterable<void> } {
  const entries: string[] = [];
  if (Object.keys(metadata).length > 0) entries.push(`"${METADATA}":${JSON.stringify(metadata)}`);
  const names = new Set<string>([METADATA]);
  let end = 0;
  for (const { name, shape, data } of tensors) {
    if (names.has(name)) throw new SafetensorsError(`tensor name '${name}' is already in use`);
    names.add(name);
    if (elements(name, shape) !== data.length) {
      throw new SafetensorsError(
        `tensor '${name}': shape [${shape.join(', ')}] does not fit ${data.length} numbers`,
      );
    }
    const start = end;
    end += data.byteLength;
    entries.push(
      `${JSON.stringify(name)}:{"dtype":"F32","shape":[${shape.join(',')}],"data_offsets":[${start},${end}]}`,
    );
  }
  const json = new TextEncoder().encode(`{${entries.join(',')}}`);
  const headerBytes = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const file = new Uint8Array(PREFIX_BYTES + headerBytes + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, PREFIX_BYTES, PREFIX_BYTES + headerBytes);
  file.set(json, PREFIX_BYTES);
  return { file, pieces: putTensors(file, PREFIX_BYTES + headerBytes, tensors) };
}

/** @param start byte of the first number */
function* putTensors(file: Uint8Array, start: number, tensors: readonly NamedTensor[]): Generator<void> {
  let at = start;
  let full = PIECE_BYTES;
  for (const { data } of tensors) {
    for (let from = 0; from < data.byteLength; ) {
      const bytes = Math.min(data.byteLength - from, full);
      file.set(new Uint8Array(data.buffer, data.byteOffset + from, bytes), at);
      at += bytes;
      from += bytes;
      full -= bytes;
      if (full > 0) continue;
      yield;
      full = PIECE_BYTES;
    }
  }
}

/** Bytes of a number of each type that becomes float32: F64 is rounded, the others lose nothing. */
const READ_TYPES = { F32: 4, F16: 2, BF16: 2, F64: 8 } as const;
type ReadType = keyof typeof READ_TYPES;
/** And of those that the format knows besides, as far as a number of theirs fills whole bytes. */
const OTHER_TYPES = {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1, I16: 2, U16: 2, I32: 4, U32: 4 },
  ...{ I64: 8, U64: 8 },
} as const;

const isKeyOf = <T extends object>(table: T, key: unknown): key is keyof T =>
  typeof key === 'string' && Object.hasOwn(table, key);

export interface DecodeOptions {
  /** What happens to tensors of other types than these. Default: refuse. */
  readonly others?: 'refuse' | 'skip';
  /** Whether numbers that lie in `bytes` as they are wanted stay there, not to be changed. Default: they are copied, which takes a while. */
  readonly inPlace?: boolean;
}

/**
 * Reads a safetensors file of floating-point tensors, which become float32.
 * @throws SafetensorsError naming the tensor and what is wrong with it
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  { others = 'refuse', inPlace = false }: DecodeOptions = {},
): {
  tensors: NamedTensor[];
  metadata: Record<string, string>;
  /** Types of the tensors that were skipped, by name. */
  skipped: ReadonlyMap<string, string>;
} {
  const header = readHeader(bytes);
  const body = bytes.subarray(PREFIX_BYTES + header.length);
  let metadata: Record<string, string> = {};
  const entries: ({ name: string } & Entry)[] = [];
  const skipped = new Map<string, string>();
  for (const [name, value] of Object.entries(header.content)) {
    if (name === METADATA) metadata = checkMetadata(value);
    else entries.push({ name, ...checkEntry(name, value, others) });
  }
  // Sorting is stable, so that tensors without elements keep the header's order.
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let at = 0;
  for (const { name, start, end } of entries) {
    if (start !== at) {
      throw new SafetensorsError(
        `tensor '${name}' starts at byte ${start}, expected ${at}: tensors overlap or leave a gap`,
      );
    }
    at = end;
  }
  if (at !== body.length) {
    const cut = at > body.length ? ': the file is truncated; copy it again' : '';
    throw new SafetensorsError(
      `the tensors end at byte ${at}, but ${body.length} bytes follow the header${cut}`,
    );
  }
  const tensors = entries.flatMap(({ name, type, dtype, shape, start, end }) => {
    if (!type) {
      skipped.set(name, dtype);
      return [];
    }
    const place = body.byteOffset + start;
    if (inPlace && type === 'F32' && place % 4 === 0)
      return [{ name, shape, data: new Float32Array(body.buffer, place, (end - start) / 4) }];
    // A copy: the bytes may begin anywhere.
    const { buffer } = new Uint8Array(body.subarray(start, end));
    return [{ name, shape, data: toFloat32(name, type, buffer) }];
  });
  return { tensors, metadata, skipped };
}

function toFloat32(name: string, type: ReadType, buffer: ArrayBufferLike): Float32Array {
  if (type === 'F32') return new Float32Array(buffer);
  if (type === 'F64') {
    const exact = new Float64Array(buffer);
    const data = Float32Array.from(exact);
    const at = data.findIndex((value, i) => !Number.isFinite(value) && Number.isFinite(exact[i]));
    if (at < 0) return data;
    throw new SafetensorsError(
      `tensor '${name}' has ${exact[at]}, which is too large for float32. Scale the weights, or save them as F32`,
    );
  }
  const halves = new Uint16Array(buffer);
  // A bfloat16 is the upper half of a float32.
  if (type === 'BF16') return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
  return Float32Array.from(halves, float16);
}

/** The value of an IEEE 754 half: sign, five bits of exponent, ten of fraction. */
function float16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction > 0 ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function readHeader(bytes: Uint8Array): { content: Record<string, unknown>; length: number } {
  if (bytes.length < PREFIX_BYTES)
    throw new SafetensorsError(`${bytes.length} bytes are too few for a safetensors file`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const most = Math.min(MAX_HEADER_BYTES, bytes.length - PREFIX_BYTES);
  if (length > BigInt(most)) {
    const kind = otherKind(bytes);
    throw new SafetensorsError(
      kind
        ? `it is ${kind}`
        : `its first eight bytes are not the length of a header: it is not a safetensors file, or truncated`,
    );
  }
  const raw = bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + Number(length));
  if (raw[0] !== 0x7b) throw new SafetensorsError("the header does not start with '{'");
  let content: unknown;
  try {
    // A copy: TextDecoder takes no views of shared memory.
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(raw)));
  } catch (cause) {
    throw new SafetensorsError('the header is not JSON in UTF-8', { cause });
  }
  if (!isRecord(content)) throw new SafetensorsError('the header is not a JSON object');
  return { content, length: Number(length) };
}

function checkMetadata(value: unknown): Record<string, string> {
  if (!isRecord(value) || !Object.values(value).every((text) => typeof text === 'string')) {
    throw new SafetensorsError(`${METADATA} must map names to strings`);
  }
  return value as Record<string, string>;
}

interface Entry {
  /** Undefined: not one that we read. */
  readonly type: ReadType | undefined;
  readonly dtype: string;
  readonly shape: number[];
  readonly start: number;
  readonly end: number;
}

function checkEntry(name: string, value: unknown, others: 'refuse' | 'skip'): Entry {
  if (!isRecord(value)) throw new SafetensorsError(`tensor '${name}': its entry is not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const type = isKeyOf(READ_TYPES, dtype) ? dtype : undefined;
  const bytes = type ? READ_TYPES[type] : isKeyOf(OTHER_TYPES, dtype) ? OTHER_TYPES[dtype] : undefined;
  if (bytes === undefined || (!type && others === 'refuse')) {
    throw new SafetensorsError(
      `tensor '${name}': type ${JSON.stringify(dtype)}; only F32, F16, BF16 and F64 are supported`,
    );
  }
  if (!isCounts(shape))
    throw new SafetensorsError(`tensor '${name}': shape is not a list of non-negative integers`);
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw new SafetensorsError(`tensor '${name}': data_offsets must be two byte positions`);
  }
  const [start, end] = offsets as [number, number];
  const wanted = bytes * elements(name, shape);
  if (end - start !== wanted) {
    throw new SafetensorsError(
      `tensor '${name}': bytes ${start} to ${end} are ${end - start} bytes, but shape [${shape.join(', ')}] needs ${wanted}`,
    );
  }
  return { type, dtype: String(dtype), shape, start, end };
}

function elements(name: string, shape: Shape): number {
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (!Number.isSafeInteger(8 * count))
    throw new SafetensorsError(`tensor '${name}': shape [${shape.join(', ')}] is too large`);
  return count;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
