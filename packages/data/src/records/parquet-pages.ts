/**
 * Looks at the pages of a Parquet column before they are decoded: the library believes the counts in them, and a few bytes that say that a
 * value is there a billion times would take all memory.
 */
import type { ColumnMetaData, Compressors, PageHeader, SchemaTree } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel, isFlatColumn } from 'hyparquet/src/schema.js';
import { MOST_FIELDS } from '../tables/table-limits.ts';

export type Decompress = (bytes: Uint8Array, size: number) => Uint8Array;

interface Column {
  readonly meta: ColumnMetaData;
  readonly schemaPath: SchemaTree[];
  /** Of the row group. */
  readonly rows: number;
  readonly decompress: Decompress;
}

/** Bytes of a page, unpacked. */
const PAGE_BYTES = 1 << 28;

const fail = (why: string): never => {
  throw new Error(why);
};

/** What the library unpacks pages with: what is not as it should be ends it there. @throws Error at once for what headers tell */
export function checkedPages(chunk: ArrayBuffer, column: Column): { readonly compressors: Compressors } {
  const pages = headersOf(chunk, column);
  const unpack = (bytes: Uint8Array, size: number): Uint8Array => {
    const header = pages.get(bytes.byteOffset) ?? fail('a page where none begins');
    const page = size === 0 ? new Uint8Array(0) : column.decompress(bytes, size);
    if (page.length !== size) fail(`a page of ${page.length} bytes, not ${size}`);
    checkPage(page, header, column);
    return page;
  };
  return { compressors: { LZO: unpack } };
}

/** The headers of all pages, by where what they unpack begins. */
function headersOf(chunk: ArrayBuffer, column: Column): ReadonlyMap<number, PageHeader> {
  const { meta, schemaPath, rows } = column;
  const reader = { view: new DataView(chunk), offset: 0 };
  const most = isFlatColumn(schemaPath) ? rows : Math.min(Number(meta.num_values), MOST_FIELDS);
  const found = new Map<number, PageHeader>();
  let values = 0;
  while (reader.offset < chunk.byteLength - 1 && (values < most || !isFlatColumn(schemaPath))) {
    const header = parquetHeader(reader);
    const { compressed_page_size: size, uncompressed_page_size: unpacked } = header;
    const at = reader.offset;
    if (!(size >= 0) || at + size > chunk.byteLength) fail(`a page of ${size} bytes ends after the column`);
    if (!(unpacked >= 0 && unpacked <= PAGE_BYTES)) fail(`a page of ${unpacked} bytes unpacked`);
    reader.offset += size;
    const count = countOf(header);
    if (!(count >= 0)) fail(`a page of ${count} values`);
    if (header.type !== 'DICTIONARY_PAGE') values += count;
    if (values > most || count > MOST_FIELDS) fail(`more values in its pages than the ${most} of the column`);
    const { data_page_header_v2: v2 } = header;
    if (header.type === 'DATA_PAGE_V2' && v2) {
      const levels = checkLevelsV2(new Uint8Array(chunk, at, size), header, column);
      if (v2.is_compressed === false)
        checkValues(new Uint8Array(chunk, at + levels, size - levels), header, count - v2.num_nulls, column);
      found.set(at + levels, header);
    } else found.set(at, header);
  }
  return found;
}

function countOf({ type, ...header }: PageHeader): number {
  if (type === 'DATA_PAGE') return header.data_page_header?.num_values ?? -1;
  if (type === 'DATA_PAGE_V2') return header.data_page_header_v2?.num_values ?? -1;
  return type === 'DICTIONARY_PAGE'
    ? (header.dictionary_page_header?.num_values ?? -1)
    : fail(`a page of type ${type}`);
}

/** @returns bytes of the levels, which are never compressed */
function checkLevelsV2(
  bytes: Uint8Array,
  { data_page_header_v2: header }: PageHeader,
  { schemaPath }: Column,
): number {
  const {
    num_values: count,
    num_nulls: nulls,
    repetition_levels_byte_length: repetition,
    definition_levels_byte_length: definition,
  } = header!;
  if (!(repetition >= 0 && definition >= 0 && repetition + definition <= bytes.length))
    fail('levels of a page are longer than it is');
  if (!(nulls >= 0 && nulls <= count)) fail(`${nulls} nulls among ${count} values`);
  const [deepest, lists] = [getMaxDefinitionLevel(schemaPath), getMaxRepetitionLevel(schemaPath)];
  if (lists > 0) checkRuns(bytes.subarray(0, repetition), 0, widthOf(lists), count);
  if (deepest > 0) checkRuns(bytes.subarray(repetition, repetition + definition), 0, widthOf(deepest), count);
  return repetition + definition;
}

const widthOf = (level: number) => 32 - Math.clz32(level);

