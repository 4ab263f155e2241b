/**
 * Reads messages in the wire format of Protocol Buffers, field by field: the other half of `onnx/protobuf.ts`. Whoever wrote the bytes may
 * mean harm, so each length is checked against what there is; nothing is copied and nothing recurses.
 */

/** A file that is damaged, or no ONNX file. */
export class OnnxFileError extends Error {
  override readonly name = 'OnnxFileError';
}

export interface WireField {
  readonly field: number;
  /** Of a varint: as a signed 64-bit number, rounded beyond 2^53. */
  readonly integer: number;
  /** Of what has a length, or 4 or 8 bytes. */
  readonly content: Uint8Array | undefined;
}

class Cursor {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  varint(): number {
    let [low, high] = [0, 0];
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw this.fault('ends within a number');
      const part = byte & 0x7f;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high = part >>> 4;
      } else high |= shift < 63 ? part << (shift - 32) : part << 31;
      if (byte < 0x80) return (high | 0) * 2 ** 32 + (low >>> 0);
    }
    throw this.fault('has a number of more than 10 bytes');
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (!(length >= 0 && end <= this.#bytes.length))
      throw this.fault(`has a part of ${length} bytes where ${this.#bytes.length - this.#at} are left`);
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  fault(why: string): OnnxFileError {
    return new OnnxFileError(`not an ONNX file, or a damaged one: ${this.#what} ${why}`);
  }
}

/**
 * The fields of a message, in the order of the file.
 * @param what the message is, for errors
 * @throws OnnxFileError where the bytes are no message
 */
export function* fieldsOf(message: Uint8Array, what: string): Generator<WireField> {
  const cursor = new Cursor(message, what);
  while (!cursor.isAtEnd) {
    const tag = cursor.varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (!(field >= 1 && field < 2 ** 29)) throw cursor.fault(`has a field of number ${field}`);
    switch (wire) {
      case 0:
        yield { field, integer: cursor.varint(), content: undefined };
        break;
      case 1:
        yield { field, integer: 0, content: cursor.take(8) };
        break;
      case 2:
        yield { field, integer: 0, content: cursor.take(cursor.varint()) };
        break;
      case 5:
        yield { field, integer: 0, content: cursor.take(4) };
        break;
      default:
        throw cursor.fault(`has a field of wire type ${wire}`);
    }
  }
}

/** The bytes of a field that has a length. */
export function contentOf({ field, content }: WireField, what: string): Uint8Array {
  if (content) return content;
  throw new OnnxFileError(
    `not an ONNX file, or a damaged one: ${what}: field ${field} is a number where a part was expected`,
  );
}

const utf8 = new TextDecoder();

/** A name: of at most so many bytes that messages can show it. */
export function textOf(field: WireField, what: string): string {
  const content = contentOf(field, what);
  if (content.length > MOST_TEXT)
    throw new OnnxFileError(`${what} has a text of ${content.length} bytes; at most ${MOST_TEXT} are read`);
  return utf8.decode(content);
}

const MOST_TEXT = 1 << 16;

/** Adds the numbers of a repeated field: one, or several in one part. */
export function addIntegers(list: number[], { integer, content }: WireField, what: string): void {
  if (!content) {
    list.push(integer);
    return;
  }
  const cursor = new Cursor(content, what);
  while (!cursor.isAtEnd) list.push(cursor.varint());
}

/** Adds the floats of a repeated field: one, or several in one part. */
export function addFloats(list: number[], field: WireField, what: string, bytes: 4 | 8 = 4): void {
  const content = contentOf(field, what);
  if (content.length % bytes > 0)
    throw new OnnxFileError(`${what} has ${content.length} bytes of floats of ${bytes}: the file is damaged`);
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  for (let at = 0; at < content.length; at += bytes)
    list.push(bytes === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true));
}
