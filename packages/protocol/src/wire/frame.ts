/**
 * The frame codec: bulk data with a small header, the same for the data link and for batches staged in Redis.
 *
 *     offset  0  'KSN1'
 *             4  header length, bytes, uint32 little-endian
 *             8  payload length, bytes, uint32 little-endian
 *            12  checksum of header and payload (checksum.ts), uint32 little-endian
 *            16  header, msgpack
 *             .  payload: tensors (little-endian float32, or rounded-floats.ts), bytes (samples), or protobuf (messages)
 *
 * Lengths are checked against the limits before anything is decoded, and the digest before the header is trusted.
 */
import type { Field } from '@kasane/tensor/internal/field';
import { Packr } from 'msgpackr';
import { KasaneError } from '../errors.ts';
import { fieldSchema } from '../job/sample-format.ts';
import { FRAME_HEADER_BYTES, MESSAGE_BYTES } from '../limits.ts';
import { checksum } from './checksum.ts';

/** Part of one shard's gradient: floats of the flat parameter layout from `offset` on, encoded as the job has it (rounded-floats.ts). */
export interface GradientHeader {
  readonly kind: 'gradient';
  readonly job: string;
  readonly step: number;
  readonly shard: number;
  readonly attempt: number;
  /** Part of the parameters that one parameter server holds; 0 while there is one. */
  readonly partition: number;
  readonly offset: number;
}

/** Part of a parameter version; `total` floats make it complete. */
export interface ParametersHeader {
  readonly kind: 'parameters';
  readonly job: string;
  readonly version: number;
  readonly partition: number;
  readonly offset: number;
  readonly total: number;
  /** Checksum of the version's floats up to this part's end (checksum.ts): a worker computes with nothing else. */
  readonly digest: number;
}

/** Part of what a version adds to the one before it, encoded as the job has it; the digest is of what comes of both. */
export interface ChangesHeader extends Omit<ParametersHeader, 'kind'> {
  readonly kind: 'changes';
}

/** Part of the averages of the parameters that belong to a version. */
export interface AveragesHeader extends Omit<ParametersHeader, 'kind'> {
  readonly kind: 'averages';
}

/** A gradient whose bytes lie in shared memory; without payload. */
export interface SharedGradientHeader extends Omit<GradientHeader, 'kind'> {
  readonly kind: 'sharedGradient';
  readonly floats: number;
  /** In which place of the worker's memory all of this gradient lies. */
  readonly place: number;
}

/** Part of one shard's gradient, on its way to the owner of that part (Parts in training.proto). */
export interface PartGradientHeader {
  readonly kind: 'partGradient';
  readonly job: string;
  readonly layout: number;
  readonly step: number;
  readonly shard: number;
  readonly attempt: number;
  readonly offset: number;
}

/** The sum of one chunk over all shards, from its owner to the coordinator. */
export interface PartSumHeader {
  readonly kind: 'partSum';
  readonly job: string;
  readonly layout: number;
  readonly step: number;
  readonly offset: number;
}

/** A chunk of the parameters as its owner has updated it, for the other owners: where the job rounds, what it adds to the version before. */
export interface PartParametersHeader {
  readonly kind: 'partParameters';
  readonly job: string;
  readonly layout: number;
  readonly version: number;
  readonly offset: number;
}

/** What the owner of a chunk begins with, from the coordinator: its parameters, or a state of the optimizer. */
export interface PartStateHeader {
  readonly kind: 'partState';
  readonly job: string;
  readonly layout: number;
  /** 'parameters', or the state's name. */
  readonly name: string;
  readonly offset: number;
}

/** Measures a link between two workers: whoever gets one sends it back, as an answer. */
export interface ProbeHeader {
  readonly kind: 'probe';
  readonly answer: boolean;
}

/** Of a slow link between two workers: from now on no more bytes are under way to either end than this, and each says what it takes. */
export interface PaceHeader {
  readonly kind: 'pace';
  readonly window: number;
}

/** One more frame with part of a gradient or of the parameters was taken from a slow link. */
export interface TookHeader {
  readonly kind: 'took';
}

