/** The images of one part of a data set: packed, so that a million of them pass from thread to thread, and told from others by their files. */
import { createHash } from 'node:crypto';
import { relative } from 'node:path';
import { readRegular, statRegular } from '../files/regular-file.ts';

export interface Image {
  readonly path: string;
  readonly label: number;
}

/** Images of a part, packed: a million paths as strings would take long to hand from thread to thread, and much memory. */
export interface ImagesPart {
  /** Paths in UTF-8, one after the other. */
  readonly paths: Uint8Array;
  /** Where each ends. */
  readonly ends: Uint32Array;
  readonly labels: Int32Array;
  /** Bytes of each file: one that has others later is not what the training began with. */
  readonly sizes: Float64Array;
  readonly digest: string;
}

/**
 * @param root folder that the digest names files from
 * @param what the digest covers besides the files
 */
export function packImages(root: string, images: readonly Image[], what: unknown): ImagesPart {
  const hash = createHash('sha256').update(JSON.stringify(what));
  const paths = images.map(({ path }) => Buffer.from(path));
  const ends = new Uint32Array(images.length);
  const sizes = new Float64Array(images.length);
  let end = 0;
  for (const [index, { path, label }] of images.entries()) {
    const { size, mtimeMs } = statRegular(path);
    hash.update(JSON.stringify([relative(root, path), label, size, mtimeMs]));
    end += paths[index]!.length;
    ends[index] = end;
    sizes[index] = size;
  }
  return {
    paths: new Uint8Array(Buffer.concat(paths)),
    ends,
    labels: Int32Array.from(images, ({ label }) => label),
    sizes,
    digest: hash.digest('hex'),
  };
}

export const imageAt = ({ paths, ends, labels }: ImagesPart, index: number): Image => {
  const start = index === 0 ? 0 : ends[index - 1]!;
  const bytes = Buffer.from(paths.buffer, paths.byteOffset + start, ends[index]! - start);
  return { path: bytes.toString(), label: labels[index]! };
};

/** Bytes of images that are read to tell a folder from another. */
const IDENTITY_BYTES = 64 << 20;

/** Names, classes and sizes of all files, and the content of as many, evenly spread, as are read in a moment. */
export async function identityOfImages(root: string, part: ImagesPart): Promise<string> {
  const images = Array.from(part.ends, (_, index) => imageAt(part, index));
  const hash = createHash('sha256');
  let total = 0;
  for (const { path, label } of images) {
    const { size } = statRegular(path);
    total += size;
    hash.update(JSON.stringify([relative(root, path), label, size]));
  }
  const every = Math.max(1, Math.ceil(total / IDENTITY_BYTES));
  for (let index = 0; index < images.length; index += every)
    hash.update(await readRegular(images[index]!.path, IDENTITY_BYTES));
  return hash.digest('hex');
}