function checkPage(page: Uint8Array, header: PageHeader, column: Column): void {
  const count = countOf(header);
  if (header.type === 'DICTIONARY_PAGE') {
    checkPlain(page, count, column);
    return;
  }
  const { data_page_header_v2: v2 } = header;
  if (v2) {
    checkValues(page, header, count - v2.num_nulls, column);
    return;
  }
  const { schemaPath } = column;
  let at = 0;
  for (const level of [getMaxRepetitionLevel(schemaPath), getMaxDefinitionLevel(schemaPath)]) {
    if (level === 0) continue;
    const length = uint32(page, at);
    at += 4;
    if (length > page.length - at) fail('levels of a page are longer than it is');
    checkRuns(page.subarray(at, at + length), 0, widthOf(level), count);
    at += length;
  }
  // Of how many of them there is a value, the levels say: there are no more than this.
  checkValues(page.subarray(at), header, count, column, true);
}

/** @param most whether there may be fewer: as many as levels say */
function checkValues(
  bytes: Uint8Array,
  header: PageHeader,
  count: number,
  column: Column,
  most = false,
): void {
  const encoding = (header.data_page_header_v2 ?? header.data_page_header)!.encoding;
  if (count === 0 || (bytes.length === 0 && most)) return;
  switch (encoding) {
    case 'PLAIN':
    case 'BYTE_STREAM_SPLIT':
      if (!most) checkPlain(bytes, count, column);
      break;
    case 'RLE':
      checkRuns(bytes, 4, 1, count);
      break;
    case 'PLAIN_DICTIONARY':
    case 'RLE_DICTIONARY':
      if (bytes[0]! > 32) fail(`a dictionary of ${bytes[0]} bits`);
      if (bytes[0] !== 0) checkRuns(bytes, 1, bytes[0]!, count);
      break;
    case 'DELTA_BYTE_ARRAY':
      checkPrefixes(bytes);
      break;
    case 'DELTA_BINARY_PACKED':
    case 'DELTA_LENGTH_BYTE_ARRAY':
      break;
    default:
      fail(`values in the encoding ${encoding}, which is not supported`);
  }
}

const widths: Readonly<Record<string, number>> = {
  INT32: 4,
  INT64: 8,
  INT96: 12,
  FLOAT: 4,
  DOUBLE: 8,
  BYTE_ARRAY: 4,
  BOOLEAN: 1 / 8,
};

/** Values are there as their count says. */
function checkPlain(bytes: Uint8Array, count: number, { schemaPath }: Column): void {
  const { type, type_length: length } = schemaPath.at(-1)!.element;
  const width =
    type === 'FIXED_LEN_BYTE_ARRAY'
      ? (length ?? 0)
      : (widths[String(type)] ?? fail(`values of type ${type}`));
  if (!(width > 0) || count * width > bytes.length)
    fail(`${count} values of ${type} in ${bytes.length} bytes`);
}

/** Runs of the hybrid encoding: no more values than there are, but for those that fill the last eight. */
function checkRuns(bytes: Uint8Array, from: number, width: number, count: number): void {
  let at = from;
  let seen = 0;
  while (seen < count && at < bytes.length) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? fail('a run without an end');
      header += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
      if (shift > 28) fail('a run that is too long');
    }
    const packed = header % 2 === 1;
    const values = packed ? ((header - 1) / 2) * 8 : header / 2;
    at += packed ? (values / 8) * width : Math.ceil(width / 8);
    // The last eight are filled up; nothing else may be.
    if (values === 0 || seen + values > count + (packed ? 504 : 0))
      fail(`a run of ${values} values among ${count}`);
    seen += values;
  }
}

/** Each text begins with a part of the one before it: no more of it than there is. */
function checkPrefixes(bytes: Uint8Array): void {
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  const lengths = (): Int32Array => {
    const { offset } = reader;
    // Of the count that the library passes over.
    for (let part = 0; part < 2; part++) while (reader.view.getUint8(reader.offset++) >= 0x80);
    let count = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = reader.view.getUint8(reader.offset++);
      count += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
      if (shift > 28) fail('a count that is too long');
    }
    if (count > 32 * bytes.length) fail(`${count} texts in ${bytes.length} bytes`);
    reader.offset = offset;
    const found = new Int32Array(count);
    if (count > 0) deltaBinaryUnpack(reader, count, found);
    return found;
  };
  const [prefixes, suffixes] = [lengths(), lengths()];
  let before = 0;
  for (let i = 0; i < prefixes.length; i++) {
    const [prefix, suffix] = [prefixes[i]!, suffixes[i] ?? 0];
    if (prefix < 0 || suffix < 0 || prefix > before)
      fail(`a text that begins with ${prefix} of ${before} bytes`);
    before = prefix + suffix;
  }
}

const uint32 = (bytes: Uint8Array, at: number): number =>
  at + 4 <= bytes.length
    ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true)
    : fail('a page without its levels');
