/** Bytes of text files to characters. What is not in the encoding that was named is refused with its line, never replaced. */
import { DataError } from './dataset.ts';

export const UTF8 = 'utf-8';

/**
 * The text of a file.
 * @param path names it in messages
 * @param encoding a label of the WHATWG encoding standard, as TextDecoder knows them
 * @throws DataError with the line of the first byte that does not fit
 */
export function decodeText(bytes: Uint8Array, path: string, encoding = UTF8): string {
  const decoder = decoderOf(encoding, path);
  const marked = markedEncoding(bytes);
  // The other byte order decodes without an error, to characters that nobody wrote.
  if (marked !== undefined && decoder.encoding.startsWith('utf-16') && decoder.encoding !== marked)
    throw new DataError(`${path}: its byte order mark says ${marked}. Set data.encoding: ${marked}`);
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new DataError(notDecoded(path, lineOfFailure(bytes, encoding), encoding, bytes), { cause });
  }
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

/** Says that a line is in another encoding. @param bytes the beginning of what did not fit */
export function notDecoded(path: string, line: number, encoding: string, bytes: Uint8Array): string {
  const name = encoding.toUpperCase();
  const other = markedEncoding(bytes) ?? 'windows-1252 or what it is in';
  return `${path}:${line}: it is not ${name}. Save the file as ${name}, or set data.encoding: ${other}`;
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