/** Parameters whose bytes lie in shared memory, which is no less to be trusted than that of who computes; without payload. */
export interface SharedParametersHeader extends Omit<ParametersHeader, 'kind' | 'digest'> {
  readonly kind: 'sharedParameters';
  readonly floats: number;
}

/** A shard's samples as staged in Redis: payload = sample indices (uint32), then all targets, then all inputs. */
export interface BatchHeader {
  readonly kind: 'batch';
  readonly job: string;
  readonly step: number;
  readonly shard: number;
  readonly epoch: number;
  readonly samples: number;
  /** What each sample consists of. */
  readonly input: Field;
  readonly target: Field;
}

/** What else the two ends of a link say: payload = ConnectRequest from the worker, ConnectResponse from the coordinator. */
export interface MessagesHeader {
  readonly kind: 'messages';
}

export type FrameHeader =
  | GradientHeader
  | ParametersHeader
  | ChangesHeader
  | AveragesHeader
  | SharedGradientHeader
  | SharedParametersHeader
  | PartGradientHeader
  | PartSumHeader
  | PartParametersHeader
  | PartStateHeader
  | ProbeHeader
  | PaceHeader
  | TookHeader
  | BatchHeader
  | MessagesHeader;
type HeaderOf<K extends FrameHeader['kind']> = Extract<FrameHeader, { kind: K }>;

export interface Frame<H extends FrameHeader = FrameHeader> {
  readonly header: H;
  /** A view into the received bytes; not necessarily aligned. */
  readonly payload: Uint8Array;
}

const MAGIC = 0x314e534b; // 'KSN1', little-endian
/** Bytes from which a frame's length is known. */
export const FRAME_PREFIX_BYTES = 16;
// Plain maps, no record extension: frames are readable from any msgpack library.
const packr = new Packr({ useRecords: false });

const text = (value: unknown) => typeof value === 'string' && value.length <= 128;
const count = (value: unknown) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffffffff;

const field = (value: unknown) => fieldSchema.safeParse(value).success;
const gradient = { job: text, step: count, shard: count, attempt: count, partition: count, offset: count };
const parameters = { job: text, version: count, partition: count, offset: count, total: count };

/** What each field of each header must be: typed over the headers, so that a new field must be checked. */
const checks: {
  [K in FrameHeader['kind']]: Record<Exclude<keyof HeaderOf<K>, 'kind'>, (value: unknown) => boolean>;
} = {
  gradient,
  parameters: { ...parameters, digest: count },
  changes: { ...parameters, digest: count },
  averages: { ...parameters, digest: count },
  sharedGradient: { ...gradient, floats: count, place: count },
  sharedParameters: { ...parameters, floats: count },
  partGradient: { job: text, layout: count, step: count, shard: count, attempt: count, offset: count },
  partSum: { job: text, layout: count, step: count, offset: count },
  partParameters: { job: text, layout: count, version: count, offset: count },
  partState: { job: text, layout: count, name: text, offset: count },
  probe: { answer: (value) => typeof value === 'boolean' },
  pace: { window: count },
  took: {},
  batch: {
    job: text,
    step: count,
    shard: count,
    epoch: count,
    samples: count,
    input: field,
    target: field,
  },
  messages: {},
};

/**
 * One buffer with header and payload.
 * @param room memory for it, of at least `frameRoom(payload.length)` bytes; its own without it
 */
export function encodeFrame(header: FrameHeader, payload: Uint8Array, room?: Buffer): Buffer {
  const frame = openFrame(header, payload.length, room);
  frame.payload.set(payload);
  return frame.seal();
}

/** A frame whose payload is written in place. `seal` gives the encoded frame, once the payload is there. */
export interface OpenFrame {
  /** Aligned to 8 bytes; holds anything at first. */
  readonly payload: Uint8Array;
  seal(): Buffer;
}

/** Bytes that a frame with such a payload has at most, whatever its header. */
export const frameRoom = (payloadBytes: number) => FRAME_PREFIX_BYTES + FRAME_HEADER_BYTES + 8 + payloadBytes;

