/** Opens the four files of a folder, which a thread reads. */
import { readApart } from '../read-apart.ts';
import { type IdxData, openIdxOnce } from './idx.ts';

/** See `readIdxFolder`. @throws DataError naming the file */
export const openIdxApart = (directory: string, signal?: AbortSignal): Promise<IdxData> =>
  openIdxOnce(directory, (path) => readApart({ format: 'idx', path }, signal));
