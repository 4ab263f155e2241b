/**
 * Tells from an image file's structure, without decoding it, whether it is whole and of the plain kind: 8 bits, grey or
 * RGB, one picture. What only decoding shows (damage between header and end) is left to `image-decode.ts`.
 */
import { openRegular } from './regular-file.ts';

/** Bytes in which a header must be found: EXIF and colour profiles stand before a JPEG's. */
const HEAD_BYTES = 1 << 18;
const TAIL_BYTES = 64;

/** What is wrong with a file; undefined when nothing is. */
export async function checkImage(path: string): Promise<string | undefined> {
  const file = await openRegular(path);
  try {
    const { size } = file;
    if (size === 0) return 'it is empty';
    const first = await file.read(0, Math.min(size, 4096));
    const tail = await file.read(Math.max(0, size - TAIL_BYTES), Math.min(size, TAIL_BYTES));
    if (first.length >= 2 && first.readUInt16BE(0) === 0xffd8) {
      const ends = tail.includes(JPEG_END) || hasJpegEnd(await file.read(0, size));
      if (!ends) return 'it is truncated: a JPEG ends with FF D9';
      return checkJpegFrame(await file.read(0, Math.min(size, HEAD_BYTES)));
    }
    if (first.subarray(0, 8).equals(PNG)) return checkPng(first, tail);
    if (first.toString('latin1', 0, 4) === 'RIFF' && first.toString('latin1', 8, 12) === 'WEBP') {
      return checkWebp(first, size);
    }
    return 'it is no JPEG, PNG or WebP file';
  } finally {
    await file.close();
  }
}

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** ITU T.81: the last marker. */
const JPEG_END = Buffer.from([0xff, 0xd9]);

/** Cameras put zeros after the end, phones whole films. A thumbnail in front has an end of its own; in the scan there is but the one. */
function hasJpegEnd(bytes: Buffer): boolean {
  for (let at = 2; at + 4 < bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    if (marker === 0xda) return bytes.includes(JPEG_END, at);
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return false;
}

/** The frame header (SOFn) says bits and components. */
function checkJpegFrame(head: Buffer): string | undefined {
  for (let at = 2; at + 10 < head.length; ) {
    if (head[at] !== 0xff) return 'its JPEG segments do not follow one another';
    const marker = head[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) {
      const [bits, components] = [head[at + 4]!, head[at + 9]!];
      if (bits !== 8) return `it has ${bits} bits a channel; 8 are expected`;
      if (components === 4) return 'its colours are CMYK; grey or RGB is expected';
      return undefined;
    }
    at += 2 + head.readUInt16BE(at + 2);
  }
  return 'it has no JPEG frame header where one is expected';
}

/** PNG, third edition: IHDR first, IEND last; acTL before the picture makes it an animation. */
function checkPng(head: Buffer, tail: Buffer): string | undefined {
  if (head.length < 33 || head.toString('latin1', 12, 16) !== 'IHDR') return 'its PNG header is damaged';
  const bits = head[24]!;
  if (bits > 8) return `it has ${bits} bits a channel; 8 are expected`;
  for (let at = 8; at + 8 <= head.length; at += 12 + head.readUInt32BE(at)) {
    const type = head.toString('latin1', at + 4, at + 8);
    if (type === 'acTL') return 'it is animated; one picture is expected';
    if (type === 'IDAT') break;
  }
  return tail.includes('IEND') ? undefined : 'it is truncated: a PNG ends with IEND';
}

/** RFC 9649: the length stands in front; bit 1 of the flags of VP8X says animation. */
function checkWebp(head: Buffer, size: number): string | undefined {
  if (head.length < 21) return 'it is truncated: a WebP file begins with 21 bytes at least';
  const length = 8 + head.readUInt32LE(4);
  if (size < length) return `it is truncated: ${size} bytes of ${length}`;
  const animated = head.toString('latin1', 12, 16) === 'VP8X' && (head[20]! & 2) !== 0;
  return animated ? 'it is animated; one picture is expected' : undefined;
}
