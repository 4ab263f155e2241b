/** Tables of texts to classify: each row is a text, as in training. */

import { DataError, type TextPreparation } from '@kasane/data/dataset';
import { extensionOf } from '@kasane/data/internal/files/folder';
import { openCsvFile } from '@kasane/data/internal/tables/csv-file';
import { formOf, type TableForm } from '@kasane/data/internal/tables/table-form';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import type { Trained } from '../../model/trained.ts';
import type { ReadInput } from './inputs.ts';
import { textEncoder, truncated, unknownCharacters } from './text.ts';

const TABLES = new Set(['.csv', '.tsv', '.tab', '.psv', '.parquet', '.jsonl', '.ndjson']);

/** What the weights, or their job, say of how a table is written; of data that was packed nothing. */
interface Said extends Partial<TableForm> {
  readonly text?: string;
}

/** Whether an argument is a file of rows, by its name: as one text it would be nonsense. */
export const isRowsOfTexts = (given: string): boolean =>
  kindOfPath(given) !== 'nothing' && TABLES.has(extensionOf(given));

/** @throws DataError where there is no such column, or a row has no text */
export async function readTextRows(
  given: string,
  text: TextPreparation,
  { data, about }: Pick<Trained, 'data' | 'about'>,
): Promise<readonly ReadInput[]> {
  const said = (data ?? about.data ?? {}) as Said;
  const form = { ...(text.encoding !== undefined && { encoding: text.encoding }), ...said };
  const column = said.text ?? 'text';
  const file = await openCsvFile(given, { ...formOf(form), onDamaged: 'fail', asWritten: column });
  const at = file.columns.indexOf(column);
  if (at < 0)
    throw new DataError(
      `${given}: there is no column '${column}', in which the model expects the texts; its columns are: ${file.columns.slice(0, 50).join(', ')}. Rename the column, or save a single text as a .txt file`,
    );
  const encode = textEncoder(text);
  const samples: ReadInput[] = [];
  const texts: string[] = [];
  const lengths: number[] = [];
  for await (const { fields, line } of file.rows()) {
    const name = `${given}:${line}`;
    if (fields[at] === '') throw new DataError(`${name}: the text is missing`);
    texts.push(fields[at]!);
    const { x, length } = encode(fields[at]!);
    lengths.push(length);
    samples.push({ name, x });
  }
  const [first, ...others] = samples;
  if (!first) throw new DataError(`${given}: it contains no rows`);
  const notes = [...file.notes(), ...unknownCharacters(texts, text), ...truncated(lengths, text)];
  return [{ ...first, ...(notes.length > 0 && { notes }) }, ...others];
}
