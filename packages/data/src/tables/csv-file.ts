/** Rows of a CSV file (RFC 4180), read piece by piece: all of csv-parse. */
import { pipeline } from 'node:stream';
import { counted } from '@kasane/tensor/internal/counted';
import type { RegularFile } from '@kasane/tensor/internal/node/regular-file';
import { CsvError, parse } from 'csv-parse';
import { DataError } from '../dataset.ts';
import { shownName } from '../files/folder.ts';
import { openRegular } from '../files/regular-file.ts';
import { listOf } from '../problems.ts';
import { recordKind } from '../records/record-file.ts';
import { checkMark, decoderOf, KIND_BYTES, notDecoded, requireText } from '../text/decode-text.ts';
import { checkHeader, FIRST_ROWS, type FirstRow, rowProblem } from './csv-hints.ts';
import { formOf, type TableForm } from './table-form.ts';
import { blankLines, MOST_COLUMNS, MOST_FIELDS } from './table-limits.ts';

export interface CsvForm extends Partial<TableForm> {
  /** What is done about a row with too few or too many fields. */
  readonly onDamaged: 'fail' | 'skip';
  /** Column whose values stay as they are written. Those of others, and all names, are brought to NFC: what looks the same is the same. */
  readonly asWritten?: string;
}

/** Characters of one row: a quotation mark that is never closed would take in the rest of the file. */
const ROW_CHARACTERS = 1 << 22;

/** Of a whole file: it is in memory while it is opened. */
const FILE_BYTES = 1 << 30;

/** As many fields as there are columns, in their order; `line` is where the row ends in the file, counted from 1. */
export type CsvRow = FirstRow;

export interface CsvReader {
  /** Names of the columns, from the first row. */
  readonly columns: readonly string[];
  /** Rows left out so far, by `onDamaged: skip`. */
  readonly skipped: readonly string[];
  /** What whoever owns the file should hear once all rows are read, a sentence each. */
  notes(): string[];
  rows(): AsyncIterable<CsvRow>;
}

/** Such as 'skipped 2 of 10 rows: ...', which names the first few. @param kept rows that were not skipped */
export const skippedRows = (skipped: readonly string[], kept: number): string =>
  `skipped ${skipped.length} of ${counted(skipped.length + kept, 'row')}: ${listOf(skipped)}`;

/** @throws DataError when there is no such file, or it has no header */
export async function openCsvFile(path: string, options: CsvForm): Promise<CsvReader> {
  // A table is a table, however its file is written.
  if (recordKind(path)) return (await import('../records/record-table.ts')).openRecordTable(path, options);
  const form = formOf(options);
  const first = await firstRows(path, form);
  const [header] = first;
  if (!header) throw new DataError(`${path}: it is empty; a CSV file starts with the names of its columns`);
  const named = form.header !== false;
  const columns = named ? header.fields.map(shownName) : header.fields.map((_, index) => String(index + 1));
  if (columns.length > MOST_COLUMNS)
    throw new DataError(`${path}: ${columns.length} columns; at most ${MOST_COLUMNS} are supported`);
  checkHeader(path, { ...header, fields: columns }, named ? first.slice(1) : first, form);
  const skipped: string[] = [];
  const blank: number[] = [];
  const asWritten = options.asWritten === undefined ? -1 : columns.indexOf(options.asWritten);
  const inOneForm = ({ line, fields, hasMarks }: WrittenRow): CsvRow => ({
    line,
    fields: hasMarks ? fields.map((field, at) => (at === asWritten ? field : shownName(field))) : fields,
  });
  // Files that were put together bring their headers along.
  const repeatedHeader = ({ line, fields }: WrittenRow): string | undefined =>
    named && columns.length > 1 && fields.every((field, at) => shownName(field) === columns[at])
      ? `${path}:${line}: the row repeats the names of the columns, as in concatenated files`
      : undefined;
  const nulProblem = ({ line, fields, hasNuls }: WrittenRow): string | undefined => {
    const at = hasNuls ? fields.findIndex((field) => field.includes('\0')) : -1;
    return at < 0 ? undefined : `${path}:${line}: ${columns[at]} contains NUL characters, which are not text`;
  };
  return {
    columns,
    skipped,
    notes: () => (blank.length > 0 ? [blankLines(path, blank)] : []),
    async *rows() {
      let header = named;
      let fields = 0;
      skipped.length = 0;
      blank.length = 0;
      // At the end of a file blank lines mean nothing; of a single column, one before a row is a missing value.
      const waiting: WrittenRow[] = [];
      for await (const row of read(path, form)) {
        if (row.fields.length === 0) {
          if (!header) waiting.push(row);
          continue;
        }
        if (header) {
          header = false;
          continue;
        }
        for (const { line } of waiting.splice(0)) {
          if (columns.length === 1) yield { line, fields: [''] };
          else blank.push(line);
        }
        fields += row.fields.length;
        if (fields > MOST_FIELDS)
          throw new DataError(`${path}:${row.line}: more than ${MOST_FIELDS} fields, which is the maximum`);
        const why =
          row.fields.length === columns.length
            ? (repeatedHeader(row) ?? nulProblem(row))
            : rowProblem(path, columns, row, form);
        if (why === undefined) {
          yield inOneForm(row);
          continue;
        }
        if (options.onDamaged === 'fail')
          throw new DataError(`${why}. Fix the row, or set data.onDamaged: skip`);
        skipped.push(why);
      }
      if (columns.length === 1) for (const { line } of waiting) blank.push(line);
    },
  };
}

