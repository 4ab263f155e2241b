/** Bytes of text files to characters. What is not in the encoding that was named is refused with its line, never replaced. */
import { DataError } from '../dataset.ts';

export const UTF8 = 'utf-8';

/**
 * The text of a file.
 * @param path names it in messages
 * @param encoding a label of the WHATWG encoding standard, as TextDecoder knows them; undefined: UTF-8, and nobody can choose another
 * @throws DataError with the line of the first byte that does not fit
 */
export function decodeText(bytes: Uint8Array, path: string, encoding?: string): string {
  requireText(path, bytes);
  const decoder = decoderOf(encoding ?? UTF8, path);
  checkMark(bytes, path, decoder);
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    const line = lineOfFailure(bytes, encoding ?? UTF8);
    throw new DataError(notDecoded(path, line, encoding, bytes), { cause });
  }
}

/** How files begin that are no text, as Latin-1. */
const beginnings: readonly (readonly [start: string, what: string, cure?: string])[] = [
  ['\x89PNG\r\n\x1a\n', 'a PNG image'],
  ['\xff\xd8\xff', 'a JPEG image'],
  ['GIF87a', 'a GIF image'],
  ['GIF89a', 'a GIF image'],
  ['II*\0', 'a TIFF image'],
  ['MM\0*', 'a TIFF image'],
  ['%PDF-', 'a PDF file'],
  ['PK\x03\x04', 'a ZIP file, like .zip, .xlsx and .docx', 'Unpack it, or export it as CSV or text'],
  ['\x1f\x8b', 'a gzip file', 'Unpack it first (gunzip)'],
  ['BZh', 'a bzip2 file', 'Unpack it first (bunzip2)'],
  ['\xfd7zXZ\0', 'an xz file', 'Unpack it first (xz -d)'],
  ['\x28\xb5\x2f\xfd', 'a Zstandard file', 'Unpack it first (zstd -d)'],
  ['\xd0\xcf\x11\xe0', 'an old Office file, like .xls and .doc', 'Export it as CSV or text'],
  ['PAR1', 'a Parquet file', 'If it is a table, give it a name that ends in .parquet'],
  ['ARROW1', 'an Arrow (Feather) file', 'Export it as CSV'],
  ['\x89HDF\r\n\x1a\n', 'an HDF5 file', 'Export it as CSV'],
  ['\x93NUMPY', 'a NumPy array (.npy)', 'Pack it with kasane data pack'],
  ['SQLite format 3\0', 'an SQLite database', 'Export the table as CSV'],
];
/** Bytes of a beginning that `binaryKind` looks at. */
export const KIND_BYTES = 16;

/** What a file is that is certainly no text, by its first bytes, such as 'a PNG image'. */
export function binaryKind(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, KIND_BYTES)).toString('latin1');
  if (/^RIFF.{4}WEBP/s.test(start)) return 'a WebP image';
  return beginnings.find(([beginning]) => start.startsWith(beginning))?.[1];
}

/** @param bytes how the file begins. @throws DataError when it is certainly no text: an encoding would not help */
export function requireText(path: string, bytes: Uint8Array): void {
  if (/^(\xff\xfe\0\0|\0\0\xfe\xff)/.test(Buffer.from(bytes.subarray(0, 4)).toString('latin1')))
    throw new DataError(`${path}: it is in UTF-32. Save it as UTF-8`);
  const kind = binaryKind(bytes);
  if (kind === undefined) return;
  const cure = beginnings.find(([, what]) => what === kind)?.[2];
  throw new DataError(`${path}: it is ${kind}, not text${cure ? `. ${cure}` : ''}`);
}

/**
 * Refuses a byte order mark of another encoding. What is not UTF-8 is refused with its line; other decoders make characters that
 * nobody wrote of any bytes.
 * @param head the beginning of a file
 * @throws DataError naming `path`
 */
export function checkMark(head: Uint8Array, path: string, { encoding }: TextDecoder): void {
  const marked = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? UTF8 : markedEncoding(head);
  if (marked !== undefined && encoding !== UTF8 && encoding !== marked)
    throw new DataError(`${path}: its byte order mark says ${marked}. Set data.encoding: ${marked}`);
}

/** The encoding that a file's byte order mark names; undefined without one, and for UTF-8. */
export function markedEncoding(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : undefined;
}

/**
 * A decoder that refuses what does not fit.
 * @param path whose text is wanted
 * @throws DataError when the encoding is unknown: a job's is checked on submit, but not one that a weights file or an index names
 */
export function decoderOf(encoding: string, path: string): TextDecoder {
  try {
    return new TextDecoder(encoding, { fatal: true });
  } catch (cause) {
    const right =
      'use a name of the WHATWG Encoding Standard, such as utf-8, windows-1252, shift_jis or utf-16le';
    throw new DataError(`${path}: '${encoding}' is not a known encoding; ${right}`, { cause });
  }
}

/** Says that a line is in another encoding. @param encoding as in `decodeText` @param bytes the beginning of what did not fit */
export function notDecoded(
  path: string,
  line: number,
  encoding: string | undefined,
  bytes: Uint8Array,
): string {
  const name = (encoding ?? UTF8).toUpperCase();
  const what = `${path}:${line}: it is not ${name}. Save the file as ${name}`;
  if (encoding === undefined) return what;
  // Latin letters in UTF-16 have a NUL beside them.
  const wide = bytes.includes(0) ? (`utf-16${bytes[0] === 0 ? 'be' : 'le'}` as const) : undefined;
  const other = markedEncoding(bytes) ?? wide ?? japanese(bytes) ?? 'windows-1252 or its encoding';
  return `${what}, or set data.encoding: ${other}`;
}

/**
 * The encoding in which bytes have kana: letters of other languages hardly ever look like those, but as windows-1252 they decode too. Without
 * kana, words of common kanji are Shift_JIS, which begin with bytes that no other encoding's letters have; as EUC-JP they may be Chinese.
 */
function japanese(bytes: Uint8Array): 'shift_jis' | 'euc-jp' | undefined {
  const found = (['shift_jis', 'euc-jp'] as const).find((encoding) => {
    try {
      // A piece of a file may end within a letter.
      return /[\u3041-\u30fa]/.test(
        new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: true }),
      );
    } catch {
      return false;
    }
  });
  return found ?? (hasCommonKanji(bytes) ? 'shift_jis' : undefined);
}

/** Whether it is Shift_JIS (JIS X 0208 by 0x88 to 0x9f) with two kanji beside each other. */
function hasCommonKanji(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('shift_jis', { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return false;
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  return /(?:[\x88-\x9f][\x40-\x7e\x80-\xfc]){2}/.test(text);
}

/** Counted from 1. Decoders do not say where they failed, so lines are tried one after the other. */
function lineOfFailure(bytes: Uint8Array, encoding: string): number {
  const decoder = new TextDecoder(encoding, { fatal: true });
  let line = 1;
  for (let from = 0; from < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, from);
    const to = end < 0 ? bytes.length : end + 1;
    try {
      decoder.decode(bytes.subarray(from, to), { stream: true });
    } catch {
      return line;
    }
    from = to;
  }
  return Math.max(1, line - 1);
}
