/** Opens a folder of images, which a thread reads and checks. */
import type { DataParts } from '../dataset.ts';
import type { Access } from '../files/access.ts';
import { readApart } from '../read-apart.ts';
import { loadSharp } from './image-decode.ts';
import { type ImageFolderOptions, imagesOfRead } from './image-folder.ts';
import type { ImagesPart } from './images-part.ts';

/** @throws DataError naming the files that can not be used */
export async function openImages(options: ImageFolderOptions, access: Access): Promise<DataParts> {
  // Its library must be there before a thread uses it, and stay. Where it can not be loaded, each image says so.
  await loadSharp().catch(() => undefined);
  const { path } = options;
  // That is asked long after whoever opened it has gone.
  const { signal: _, ...later } = access;
  const identify = (part: ImagesPart) => readApart({ format: 'identity of images', path, part }, later);
  return imagesOfRead(await readApart(options, access), options, identify);
}
