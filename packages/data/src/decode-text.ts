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
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DataError(notDecoded(path, lineOfFailure(bytes, encoding), encoding), { cause });
  }
}

/** Says that a line is in another encoding. */
export function notDecoded(path: string, line: number, encoding: string): string {
  const name = encoding.toUpperCase();
  const cure =
    encoding === UTF8 ? 'Save the file as UTF-8' : `Save the file as ${name}, or name another encoding`;
  return `${path}:${line}: it is not ${name}. ${cure}`;
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
