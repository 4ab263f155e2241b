/** Opens files of records by the ending of their names. */
import { type OnDamaged, type RecordFile, recordKind } from './record-file.ts';

/** @throws DataError when it is no such file */
export async function openRecordFile(path: string, onDamaged: OnDamaged): Promise<RecordFile> {
  return recordKind(path) === 'parquet'
    ? (await import('./parquet.ts')).openParquet(path)
    : (await import('./json-lines.ts')).openJsonLines(path, onDamaged);
}
