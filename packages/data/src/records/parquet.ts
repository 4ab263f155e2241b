/** Parquet files: all of hyparquet. Row group after row group, and of each only the columns that are wanted. */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { RegularFile } from '@kasane/tensor/internal/node/regular-file';
import { FileError } from '@kasane/tensor/internal/node/regular-file';
import type {
  ColumnMetaData,
  FileMetaData,
  ParquetParsers,
  RowGroup,
  SchemaElement,
  SchemaTree,
} from 'hyparquet';
import { parquetMetadataAsync, parquetSchema } from 'hyparquet';
import { readColumn } from 'hyparquet/src/column.js';
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { assembleAsync } from 'hyparquet/src/rowgroup.js';
import { getTreePath } from 'hyparquet/src/schema.js';
import { snappyUncompress } from 'hyparquet/src/snappy.js';
import { flatten } from 'hyparquet/src/utils.js';
import { DataError } from '../dataset.ts';
import { openRegular } from '../files/regular-file.ts';
import { MOST_FIELDS } from '../tables/table-limits.ts';
import type { NumberKind } from './numbers.ts';
import { checkedPages, type Decompress } from './parquet-pages.ts';
import type { RecordColumn, RecordFile, RecordRow, RecordValue } from './record-file.ts';

/** Bytes of what describes a file, and of the columns of a row group that are wanted, unpacked: they are in memory as a whole. */
const METADATA_BYTES = 1 << 26;
const GROUP_BYTES = 2 ** 30;

/** Values as text files have them. */
const parsers: ParquetParsers = {
  ...DEFAULT_PARSERS,
  dateFromDays: (days) =>
    days === undefined || days === null ? null : isoOf(BigInt(days) * 86_400_000n)?.slice(0, 10),
  timestampFromMilliseconds: (ms) => (ms === undefined || ms === null ? null : isoOf(BigInt(ms))),
  timestampFromMicroseconds: (us) => (us === undefined || us === null ? null : isoOf(BigInt(us), 1000n)),
  timestampFromNanoseconds: (ns) => (ns === undefined || ns === null ? null : isoOf(BigInt(ns), 1_000_000n)),
  stringFromBytes: (bytes) => bytes && utf8.decode(bytes),
  jsonFromBytes: (bytes) => bytes && utf8.decode(bytes),
  geometryFromBytes: (bytes) => bytes,
  geographyFromBytes: (bytes) => bytes,
};
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @param per units of a millisecond. @throws Error for a time that no calendar has */
function isoOf(time: bigint, per = 1n): string {
  const rest = ((time % per) + per) % per;
  const iso = new Date(Number((time - rest) / per)).toISOString();
  if (rest === 0n) return iso;
  const digits = String(rest)
    .padStart(String(per).length - 1, '0')
    .replace(/0+$/, '');
  return iso.replace('Z', `${digits}Z`);
}

/** @throws DataError naming file and column */
export async function openParquet(path: string): Promise<RecordFile> {
  const metadata = await withFile(path, readMetadata);
  const tree = await orDamaged(path, 'its schema', () => parquetSchema(metadata));
  if (tree.children.some(({ element: { name } }) => typeof name !== 'string'))
    throw new DataError(`${path}: it is damaged: a column has no name. Copy or write it again`);
  checkGroups(path, metadata);
  return {
    path,
    columns: withClasses(tree.children.map(columnOf), metadata),
    skipped: [],
    blank: [],
    async *rows(names): AsyncGenerator<RecordRow> {
      const file = await openRegular(path);
      try {
        let before = 0;
        for (const group of metadata.row_groups) {
          const columns = await readGroup(file, group, tree, names);
          const count = Number(group.num_rows);
          for (let row = 0; row < count; row++) {
            yield { line: before + row + 1, values: columns.map((values) => values[row] ?? null) };
          }
          before += count;
        }
      } finally {
        await file.close();
      }
    },
  };
}

async function withFile<T>(path: string, body: (file: RegularFile) => Promise<T>): Promise<T> {
  const file = await openRegular(path);
  try {
    return await body(file);
  } finally {
    await file.close();
  }
}

