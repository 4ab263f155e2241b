/** Bytes of a field to what a network takes: float32 for inputs, int32 or float32 for targets. */
import type { Field } from '@kasane/tensor/internal/field';

/** A table of (v / 255 - mean) / std for each byte v, as float32. */
export function normalizationTable(mean: number, std: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, value) => (value / 255 - mean) / std);
}

/** out[i] = table[pixels[i]] */
export function normalizeInto(pixels: Uint8Array, table: Float32Array, out: Float32Array): void {
  // Asked each time, the length of what may be a Buffer too takes longer than all the rest.
  const { length } = pixels;
  let i = 0;
  for (; i < length && (pixels.byteOffset + i) % 4 !== 0; i++) out[i] = table[pixels[i]!]!;
  if (i === length) return;
  // Four pixels at once take half of the time, and a background of zeros half of that: most pixels of a drawing are zeros.
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset + i, (length - i) >>> 2);
  const count = words.length;
  const zero = table[0]!;
  for (let word = 0; word < count; word++, i += 4) {
    const four = words[word]!;
    if (four === 0) {
      out[i] = zero;
      out[i + 1] = zero;
      out[i + 2] = zero;
      out[i + 3] = zero;
      continue;
    }
    out[i] = table[four & 0xff]!;
    out[i + 1] = table[(four >>> 8) & 0xff]!;
    out[i + 2] = table[(four >>> 16) & 0xff]!;
    out[i + 3] = table[four >>> 24]!;
  }
  for (; i < length; i++) out[i] = table[pixels[i]!]!;
}

/** A shape without the axes that say nothing. */
export const longAxes = (shape: readonly number[]): number[] => shape.filter((extent) => extent !== 1);

/** Whether samples are as high as wide, of one channel: what is taken for granted where nothing is said. */
export function isSquare(shape: readonly number[]): boolean {
  const [height, width, ...rest] = longAxes(shape);
  return height !== undefined && height === width && rest.length === 0;
}

/**
 * The shape that bytes had in training.
 * @param input what the model takes: it may be flat
 * @param shape what the weights say
 */
export function shapeOfBytes(
  input: readonly number[],
  shape: readonly number[] | undefined,
): readonly number[] {
  if (shape) return shape;
  const axes = longAxes(input);
  const side = Math.sqrt(axes.reduce((product, extent) => product * extent, 1));
  return axes.length < 2 && Number.isInteger(side) ? [side, side] : axes;
}

/** Turns the bytes of one or more samples' inputs into `out`, whose length is theirs in elements. */
export type InputReader = (bytes: Uint8Array, out: Float32Array) => void;

/**
 * A reader of a field: u8 is normalised by `mean` and `std`, i32 (tokens) becomes the same number, f32 stays.
 * @param mean one number, or one for each extent of the last axis; the same of `std`
 * @throws RangeError when there are as many means as fit nothing
 */
export function inputReader(field: Field, mean: readonly number[], std: readonly number[]): InputReader {
  if (field.dtype === 'f32') return (bytes, out) => bytesOfArray(out).set(bytes);
  if (field.dtype === 'i32') return (bytes, out) => out.set(elements(bytes, Int32Array));
  const channels = mean.length;
  if (channels !== std.length || (channels !== 1 && channels !== field.shape.at(-1))) {
    throw new RangeError(
      `${mean.length} means and ${std.length} standard deviations for samples of ${field.shape.join(' x ')}: expected one of each, or one per channel`,
    );
  }
  const tables = mean.map((value, channel) => normalizationTable(value, std[channel]!));
  if (channels === 1) return (bytes, out) => normalizeInto(bytes, tables[0]!, out);
  return (bytes, out) => {
    const { length } = bytes;
    for (let i = 0; i < length; i += channels) {
      for (let c = 0; c < channels; c++) out[i + c] = tables[c]![bytes[i + c]!]!;
    }
  };
}

/** Targets of any number of samples: class numbers and tokens as int32, the rest as float32. A copy. */
export function readTargets(field: Field, bytes: Uint8Array): Int32Array | Float32Array {
  if (field.dtype === 'u8') return new Int32Array(bytes);
  return field.dtype === 'i32' ? elements(bytes, Int32Array) : elements(bytes, Float32Array);
}

const bytesOfArray = (array: Float32Array) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** A copy: the bytes may begin anywhere. */
function elements<T extends Int32Array | Float32Array>(
  bytes: Uint8Array,
  type: new (buffer: ArrayBuffer) => T,
): T {
  return new type(new Uint8Array(bytes).buffer);
}
