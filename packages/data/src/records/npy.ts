/** Arrays as NumPy writes them (NEP 1, versions 1 to 3), row by row: what is not plain numbers or texts, such as pickled objects, is refused. */
import { DataError } from '../dataset.ts';
import type { ByteQueue } from './byte-queue.ts';
import type { NumberKind, Numbers } from './numbers.ts';

export interface NpyHeader {
  /** Of the whole array; its first axis are the rows. */
  readonly shape: readonly number[];
  readonly kind: NumberKind | 'text';
  /** Bytes of a row. */
  readonly rowBytes: number;
  /** The values of a row. */
  readonly read: (row: Uint8Array) => Numbers | string;
}

/** NumPy itself reads no longer ones unless it is told to. */
const HEADER_BYTES = 10_000;
const ROW_BYTES = 2 ** 30;

/** @param place names it in messages. @throws DataError */
export async function readNpyHeader(bytes: ByteQueue, place: string): Promise<NpyHeader> {
  const damaged = (why: string) => new DataError(`${place}: ${why}. Copy or save it again`);
  const start = Buffer.from(await bytes.take(8));
  if (start.length === 0) throw new DataError(`${place}: it is empty`);
  if (start.toString('latin1', 0, 6) !== '\x93NUMPY')
    throw new DataError(`${place}: it is no NumPy array (.npy)`);
  const [, version = 0] = start.subarray(5);
  if (version < 1 || version > 3) throw damaged(`its version is ${version}; expected 1 to 3`);
  const counted = Buffer.from(await bytes.take(version === 1 ? 2 : 4));
  if (counted.length < (version === 1 ? 2 : 4)) throw damaged('it ends in its header');
  const length = version === 1 ? counted.readUInt16LE() : counted.readUInt32LE();
  if (length > HEADER_BYTES) throw damaged(`its header has ${length} bytes`);
  const header = Buffer.from(await bytes.take(length)).toString('latin1');
  if (header.length < length) throw damaged('it ends in its header');
  return headerOf(header, place, damaged);
}

function headerOf(header: string, place: string, damaged: (why: string) => DataError): NpyHeader {
  const [, extents] = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(header) ?? [];
  const [, order] = /'fortran_order'\s*:\s*(True|False)/.exec(header) ?? [];
  if (extents === undefined || order === undefined) throw damaged('its header has no shape and order');
  const [, descr] = /'descr'\s*:\s*'([<>|=]?[a-zA-Z]\d*(?:\[\w+\])?)'/.exec(header) ?? [];
  if (descr === undefined)
    throw new DataError(
      `${place}: its rows have named fields. Save each field as an array of its own, or the table as Parquet or CSV`,
    );
  const shape = extents
    .split(',')
    .flatMap((text) => (text.trim() === '' ? [] : [Number(text.replace('L', ''))]));
  if (shape.length === 0)
    throw new DataError(`${place}: it is a single value; expected an array with a row per sample`);
  if (shape.length > 9 || shape.some((extent) => !Number.isSafeInteger(extent) || extent < 1))
    throw new DataError(
      `${place}: its shape is (${extents.trim()}); expected a row per sample, and no empty axis`,
    );
  if (order === 'True' && shape.length > 1)
    throw new DataError(
      `${place}: it is in Fortran order, column by column. Save it with numpy.save(path, numpy.ascontiguousarray(array))`,
    );
  const [, sign, type, digits = ''] = /^([<>|=]?)([a-zA-Z])(\d*)/.exec(descr) as unknown as [
    string,
    string,
    string,
    string,
  ];
  const size = Number(digits || 1);
  const numbers = shape.slice(1).reduce((product, extent) => product * extent, 1);
  const read = readerOf(type, size, sign !== '>');
  if (read === undefined) throw new DataError(`${place}: ${whyNot(type, descr)}`);
  const rowBytes = numbers * (type === 'U' ? 4 * size : size);
  if (rowBytes > ROW_BYTES || rowBytes < 1)
    throw new DataError(`${place}: a row has ${rowBytes} bytes; expected 1 to ${ROW_BYTES}`);
  if (read.kind === 'text') {
    if (numbers !== 1) throw new DataError(`${place}: it has ${numbers} texts per row; expected one`);
    return { shape, kind: 'text', rowBytes, read: read.text };
  }
  const { kind, value } = read;
  const rest = shape.slice(1);
  return {
    shape,
    kind,
    rowBytes,
    read: (row) => {
      const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
      const data = kind === 'bytes' ? new Uint8Array(numbers) : new Float64Array(numbers);
      for (let i = 0; i < numbers; i++) data[i] = value(view, i * size);
      return { shape: rest, data, kind };
    },
  };
}

