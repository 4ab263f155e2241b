/**
 * How floats of the flat layout travel that have been rounded (tensor/src/optim/rounding.ts), parameter by parameter: those of a statistic
 * as float32; of others, as bf16, their upper halves, or as int8, block by block a byte and then a byte each. The block's byte is the
 * exponent of its scale, with float32's bias; NOT_FINITE: its floats are not finite. Nothing is lost of what has been rounded.
 */

import { BLOCK, firstAfter, type Precision } from '@kasane/tensor/internal/optim/rounding';
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import { KasaneError } from '../errors.ts';
import { bytesOf } from './frame.ts';

/** A block's byte: it has floats that are not finite. */
const NOT_FINITE = 255;
/** Of the largest scale with which 127 is a float. */
const MOST_EXPONENT = 249;

/** How many bytes a gradient takes on the wire, or the change of a version. */
export function exchangedBytes(
  parameters: readonly Pick<ParameterSpec, 'offset' | 'size' | 'statistic'>[],
  precision: Precision,
): number {
  const bytes = ({ offset, size, statistic }: (typeof parameters)[number]) =>
    precision === 'f32' || statistic ? 4 * size : roundedBytes(offset, offset + size, precision);
  return parameters.reduce((sum, parameter) => sum + bytes(parameter), 0);
}

/** Of floats [start, end) of one parameter. */
function roundedBytes(start: number, end: number, precision: Exclude<Precision, 'f32'>): number {
  if (precision === 'bf16') return 2 * (end - start);
  return end - start + Math.ceil(end / BLOCK) - Math.floor(start / BLOCK);
}

/** Of rounded floats that follow one another in the flat layout; ranges begin and end where blocks do. */
export interface FloatCodec {
  /** Encodes floats that begin at `start`. What it returns holds until its next call. */
  encode(floats: Float32Array, start: number): Uint8Array;
  /**
   * How many floats from `start` on such bytes hold.
   * @throws KasaneError PROTOCOL when they end within a block, or are more than there are
   */
  count(bytes: Uint8Array, start: number): number;
  /** Puts the floats that such bytes hold, from `start` on, where they are to be. @throws KasaneError PROTOCOL as `count` does */
  decode(bytes: Uint8Array, start: number, into: Float32Array): void;
  /**
   * Makes of the floats of a version those of the next: adds the changes that such bytes hold, and puts new statistics in their places.
   * @throws KasaneError PROTOCOL as `count` does
   */
  add(bytes: Uint8Array, start: number, into: Float32Array): void;
}

export function floatCodec(
  parameters: readonly Pick<ParameterSpec, 'offset' | 'size' | 'statistic'>[],
  precision: Precision,
): FloatCodec {
  return precision === 'f32' ? plainFloats : new RoundedFloats(parameters, precision);
}

const plainFloats: FloatCodec = {
  encode: bytesOf,
  count(bytes, start) {
    if (bytes.length % 4 !== 0 || bytes.length === 0)
      throw new KasaneError('PROTOCOL', `${bytes.length} bytes of float32 from float ${start} on`);
    return bytes.length / 4;
  },
  decode: (bytes, _, into) => bytesOf(into).set(bytes),
  add: (bytes, _, into) => bytesOf(into).set(bytes),
};

/** Neighbouring floats of one parameter, or of a part of it. */
interface Piece {
  readonly start: number;
  readonly end: number;
  readonly isRounded: boolean;
}

class RoundedFloats implements FloatCodec {
  readonly #precision: Exclude<Precision, 'f32'>;
  readonly #parameters: readonly Piece[];
  #bytes = new Uint8Array(0);
  #floats = new Float32Array(0);