async function readMetadata(file: RegularFile): Promise<FileMetaData> {
  const { path, size } = file;
  if (size === 0) throw new DataError(`${path}: it is empty`);
  const end = await file.read(Math.max(0, size - 8), 8);
  const start = (await file.read(0, 4)).toString('latin1');
  if (start === 'PARE') throw new DataError(`${path}: it is encrypted. Write it again without encryption`);
  if (start !== 'PAR1' || end.length < 8 || end.toString('latin1', 4) !== 'PAR1')
    throw new DataError(
      `${path}: it is no Parquet file, or not all of it: it does not begin and end with 'PAR1'. Copy or write it again`,
    );
  const length = end.readUInt32LE(0);
  if (length > Math.min(size - 8, METADATA_BYTES))
    throw new DataError(`${path}: it is damaged: its metadata has ${length} bytes. Copy or write it again`);
  return orDamaged(path, 'its metadata', () =>
    parquetMetadataAsync(
      { byteLength: size, slice: async (from, to = size) => bufferOf(await file.read(from, to - from)) },
      { geoparquet: false, initialFetchSize: Math.min(size, length + 8) },
    ),
  );
}

/** Memory of its own: small buffers of Node share theirs. */
const bufferOf = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

/** What the library throws says what the bytes are not; what is to be done is the same. */
async function orDamaged<T>(path: string, what: string, body: () => T | Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof DataError) throw error;
    if (error instanceof FileError) throw new DataError(error.message, { cause: error });
    const why = String((error as Error).message)
      .replace(/\s+/g, ' ')
      .slice(0, 120);
    throw new DataError(`${path}: ${what} cannot be read (${why}). Copy or write the file again`, {
      cause: error,
    });
  }
}

function columnOf({ element, children }: SchemaTree): RecordColumn {
  const { name, type, converted_type: kind, logical_type: logical } = element;
  let nested: string | undefined;
  if (element.repetition_type === 'REPEATED' || kind === 'LIST' || logical?.type === 'LIST') nested = 'lists';
  else if (children.length > 0) nested = 'objects';
  else if (type === 'BYTE_ARRAY' || type === 'FIXED_LEN_BYTE_ARRAY') {
    const isText =
      kind === 'UTF8' ||
      kind === 'ENUM' ||
      kind === 'JSON' ||
      logical?.type === 'STRING' ||
      logical?.type === 'ENUM';
    const isOther =
      kind === 'DECIMAL' ||
      logical?.type === 'UUID' ||
      logical?.type === 'FLOAT16' ||
      logical?.type === 'DECIMAL';
    if (!isText && !isOther) nested = 'bytes';
  }
  const leaf = leafOf(element, children);
  return { name, nested, ...(leaf && { numbers: leaf }) };
}

/** What the type of a column, or of what is in its lists, says of its numbers. */
function leafOf(element: SchemaElement, children: readonly SchemaTree[]): NumberKind | undefined {
  const [only, ...others] = children;
  if (others.length > 0) return undefined;
  if (only) return leafOf(only.element, only.children);
  const { type, converted_type: kind, logical_type: logical } = element;
  if (kind === 'UINT_8' || (logical?.type === 'INTEGER' && logical.bitWidth === 8 && !logical.isSigned))
    return 'bytes';
  if (kind === 'DECIMAL' || logical?.type === 'FLOAT16' || type === 'FLOAT' || type === 'DOUBLE')
    return 'decimal';
  return type === 'INT32' || type === 'INT64' ? 'whole' : undefined;
}

/** Names of classes as Hugging Face's datasets write them into the file. */
function withClasses(
  columns: readonly RecordColumn[],
  { key_value_metadata: said }: FileMetaData,
): RecordColumn[] {
  const text = said?.find(({ key }) => key === 'huggingface')?.value;
  let features: unknown;
  try {
    features = (JSON.parse(text ?? '{}') as { info?: { features?: unknown } } | null)?.info?.features;
  } catch {
    // What another program noted there is none of ours.
  }
  return columns.map((column) => {
    const own = (features as Readonly<Record<string, { _type?: unknown; names?: unknown }>> | undefined)?.[
      column.name
    ];
    const isNamed =
      own?._type === 'ClassLabel' &&
      Array.isArray(own.names) &&
      own.names.every((name) => typeof name === 'string');
    return isNamed ? { ...column, classes: own.names as string[] } : column;
  });
}

