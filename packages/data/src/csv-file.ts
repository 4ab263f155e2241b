/** Rows of a CSV file (RFC 4180), read as a stream: all of csv-parse. */
import { pipeline } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { DataError } from './dataset.ts';
import { openRegular } from './regular-file.ts';

export interface CsvForm {
  /** Default ','. */
  readonly delimiter: string;
  /** What is done about a row with too few or too many fields. */
  readonly onDamaged: 'fail' | 'skip';
}

/** Characters of one row: a quotation mark that is never closed would take in the rest of the file. */
const ROW_CHARACTERS = 1 << 22;

/** Of a whole file: its rows are in memory while it is opened. */
const FILE_BYTES = 1 << 30;

export interface CsvRow {
  /** Where the row ends in the file, counted from 1. */
  readonly line: number;
  /** As many as there are columns, in their order. */
  readonly fields: readonly string[];
}

export interface CsvReader {
  /** Names of the columns, from the first row. */
  readonly columns: readonly string[];
  /** Rows left out so far, by `onDamaged: skip`. */
  readonly skipped: readonly string[];
  rows(): AsyncIterable<CsvRow>;
}

/** @throws DataError when there is no such file, or it has no header */
export async function openCsvFile(path: string, form: CsvForm): Promise<CsvReader> {
  const records = read(path, form.delimiter);
  const first = await records.next();
  await records.return?.(undefined);
  if (first.done)
    throw new DataError(`${path}: it is empty; a CSV file begins with the names of its columns`);
  const columns = first.value.record;
  const twice = columns.find((name, index) => columns.indexOf(name) < index);
  if (twice !== undefined) throw new DataError(`${path}: two columns are called '${twice}'`);
  const skipped: string[] = [];
  return {
    columns,
    skipped,
    async *rows() {
      let header = true;
      skipped.length = 0;
      for await (const { record, info } of read(path, form.delimiter)) {
        if (header) {
          header = false;
          continue;
        }
        if (record.length === columns.length) {
          yield { line: info.lines, fields: record };
          continue;
        }
        const why = `${path}:${info.lines}: ${record.length} fields; the header has ${columns.length}`;
        if (form.onDamaged === 'fail') {
          throw new DataError(`${why}. Mend the row, or say data.onDamaged: skip`);
        }
        skipped.push(why);
      }
    },
  };
}

async function* read(
  path: string,
  delimiter: string,
): AsyncGenerator<{ record: string[]; info: { lines: number } }> {
  const file = await openRegular(path);
  const parser = parse({
    delimiter,
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    trim: true,
    max_record_size: ROW_CHARACTERS,
  });
  try {
    if (file.size > FILE_BYTES)
      throw new DataError(`${path}: ${file.size} bytes; at most ${FILE_BYTES} are read`);
    // What goes wrong reaches the loop below through the parser.
    pipeline(file.pieces(), parser, () => {});
    for await (const row of parser) yield row as { record: string[]; info: { lines: number } };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = typeof error.lines === 'number' ? `:${error.lines}` : '';
    throw new DataError(`${path}${line}: ${error.message}`, { cause: error });
  } finally {
    parser.destroy();
    await file.close();
  }
}
