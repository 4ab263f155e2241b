/** Records of Parquet and JSON Lines files as samples, whose columns may hold lists and images. */
import { DataError } from '../dataset.ts';
import { openRecordFile } from './open-record-file.ts';
import type { OnDamaged, RecordColumn, RecordFile, RecordValue } from './record-file.ts';
import type { SampleSource, SourceField } from './sample-source.ts';

/** @param shards files of the same columns, in order. @throws DataError */
export async function openRecords(
  place: string,
  shards: readonly string[],
  onDamaged: OnDamaged,
): Promise<SampleSource> {
  const files: RecordFile[] = [];
  for (const shard of shards) files.push(await openRecordFile(shard, onDamaged));
  const [first] = files;
  return {
    place,
    fields: first!.columns.map(fieldOf),
    skipped: () => files.flatMap(({ skipped }) => skipped),
    async *samples(names) {
      for (const file of files) {
        const absent = names.find((name) => !file.columns.some((column) => column.name === name));
        if (absent !== undefined)
          throw new DataError(`${file.path}: there is no column '${absent}', as in ${first!.path}`);
        for await (const { line, values } of file.rows(names))
          yield { place: `${file.path}:${line}`, values: values.map(imageBytes) };
      }
    },
  };
}

function fieldOf({ name, nested, numbers, classes }: RecordColumn): SourceField {
  const kind = nested === 'lists' ? 'array' : nested === undefined ? 'value' : 'image';
  return { name, kind, ...(numbers && { numbers }), ...(classes && { classes }) };
}

/** Images as Hugging Face's datasets write them: bytes beside the name that their file had. */
function imageBytes(value: RecordValue): RecordValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array)
    return value;
  return 'bytes' in value && (value.bytes instanceof Uint8Array || value.bytes === null)
    ? value.bytes
    : value;
}