/** A row before its fields are brought to one form. */
interface WrittenRow extends CsvRow {
  /** Whether the file has shown a character by then that may be written in two ways. */
  readonly hasMarks: boolean;
  /** The same of NUL characters, which nobody sees. */
  readonly hasNuls: boolean;
}

/** The first of what the NFC of a text may change, and all after it. */
const MARKS = /[\u0300-\uffff]/;

async function firstRows(path: string, form: TableForm): Promise<CsvRow[]> {
  const rows: CsvRow[] = [];
  for await (const row of read(path, form)) {
    if (row.fields.length === 0) continue;
    rows.push(row);
    if (rows.length > FIRST_ROWS) break;
  }
  return rows;
}

/** All rows; those of blank lines have no fields. */
async function* read(path: string, form: TableForm): AsyncGenerator<WrittenRow> {
  const spaces = form.delimiter === ' ';
  const file = await openRegular(path);
  /** Where the last whole row ends: an error in the one after it is met much later, where a quotation mark is not closed. */
  let last = 0;
  let hasMarks = false;
  let hasNuls = false;
  async function* watched(pieces: AsyncIterable<string>): AsyncGenerator<string> {
    for await (const piece of pieces) {
      hasMarks ||= MARKS.test(piece);
      hasNuls ||= piece.includes('\0');
      yield piece;
    }
  }
  const parser = parse({
    delimiter: form.delimiter,
    quote: form.quote === '' ? false : form.quote,
    comment: form.comment === '' ? null : form.comment,
    comment_no_infix: true,
    // All of them in one file, as editors of several systems leave them.
    record_delimiter: ['\r\n', '\n', '\r'],
    info: true,
    relax_column_count: true,
    // A delimiter is nothing to trim.
    trim: !spaces,
    max_record_size: ROW_CHARACTERS,
    on_record: (record: string[], { lines }) => {
      last = lines;
      return record;
    },
  });
  try {
    if (file.size > FILE_BYTES)
      throw new DataError(`${path}: ${file.size} bytes; at most ${FILE_BYTES} are supported`);
    // What goes wrong reaches the loop below through the parser.
    pipeline(watched(withoutLines(decoded(file, form.encoding), form.skipLines)), parser, () => {});
    let before = 0;
    for await (const row of parser) {
      const { record, info } = row as { record: string[]; info: { lines: number } };
      // The parser tells where a row ends; people look for where it begins.
      const within = info.lines === before + 1 ? 0 : breaksIn(record);
      before = info.lines;
      const line = info.lines - within + form.skipLines;
      // Columns that are lined up have several spaces between them, and before the first.
      const fields = spaces ? record.filter((field) => field !== '') : record;
      yield { line, fields: fields.length === 1 && fields[0] === '' ? [] : fields, hasMarks, hasNuls };
    }
  } catch (error) {
    throw error instanceof CsvError
      ? new DataError(parseProblem(path, error, last + 1, form), { cause: error })
      : error;
  } finally {
    parser.destroy();
    await file.close();
  }
}

