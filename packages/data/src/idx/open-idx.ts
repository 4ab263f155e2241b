/** Opens the four files of a folder, which a thread reads. */
import type { Access } from '../files/access.ts';
import { readApart } from '../read-apart.ts';
import { type IdxData, openIdxOnce } from './idx.ts';

/** See `readIdxFolder`. @throws DataError naming the file */
export const openIdxApart = (directory: string, access: Access): Promise<IdxData> =>
  openIdxOnce(directory, (path) => readApart({ format: 'idx', path }, access));