  constructor(
    parameters: readonly Pick<ParameterSpec, 'offset' | 'size' | 'statistic'>[],
    precision: Exclude<Precision, 'f32'>,
  ) {
    this.#precision = precision;
    this.#parameters = parameters.map(({ offset, size, statistic }) => ({
      ...{ start: offset, end: offset + size },
      isRounded: !statistic,
    }));
  }

  encode(floats: Float32Array, start: number): Uint8Array {
    const end = start + floats.length;
    let bytes = 0;
    for (const piece of this.#pieces(start, end)) bytes += this.#bytesOf(piece);
    if (this.#bytes.length < bytes) this.#bytes = new Uint8Array(bytes);
    const encoded = this.#bytes.subarray(0, bytes);
    let at = 0;
    for (const piece of this.#pieces(start, end)) {
      const part = floats.subarray(piece.start - start, piece.end - start);
      const into = encoded.subarray(at, at + this.#bytesOf(piece));
      if (!piece.isRounded) into.set(bytesOf(part));
      else if (this.#precision === 'bf16') encodeHalves(part, into);
      else encodeBlocks(part, piece.start, into);
      at += into.length;
    }
    return encoded;
  }

  count(bytes: Uint8Array, start: number): number {
    return this.#piecesIn(bytes, start).at(-1)!.end - start;
  }

  decode(bytes: Uint8Array, start: number, into: Float32Array): void {
    let at = 0;
    for (const piece of this.#piecesIn(bytes, start)) {
      const floats = into.subarray(piece.start - start, piece.end - start);
      const part = bytes.subarray(at, at + this.#bytesOf(piece));
      if (!piece.isRounded) bytesOf(floats).set(part);
      else if (this.#precision === 'bf16') decodeHalves(part, floats);
      else decodeBlocks(part, piece.start, floats);
      at += part.length;
    }
  }

  add(bytes: Uint8Array, start: number, into: Float32Array): void {
    if (this.#floats.length < into.length) this.#floats = new Float32Array(into.length);
    const changes = this.#floats;
    this.decode(bytes, start, changes);
    for (const piece of this.#pieces(start, start + into.length)) {
      const [from, to] = [piece.start - start, piece.end - start];
      if (piece.isRounded) for (let i = from; i < to; i++) into[i] = into[i]! + changes[i]!;
      else into.set(changes.subarray(from, to), from);
    }
  }

  *#pieces(start: number, end: number): Generator<Piece> {
    const list = this.#parameters;
    for (let index = firstAfter(list, start); index < list.length && list[index]!.start < end; index++) {
      const { start: first, end: last, isRounded } = list[index]!;
      yield { start: Math.max(start, first), end: Math.min(end, last), isRounded };
    }
  }

  #bytesOf({ start, end, isRounded }: Piece): number {
    return isRounded ? roundedBytes(start, end, this.#precision) : 4 * (end - start);
  }

  /** The pieces that so many bytes hold. @throws KasaneError PROTOCOL */
  #piecesIn(bytes: Uint8Array, start: number): Piece[] {
    const pieces: Piece[] = [];
    let left = bytes.length;
    for (const piece of this.#pieces(start, Number.POSITIVE_INFINITY)) {
      if (left === 0) break;
      const size = this.#bytesOf(piece);
      const part = size <= left ? piece : this.#beginning(piece, left);
      if (!part) break;
      pieces.push(part);
      left -= this.#bytesOf(part);
    }
    if (left > 0 || pieces.length === 0)
      throw new KasaneError(
        'PROTOCOL',
        `${bytes.length} bytes of ${this.#precision} from float ${start} on are not whole blocks of the model`,
      );
    return pieces;
  }

  /** The blocks at the beginning of a piece that take so many bytes; undefined: they end within one. */
  #beginning({ start, end, isRounded }: Piece, bytes: number): Piece | undefined {
    if (!isRounded || this.#precision === 'bf16') {
      const each = isRounded ? 2 : 4;
      return bytes % each === 0 ? { start, end: start + bytes / each, isRounded } : undefined;
    }
    const first = BLOCK - (start % BLOCK);
    const rest = bytes - first - 1;
    if (rest < 0 || rest % (BLOCK + 1) !== 0) return undefined;
    const until = start + first + (rest / (BLOCK + 1)) * BLOCK;
    return until < end ? { start, end: until, isRounded } : undefined;
  }
}

function encodeHalves(floats: Float32Array, into: Uint8Array): void {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  for (let i = 0, at = 0; i < bits.length; i++, at += 2) {
    const upper = bits[i]! >>> 16;
    into[at] = upper;
    into[at + 1] = upper >>> 8;
  }
}

function decodeHalves(bytes: Uint8Array, into: Float32Array): void {
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0, at = 0; i < bits.length; i++, at += 2)
    bits[i] = (bytes[at]! << 16) | (bytes[at + 1]! << 24);
}

/** The scale that an exponent of a block stands for, and its inverse, as powers of two. */
const word = new Uint32Array(1);
const asFloat = new Float32Array(word.buffer);
const powerOf = (biased: number): number => {
  word[0] = biased << 23;
  return asFloat[0]!;
};

function encodeBlocks(floats: Float32Array, start: number, into: Uint8Array): void {
  const all = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const codes = new Int8Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0, at = 0; i < floats.length; ) {
    const end = Math.min(floats.length, i + BLOCK - ((start + i) % BLOCK));
    let largest = 0;
    for (let k = i; k < end; k++) {
      const magnitude = all[k]! & 0x7fffffff;
      if (magnitude > largest) largest = magnitude;
    }
    const areFinite = largest < 0x7f800000;
    // As the rounding finds it: of what it has rounded the same, or a smaller one, which loses nothing either.
    const exponent = Math.max(1, ((largest + 0x1ffff) >>> 23) - 6);
    const inverse = powerOf(254 - exponent);
    into[at++] = areFinite ? exponent : NOT_FINITE;
    if (areFinite) for (; i < end; i++) codes[at++] = Math.round(floats[i]! * inverse);
    else {
      codes.fill(0, at, at + end - i);
      at += end - i;
      i = end;
    }
  }
}

/** @throws KasaneError PROTOCOL when a block has a scale that there is not */
function decodeBlocks(bytes: Uint8Array, start: number, into: Float32Array): void {
  const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = 0, at = 0; i < into.length; ) {
    const end = Math.min(into.length, i + BLOCK - ((start + i) % BLOCK));
    const exponent = bytes[at++]!;
    if (exponent !== NOT_FINITE && (exponent < 1 || exponent > MOST_EXPONENT))
      throw new KasaneError('PROTOCOL', `block at float ${start + i}: exponent ${exponent} is out of range`);
    const scale = exponent === NOT_FINITE ? Number.NaN : powerOf(exponent);
    for (; i < end; i++) into[i] = codes[at++]! * scale;
  }
}