/** @throws KasaneError LIMIT when the header is too large */
export function openFrame(header: FrameHeader, payloadBytes: number, room?: Buffer): OpenFrame {
  const head = packr.pack(header);
  if (head.length > FRAME_HEADER_BYTES) {
    throw new KasaneError(
      'LIMIT',
      `frame header of ${head.length} bytes: at most ${FRAME_HEADER_BYTES} are allowed`,
    );
  }
  const before = FRAME_PREFIX_BYTES + head.length;
  // An aligned payload: from shared memory V8 copies byte by byte otherwise, five times slower.
  const lead = -before & 7;
  const end = before + payloadBytes;
  const frame = (room ?? Buffer.allocUnsafe(lead + end)).subarray(lead, lead + end);
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(head.length, 4);
  frame.writeUInt32LE(payloadBytes, 8);
  frame.set(head, FRAME_PREFIX_BYTES);
  return {
    payload: new Uint8Array(frame.buffer, frame.byteOffset + before, payloadBytes),
    seal() {
      frame.writeUInt32LE(checksum(frame.subarray(FRAME_PREFIX_BYTES)), 12);
      return frame;
    },
  };
}

/** Bytes of a tensor (or a part of one) as they travel: the machine's own order, which is little-endian wherever Node runs. */
export function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * The length of a frame, by its prefix.
 * @throws KasaneError PROTOCOL when the bytes are no prefix; LIMIT when the frame is too large
 */
export function frameBytes(prefix: Buffer, most = MESSAGE_BYTES): number {
  if (prefix.length < FRAME_PREFIX_BYTES || prefix.readUInt32LE(0) !== MAGIC) {
    throw new KasaneError('PROTOCOL', `not a frame: ${prefix.length} bytes that do not start with 'KSN1'`);
  }
  const headLength = prefix.readUInt32LE(4);
  if (headLength > FRAME_HEADER_BYTES) {
    throw new KasaneError('PROTOCOL', `frame header of ${headLength} bytes: at most ${FRAME_HEADER_BYTES}`);
  }
  const size = FRAME_PREFIX_BYTES + headLength + prefix.readUInt32LE(8);
  if (size > most) {
    throw new KasaneError('LIMIT', `frame of ${size} bytes: at most ${most} are allowed`);
  }
  return size;
}

/**
 * Decodes a frame and checks every field of its header.
 * @param most bytes; a batch is put together from several values, so it may be larger than a message
 * @throws KasaneError PROTOCOL when the bytes are no frame, are damaged, or the header does not fit; LIMIT when too large.
 */
export function decodeFrame(data: Uint8Array, most = MESSAGE_BYTES): Frame {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const size = frameBytes(bytes, most);
  if (size !== bytes.length) {
    throw new KasaneError(
      'PROTOCOL',
      `frame lengths do not add up: ${size} bytes by its prefix, but ${bytes.length} arrived`,
    );
  }
  const headLength = bytes.readUInt32LE(4);
  const body = bytes.subarray(FRAME_PREFIX_BYTES);
  const digest = checksum(body);
  if (digest !== bytes.readUInt32LE(12)) {
    throw new KasaneError('PROTOCOL', 'frame is damaged: its checksum does not match its contents');
  }
  return { header: parseHeader(body.subarray(0, headLength)), payload: body.subarray(headLength) };
}

function parseHeader(bytes: Buffer): FrameHeader {
  let value: unknown;
  try {
    value = packr.unpack(bytes);
  } catch (cause) {
    throw new KasaneError('PROTOCOL', 'frame header is not msgpack', { cause });
  }
  if (typeof value !== 'object' || value === null || !('kind' in value) || typeof value.kind !== 'string') {
    throw new KasaneError('PROTOCOL', 'frame header has no kind');
  }
  if (!Object.hasOwn(checks, value.kind)) {
    throw new KasaneError(
      'PROTOCOL',
      `frame of unknown kind '${value.kind}'; known: ${Object.keys(checks).join(', ')}`,
    );
  }
  const header = value as unknown as Record<string, unknown>;
  for (const [field, check] of Object.entries(checks[value.kind as FrameHeader['kind']])) {
    if (!check(header[field]))
      throw new KasaneError('PROTOCOL', `frame header field '${field}' is ${JSON.stringify(header[field])}`);
  }
  return value as FrameHeader;
}
