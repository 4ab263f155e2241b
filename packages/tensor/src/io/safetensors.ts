/**
 * Safetensors: eight bytes with the header's length, a JSON header, the numbers. Encoding is deterministic: equal tensors give
 * equal bytes. Decoding trusts nothing: files come from disks and from other people.
 */
import type { Shape } from '../shape.ts';

export interface NamedTensor {
  readonly name: string;
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** Bytes that are no safetensors file, or one with types we do not read. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
}

const METADATA = '__metadata__';
const PREFIX_BYTES = 8;
const ALIGNMENT = 8;
/** As in the format's reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;

/** A safetensors file of float32 tensors in the order given; 8-byte aligned, header padded with spaces. */
export function encodeSafetensors(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const entries: string[] = [];
  if (Object.keys(metadata).length > 0) entries.push(`"${METADATA}":${JSON.stringify(metadata)}`);
  const names = new Set<string>([METADATA]);
  let end = 0;
  for (const { name, shape, data } of tensors) {
    if (names.has(name)) throw new SafetensorsError(`tensor name '${name}' is taken`);
    names.add(name);
    if (elements(name, shape) !== data.length) {
      throw new SafetensorsError(
        `tensor '${name}': shape [${shape.join(', ')}] does not hold ${data.length} numbers`,
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
  let at = PREFIX_BYTES + headerBytes;
  for (const { data } of tensors) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/**
 * Reads a safetensors file of float32 tensors. The numbers are copied.
 * @throws SafetensorsError naming the tensor and what is wrong with it
 */
export function decodeSafetensors(bytes: Uint8Array): {
  tensors: NamedTensor[];
  metadata: Record<string, string>;
} {
  const header = readHeader(bytes);
  const body = bytes.subarray(PREFIX_BYTES + header.length);
  let metadata: Record<string, string> = {};
  const entries: { name: string; shape: number[]; start: number; end: number }[] = [];
  for (const [name, value] of Object.entries(header.content)) {
    if (name === METADATA) metadata = checkMetadata(value);
    else entries.push({ name, ...checkEntry(name, value) });
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
    throw new SafetensorsError(`the tensors end at byte ${at}, but ${body.length} bytes follow the header`);
  }
  const tensors = entries.map(({ name, shape, start, end }) => {
    const copy = new Uint8Array(end - start);
    copy.set(body.subarray(start, end));
    return { name, shape, data: new Float32Array(copy.buffer) };
  });
  return { tensors, metadata };
}

function readHeader(bytes: Uint8Array): { content: Record<string, unknown>; length: number } {
  if (bytes.length < PREFIX_BYTES)
    throw new SafetensorsError(`${bytes.length} bytes are too few for a safetensors file`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const most = Math.min(MAX_HEADER_BYTES, bytes.length - PREFIX_BYTES);
  if (length > BigInt(most)) {
    throw new SafetensorsError(
      `the header claims ${length} bytes, at most ${most} are possible: not safetensors, or cut short`,
    );
  }
  const raw = bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + Number(length));
  if (raw[0] !== 0x7b) throw new SafetensorsError("the header does not begin with '{'");
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

function checkEntry(name: string, value: unknown): { shape: number[]; start: number; end: number } {
  if (!isRecord(value)) throw new SafetensorsError(`tensor '${name}': its entry is not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (dtype !== 'F32')
    throw new SafetensorsError(`tensor '${name}': type ${JSON.stringify(dtype)}; only F32 is read`);
  if (!isCounts(shape))
    throw new SafetensorsError(`tensor '${name}': shape is not a list of non-negative integers`);
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw new SafetensorsError(`tensor '${name}': data_offsets must be two byte positions`);
  }
  const [start, end] = offsets as [number, number];
  const wanted = 4 * elements(name, shape);
  if (end - start !== wanted) {
    throw new SafetensorsError(
      `tensor '${name}': bytes ${start} to ${end} hold ${end - start} bytes, shape [${shape.join(', ')}] needs ${wanted}`,
    );
  }
  return { shape, start, end };
}

function elements(name: string, shape: Shape): number {
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (!Number.isSafeInteger(4 * count))
    throw new SafetensorsError(`tensor '${name}': shape [${shape.join(', ')}] is too large`);
  return count;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