function checkGroups(path: string, { row_groups: groups }: FileMetaData): void {
  const damaged = (why: string) => new DataError(`${path}: it is damaged: ${why}. Copy or write it again`);
  let rows = 0;
  for (const [at, group] of groups.entries()) {
    const count = Number(group.num_rows);
    if (!Number.isSafeInteger(count) || count < 0) throw damaged(`row group ${at} has ${count} rows`);
    if (count > MOST_FIELDS)
      throw new DataError(
        `${path}: row group ${at} has ${count} rows; at most ${MOST_FIELDS} are supported. Write smaller row groups`,
      );
    rows += count;
  }
  if (rows === 0) throw new DataError(`${path}: it contains no rows`);
}

/** The values of each of the columns. */
async function readGroup(
  file: RegularFile,
  group: RowGroup,
  tree: SchemaTree,
  names: readonly string[],
): Promise<readonly ArrayLike<RecordValue>[]> {
  const rows = Number(group.num_rows);
  const chunks = group.columns.flatMap(({ meta_data: meta }) => meta ?? []);
  const wanted = new Set(names);
  const bytes = chunks
    .filter(({ path_in_schema: [top] }) => wanted.has(top!))
    .reduce((sum, { total_uncompressed_size: size }) => sum + Math.max(0, Number(size)), 0);
  if (bytes > GROUP_BYTES)
    throw new DataError(
      `${file.path}: a row group has ${bytes} bytes in the columns that are read; at most ${GROUP_BYTES} are supported. Write the file with smaller row groups, such as row_group_size=100000 in pyarrow`,
    );
  const found: ArrayLike<RecordValue>[] = [];
  for (const name of names) {
    found.push(
      await orDamaged(file.path, `column '${name}'`, async () => {
        const own = chunks.filter(({ path_in_schema: [top] }) => top === name);
        const read = [];
        for (const meta of own)
          read.push({ pathInSchema: meta.path_in_schema, data: readChunk(file, meta, tree, rows) });
        await Promise.allSettled(read.map(({ data }) => data));
        const { asyncColumns } = assembleAsync(
          { groupStart: 0, groupRows: rows, asyncColumns: read },
          tree,
          parsers,
        );
        const values = flatten((await asyncColumns[0]?.data)?.data) as ArrayLike<RecordValue>;
        if (values.length !== rows) throw new Error(`${values.length} of ${rows} values`);
        return values;
      }),
    );
  }
  return found;
}

/** A column of a row group. Its pages are checked before the library reads them: it takes their counts for true. */
async function readChunk(file: RegularFile, meta: ColumnMetaData, tree: SchemaTree, rows: number) {
  const start = Math.min(
    ...[meta.dictionary_page_offset, meta.data_page_offset].map(Number).filter((at) => at > 0),
  );
  const size = Number(meta.total_compressed_size);
  if (!Number.isSafeInteger(start) || !(size >= 0) || start + size > file.size)
    throw new Error(`its bytes from ${start} on, ${size} of them, are not all in the file`);
  const schemaPath = getTreePath(tree, meta.path_in_schema);
  const { element } = schemaPath.at(-1)!;
  const chunk = bufferOf(await file.read(start, size));
  const decompress = decompressors[meta.codec];
  if (!decompress)
    throw new DataError(
      `${file.path}: column '${meta.path_in_schema.join('.')}' is compressed with ${meta.codec}, which is not supported. Write the file with zstd, snappy or gzip`,
    );
  const checked = checkedPages(chunk, { meta, schemaPath, rows, decompress });
  const decoder = { pathInSchema: meta.path_in_schema, element, schemaPath, type: element.type!, ...checked };
  const select = { groupStart: 0, groupRows: rows, selectStart: 0, selectEnd: rows };
  return readColumn({ view: new DataView(chunk), offset: 0 }, select, {
    ...decoder,
    // Every page through `checked`, also those that are not compressed.
    codec: 'LZO',
    utf8: false,
    parsers,
  });
}

const decompressors: Readonly<Record<string, Decompress | undefined>> = {
  UNCOMPRESSED: (bytes) => bytes,
  SNAPPY: (bytes, size) => {
    const out = new Uint8Array(size);
    snappyUncompress(bytes, out);
    return out;
  },
  GZIP: (bytes, size) => gunzipSync(bytes, { maxOutputLength: size }),
  BROTLI: (bytes, size) => brotliDecompressSync(bytes, { maxOutputLength: size }),
  ZSTD: (bytes, size) => zstdDecompressSync(bytes, { maxOutputLength: size }),
};