/** Line breaks within the fields of a row, in quotation marks. */
const breaksIn = (fields: readonly string[]): number =>
  fields.reduce((sum, field) => sum + (field.match(/\r\n?|\n/g)?.length ?? 0), 0);

/** The text after its first lines, whatever is in them: quotation marks of a title mean nothing. */
async function* withoutLines(pieces: AsyncIterable<string>, count: number): AsyncGenerator<string> {
  let left = count;
  let held = '';
  for await (const piece of pieces) {
    let text = held + piece;
    held = '';
    while (left > 0 && text !== '') {
      const end = /\r\n?|\n/.exec(text);
      // The other half of \r\n may be in the next piece.
      if (end?.[0] === '\r' && end.index === text.length - 1) held = text.slice(-1);
      text = end && held === '' ? text.slice(end.index + end[0].length) : '';
      if (end && held === '') left--;
    }
    yield text;
  }
}

/** @param head how the file begins. @throws DataError when it is text, but certainly no table */
function requireTable(path: string, head: Uint8Array): void {
  const start = Buffer.from(head)
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '');
  if (/^\s*<(!doctype|html|\?xml)/i.test(start))
    throw new DataError(
      `${path}: it is a web page or XML, not a table. If a website sent it in place of the data, download the data again`,
    );
  if (/^\s*(\{\s*("|$)|\[\s*[[{])/.test(start))
    throw new DataError(
      `${path}: it contains JSON, not CSV. Write one object per line to a file that ends in .jsonl, or convert it to CSV`,
    );
}

/** The characters of a file. Decoders do not say where they fail, so a piece that does is tried line by line. */
async function* decoded(file: RegularFile, encoding: string): AsyncGenerator<string> {
  const head = await file.read(0, KIND_BYTES);
  requireText(file.path, head);
  requireTable(file.path, head);
  const decoder = () => decoderOf(encoding, file.path);
  let whole = decoder();
  let line = 1;
  let last: Uint8Array = new Uint8Array(0);
  const decode = (piece: Buffer, stream: boolean) => {
    try {
      return whole.decode(piece, { stream });
    } catch (cause) {
      // From the last line that was begun: a character may lie across the edge of the pieces.
      whole = decoder();
      const rest = Buffer.concat([last, piece]);
      for (let from = 0; from < rest.length; line++) {
        const end = rest.indexOf(0x0a, from);
        const to = end < 0 ? rest.length : end + 1;
        try {
          decoder().decode(rest.subarray(from, to));
        } catch {
          break;
        }
        from = to;
      }
      throw new DataError(notDecoded(file.path, line, encoding, rest), { cause });
    }
  };
  for await (const piece of file.pieces()) {
    if (line === 1 && last.length === 0) checkMark(piece, file.path, whole);
    yield decode(piece, true);
    for (let at = piece.indexOf(0x0a); at >= 0; at = piece.indexOf(0x0a, at + 1)) line++;
    const end = piece.lastIndexOf(0x0a);
    last = end < 0 ? Buffer.concat([last, piece]) : piece.subarray(end + 1);
  }
  yield decode(Buffer.alloc(0), false);
}

/** @param begins line at which the row begins, of those that are not skipped */
function parseProblem(
  path: string,
  error: CsvError,
  begins: number,
  { quote, skipLines }: TableForm,
): string {
  const { code, lines } = error as CsvError & { readonly lines?: unknown };
  const place = typeof lines === 'number' ? `${path}:${lines + skipLines}` : path;
  const row = `${path}:${begins + skipLines}`;
  const cure = `Fix it, or set data.quote: "" if ${quote} is an ordinary character in this file`;
  const other = 'If another character separates the fields, set data.delimiter';
  switch (code) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return `${row}: the row that starts here has a quotation mark that is never closed. ${cure}`;
    case 'INVALID_OPENING_QUOTE':
      return `${place}: there is a quotation mark inside a field. ${cure}. ${other}`;
    case 'CSV_INVALID_CLOSING_QUOTE':
    case 'CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE':
      return `${place}: there is text after a closing quotation mark. Within a field, write ${quote}${quote} for ${quote}. ${cure}. ${other}`;
    case 'CSV_MAX_RECORD_SIZE':
      return `${row}: the row that starts here has more than ${ROW_CHARACTERS} characters. A quotation mark may be missing. ${cure}`;
    default:
      return `${place}: ${error.message}`;
  }
}
