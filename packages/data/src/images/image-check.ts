/**
 * Looks at an image file before training: whether it can be used, and what it is like. Wherever that is not plain from its beginning and
 * its end, the decoder is asked, so that nothing is refused here that would be read later.
 */
import { createHash } from 'node:crypto';
import { DataError } from '../dataset.ts';
import { openRegular, readRegular } from '../files/regular-file.ts';
import {
  decodeImage,
  describeImage,
  FILE_BYTES,
  type ImageForm,
  type ImageKind,
  whyNot,
} from './image-decode.ts';

/** Bytes in which the header is looked for first: EXIF and colour profiles stand before a JPEG's. */
const HEAD_BYTES = 1 << 16;
const TAIL_BYTES = 64;

/** What tells a file from others as far as it was read. */
export interface Print {
  readonly size: number;
  /** Of its size, its beginning and its end. */
  readonly digest: string;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

export interface CheckedImage {
  /** Why it can not be used: `path: why`. */
  readonly problem?: string;
  readonly kind?: ImageKind;
  readonly print?: Print;
}

/** @param decodes whether it is decoded in any case: damage between its beginning and its end shows in no other way */
export async function checkImage(path: string, form: ImageForm, decodes: boolean): Promise<CheckedImage> {
  try {
    const { size, head, tail } = await ends(path);
    if (size === 0) return { problem: `${path}: it is empty` };
    const kind = await describe(path, size, head);
    if (decodes || !looksWhole(kind.format, size, head, tail)) await decodeImage(path, form);
    return { kind, print: printOf(size, head, tail) };
  } catch (error) {
    if (error instanceof DataError) return { problem: error.message };
    return { problem: `${path}: ${whyNot(error)}` };
  }
}

function printOf(size: number, head: Buffer, tail: Buffer): Print {
  const hash = createHash('sha256').update(`${size}:`).update(head).update(tail);
  return { size, digest: hash.digest('base64'), isWhole: size <= head.length };
}

async function ends(path: string): Promise<{ size: number; head: Buffer; tail: Buffer }> {
  const file = await openRegular(path);
  try {
    const { size } = file;
    const head = await file.read(0, Math.min(size, HEAD_BYTES));
    const tail = await file.read(Math.max(0, size - TAIL_BYTES), Math.min(size, TAIL_BYTES));
    return { size, head, tail };
  } finally {
    await file.close();
  }
}

/** A header may be longer than what was read of it. */
async function describe(path: string, size: number, head: Buffer): Promise<ImageKind> {
  try {
    return await describeImage(head);
  } catch (error) {
    if (size <= head.length) throw error;
    return describeImage(await readRegular(path, FILE_BYTES));
  }
}

/** Whether an end is there that a file which was cut short would not have. */
function looksWhole(format: string, size: number, head: Buffer, tail: Buffer): boolean {
  switch (format) {
    case 'jpeg':
      // ITU T.81. Cameras write more behind it: then the decoder is asked.
      return tail.includes(Buffer.from([0xff, 0xd9]));
    case 'png':
      return tail.includes('IEND');
    case 'webp':
      // RFC 9649: the length stands in front.
      return head.length >= 8 && size >= 8 + head.readUInt32LE(4);
    default:
      return false;
  }
}
