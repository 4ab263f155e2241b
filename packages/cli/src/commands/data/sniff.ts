/** What a file holds, by its first lines: of files whose names do not say it. */
import { DataError } from '@kasane/data/dataset';
import { openRegular } from '@kasane/data/internal/files/regular-file';
import { plainForm, readNumber } from '@kasane/data/internal/tables/table-form';
import { binaryKind, markedEncoding } from '@kasane/data/internal/text/decode-text';
import { KasaneError } from '@kasane/protocol/errors';

/** table: lines of as many fields each. json: an object or array. binary: not text in any encoding that can be seen. */
export type Content = 'table' | 'json' | 'text' | 'binary';

const HEAD_BYTES = 1 << 16;
/** Lines that are looked at, and the fewest that tell anything. */
const LINES = 20;
const FEWEST = 3;
/** From so many on, commas with a space after each are no prose: lines of prose differ in their number. */
const LISTED = 4;

/** @throws KasaneError DATA_INVALID */
export async function sniff(path: string): Promise<Content> {
  try {
    const file = await openRegular(path);
    try {
      const head = await file.read(0, HEAD_BYTES);
      return contentOf(head, head.length === file.size);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof DataError) throw new KasaneError('DATA_INVALID', cause.message, { cause });
    throw cause;
  }
}

function contentOf(head: Buffer, whole: boolean): Content {
  if (binaryKind(head) !== undefined) return 'binary';
  const marked = markedEncoding(head);
  if (marked === undefined && head.includes(0)) return 'binary';
  // What is looked for is ASCII, in any encoding without NUL.
  const text = marked === undefined ? head.toString('latin1') : new TextDecoder(marked).decode(head);
  if (/^(\xef\xbb\xbf)?\s*(\{\s*"|\[\s*[[{])/.test(text)) return 'json';
  const lines = text.split(/\r\n?|\n/);
  if (!whole) lines.pop();
  const filled = lines.filter((line) => line.trim() !== '').slice(0, LINES);
  return filled.length >= FEWEST && (isDelimited(filled) || isLinedUp(filled)) ? 'table' : 'text';
}

function isDelimited(lines: readonly string[]): boolean {
  const bare = lines.map((line) => line.replace(/"(?:[^"]|"")*"/g, '""'));
  return ['\t', ';', '|', ','].some((sign) => {
    const counts = bare.map((line) => line.split(sign).length - 1);
    const [count = 0] = counts;
    if (count === 0 || counts.some((other) => other !== count)) return false;
    // Indented lines are no table.
    if (bare.every((line) => line.startsWith(sign))) return false;
    const prose = bare.filter((line) => line.includes(`${sign} `)).length;
    const fields = bare.flatMap((line) => line.split(sign));
    const numbers = fields.filter((text) => readNumber(text.trim(), plainForm) !== undefined).length;
    return sign === '\t' || count >= LISTED || 2 * prose < bare.length || 4 * numbers >= fields.length;
  });
}

/** Numbers in columns, with spaces between them. */
function isLinedUp(lines: readonly string[]): boolean {
  const rows = lines.map((line) => line.trim().split(/ +/));
  const [first] = rows;
  const values = rows.slice(1).flat();
  const numbers = values.filter((text) => readNumber(text, plainForm) !== undefined).length;
  return (
    first!.length > 1 && rows.every((row) => row.length === first!.length) && 2 * numbers >= values.length
  );
}