const whyNot = (type: string, descr: string): string => {
  if (type === 'O')
    return 'it holds Python objects (pickle), which are not read, because they can run code. Save numbers or texts: array.astype(float), or array.astype(str)';
  const cure = type === 'M' || type === 'm' ? 'Save the times as numbers' : 'Save it as float32';
  return `its values have the type ${descr}, which is not supported. ${cure}`;
};

type Reader =
  | { readonly kind: NumberKind; readonly value: (view: DataView, at: number) => number }
  | { readonly kind: 'text'; readonly text: (row: Uint8Array) => string };

function readerOf(type: string, size: number, little: boolean): Reader | undefined {
  const whole = (value: (view: DataView, at: number) => number): Reader => ({ kind: 'whole', value });
  const decimal = (value: (view: DataView, at: number) => number): Reader => ({ kind: 'decimal', value });
  switch (`${type}${size}`) {
    case 'u1':
      return { kind: 'bytes', value: (view, at) => view.getUint8(at) };
    case 'b1':
      return decimal((view, at) => (view.getUint8(at) === 0 ? 0 : 1));
    case 'i1':
      return whole((view, at) => view.getInt8(at));
    case 'u2':
      return whole((view, at) => view.getUint16(at, little));
    case 'i2':
      return whole((view, at) => view.getInt16(at, little));
    case 'u4':
      return whole((view, at) => view.getUint32(at, little));
    case 'i4':
      return whole((view, at) => view.getInt32(at, little));
    case 'u8':
      return whole((view, at) => Number(view.getBigUint64(at, little)));
    case 'i8':
      return whole((view, at) => Number(view.getBigInt64(at, little)));
    case 'f2':
      return decimal((view, at) => halfOf(view.getUint16(at, little)));
    case 'f4':
      return decimal((view, at) => view.getFloat32(at, little));
    case 'f8':
      return decimal((view, at) => view.getFloat64(at, little));
  }
  if (type === 'U') return { kind: 'text', text: (row) => utf32(row, little) };
  if (type === 'S' || type === 'a')
    return { kind: 'text', text: (row) => Buffer.from(row).toString('utf8').replace(/\0+$/, '') };
  return undefined;
}

function halfOf(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function utf32(row: Uint8Array, little: boolean): string {
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
  let text = '';
  for (let at = 0; at + 4 <= row.byteLength; at += 4) {
    const code = view.getUint32(at, little);
    text += code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  }
  return text.replace(/\0+$/, '');
}

/** All rows, one after the other. @throws DataError where there are fewer than the header says */
export async function* npyRows(
  bytes: ByteQueue,
  { shape, rowBytes, read }: NpyHeader,
  place: string,
): AsyncGenerator<Numbers | string> {
  for (let row = 0; row < shape[0]!; row++) {
    const taken = await bytes.take(rowBytes);
    if (taken.length < rowBytes)
      throw new DataError(`${place}: it ends in row ${row} of ${shape[0]}. Copy or save it again`);
    yield read(taken);
  }
}

/** An array in memory, as a whole. @throws DataError */
export function decodeNpy(header: NpyHeader, rows: readonly (Numbers | string)[]): Numbers | string {
  const [first] = rows;
  if (typeof first === 'string' || first === undefined)
    return rows.length === 1 ? (first ?? '') : rows.join(' ');
  const size = first.data.length;
  const data =
    first.kind === 'bytes' ? new Uint8Array(rows.length * size) : new Float64Array(rows.length * size);
  for (const [at, row] of rows.entries()) data.set((row as Numbers).data, at * size);
  return { shape: header.shape, data, kind: first.kind };
}
