/**
 * Writes messages in the wire format of Protocol Buffers (https://protobuf.dev/programming-guides/encoding): each field is
 * its number and wire type as a varint, then its content. Only what ONNX needs; repeated numbers go unpacked, which every
 * reader takes.
 */

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

/** Readers refuse messages from here on: lengths are signed 32-bit numbers in them. */
export const MAX_MESSAGE_BYTES = 2 ** 31 - 1;

/** One message, field by field in the order of the calls. Content is kept by reference until `finish`. */
export class Message {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  /** Its length as it stands, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** int32, int64 and enums; negative ones as 64-bit two's complement. */
  integer(field: number, value: number): this {
    return this.#tag(field, VARINT).#varint(BigInt.asUintN(64, BigInt(value)));
  }

  /** Each number as a field of its own. */
  integers(field: number, values: readonly number[]): this {
    for (const value of values) this.integer(field, value);
    return this;
  }

  float(field: number, value: number): this {
    const content = new Uint8Array(4);
    new DataView(content.buffer).setFloat32(0, value, true);
    return this.#tag(field, FIXED_32).#append(content);
  }

  text(field: number, value: string): this {
    return this.content(field, new TextEncoder().encode(value));
  }

  content(field: number, value: Uint8Array): this {
    return this.#tag(field, LENGTH_DELIMITED).#varint(BigInt(value.length)).#append(value);
  }

  message(field: number, value: Message): this {
    this.#tag(field, LENGTH_DELIMITED).#varint(BigInt(value.#bytes));
    for (const part of value.#parts) this.#append(part);
    return this;
  }

  /** @throws RangeError when no reader would take it */
  finish(): Uint8Array<ArrayBuffer> {
    if (this.#bytes > MAX_MESSAGE_BYTES) {
      throw new RangeError(
        `the file would have ${this.#bytes} bytes; Protocol Buffers allow at most ${MAX_MESSAGE_BYTES}`,
      );
    }
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  #tag(field: number, wireType: number): this {
    return this.#varint(BigInt(8 * field + wireType));
  }

  /** Seven bits a byte, the lowest first; the top bit says that more follow. */
  #varint(value: bigint): this {
    const bytes: number[] = [];
    let rest = value;
    while (rest >= 0x80n) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    return this.#append(Uint8Array.from(bytes));
  }

  #append(part: Uint8Array): this {
    this.#parts.push(part);
    this.#bytes += part.length;
    return this;
  }
}
