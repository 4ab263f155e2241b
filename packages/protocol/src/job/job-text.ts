/**
 * Reads the YAML of a job file into plain values, within limits: files come from others, and a small one can ask for a large amount
 * of work (nesting, aliases, keys that are compared with each other). Everything that is refused names its line.
 */
import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  Lexer,
  LineCounter,
  parseDocument,
  visit,
} from 'yaml';
import { KasaneError, messageOf } from '../errors.ts';
import {
  JOB_FILE_ALIASES,
  JOB_FILE_BYTES,
  JOB_FILE_DEPTH,
  JOB_FILE_LINES,
  JOB_FILE_TOKENS,
} from '../limits.ts';

export interface JobText {
  /** Of the file, as plain objects, arrays, strings and numbers. */
  readonly value: unknown;
  /** As the parser has it: for the places of values. */
  readonly document: Document;
  readonly lines: LineCounter;
}

/** What the parser means, where its own words are about YAML's grammar. */
const words: Partial<Record<ErrorCode, string>> = {
  MULTIPLE_DOCS: 'a second document begins here. A job file contains one; remove the others',
  BLOCK_AS_IMPLICIT_KEY:
    "this line contains a second ': '. Put the value in quotes, or begin a new, indented line after the first key",
  TAB_AS_INDENT: 'this line is indented with a tab. Use spaces',
  BAD_INDENT: 'the indentation matches no section above. Align the keys of a section in the same column',
  MULTILINE_IMPLICIT_KEY: "a key spans several lines. End it with ':' on the line where it begins",
};

/**
 * @param where what to call the file in messages
 * @throws KasaneError JOB_INVALID with file and line, LIMIT
 */
export function readJobText(text: string, where: string): JobText {
  const bytes = Buffer.byteLength(text);
  if (bytes > JOB_FILE_BYTES)
    throw new KasaneError('LIMIT', `${where}: ${bytes} bytes; at most ${JOB_FILE_BYTES} are allowed`);
  checkSize(text, where);
  const lines = new LineCounter();
  const refuse = (offset: number, what: string) =>
    new KasaneError('JOB_INVALID', `${where}:${lines.linePos(offset).line}: ${what}`);
  // Duplicates are looked for below: the parser compares each key with each other one.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const [fault] = [...document.errors, ...document.warnings];
  if (fault) throw refuse(fault.pos[0], words[fault.code] ?? fault.message);
  checkKeys(document, refuse);
  return { value: expand(document, refuse), document, lines };
}

/** Before anything is built from it. Block collections nest by their columns, flow collections by brackets. */
function checkSize(text: string, where: string): void {
  let [tokens, flow, line, column, dashes] = [0, 0, 1, 0, 0];
  /** Columns at which the blocks around this line begin. */
  let blocks: number[] = [];
  const refuse = (what: string) => new KasaneError('JOB_INVALID', `${where}:${line}: ${what}`);
  for (const token of new Lexer().lex(text)) {
    const first = token[0];
    if (line > JOB_FILE_LINES)
      throw new KasaneError(
        'LIMIT',
        `${where}: more than ${JOB_FILE_LINES} lines, which is the limit for a job file`,
      );
    if (first === '\n' || first === '\r') {
      [line, column, dashes] = [line + 1, 0, 0];
      continue;
    }
    if (first !== ' ' && first !== '#') {
      tokens++;
      if (flow === 0 && column >= 0) {
        const here = column;
        blocks = [...blocks.filter((begin) => begin < here), here];
        column = -1;
      }
      if (token === '[' || token === '{') flow++;
      else if (token === ']' || token === '}') flow = Math.max(0, flow - 1);
      else if (token === '-' || token === '?') dashes++;
    } else if (column >= 0) column += token.length;
    if (tokens > JOB_FILE_TOKENS)
      throw new KasaneError(
        'LIMIT',
        `${where}:${line}: more than ${JOB_FILE_TOKENS} keys, values and punctuation marks, which is the limit for a job file`,
      );
    if (flow + blocks.length + dashes > JOB_FILE_DEPTH)
      throw refuse(`nested more than ${JOB_FILE_DEPTH} levels deep, which is the limit for a job file`);
    line += token.split('\n').length - 1;
  }
}

type Refuse = (offset: number, what: string) => KasaneError;

function checkKeys(document: Document, refuse: Refuse): void {
  let aliases = 0;
  visit(document, (_, node) => {
    if (isAlias(node) && ++aliases > JOB_FILE_ALIASES)
      throw refuse(
        node.range?.[0] ?? 0,
        `more than ${JOB_FILE_ALIASES} aliases, which is the limit for a job file`,
      );
    if (!isMap(node)) return;
    const seen = new Set<string>();
    for (const { key } of node.items) {
      const offset = (key as { range?: [number, number, number] } | null)?.range?.[0] ?? node.range?.[0] ?? 0;
      if (!isScalar(key)) throw refuse(offset, 'a key is a list, a map or an alias. Write it as plain text');
      const name = String(key.value);
      if (seen.has(name)) throw refuse(offset, `the key '${name}' appears twice. Remove one of them`);
      seen.add(name);
    }
  });
}

/** Plain values, aliases followed. */
function expand(document: Document, refuse: Refuse): unknown {
  try {
    return document.toJS({ maxAliasCount: JOB_FILE_ALIASES }) as unknown;
  } catch (error) {
    // Which one cannot be told, of names that are unknown except.
    const unknown = /^Unresolved alias.*: (.*)$/.exec(messageOf(error))?.[1];
    let offset = 0;
    visit(document, {
      Alias: (_, alias) => {
        if (unknown !== undefined && alias.source !== unknown) return undefined;
        offset = alias.range?.[0] ?? 0;
        return visit.BREAK;
      },
    });
    throw refuse(
      offset,
      unknown === undefined
        ? 'its aliases expand to too many values. Write the values out'
        : `no value before this line has the anchor '&${unknown}'`,
    );
  }
}
