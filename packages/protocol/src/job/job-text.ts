/**
 * Reads the YAML of a job file into plain values, within limits: files come from others, and a small one can ask for a large amount
 * of work (nesting, aliases, keys that are compared with each other). Everything that is refused names its line.
 */
import { type Document, isAlias, isMap, isScalar, Lexer, LineCounter, parseDocument, visit } from 'yaml';
import { KasaneError, messageOf } from '../errors.ts';
import {
  JOB_FILE_ALIASES,
  JOB_FILE_BYTES,
  JOB_FILE_DEPTH,
  JOB_FILE_LINES,
  JOB_FILE_TOKENS,
} from '../limits.ts';
import { type Fault, inWords } from './yaml-faults.ts';

export interface JobText {
  /** Of the file, as plain objects, arrays, strings and numbers. */
  readonly value: unknown;
  /** As the parser has it: for the places of values. */
  readonly document: Document;
  readonly lines: LineCounter;
}

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
  const refuse: Refuse = ({ at, what }) =>
    new KasaneError('JOB_INVALID', `${where}:${lines.linePos(at).line}: ${what}`);
  // Duplicates are looked for below: the parser compares each key with each other one.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const [fault] = [...document.errors, ...document.warnings];
  if (fault) throw refuse(inWords(fault, text));
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

type Refuse = (fault: Fault) => KasaneError;

/** What no check of values could say: they have only what the parser made of it. */
function checkKeys(document: Document, refuse: Refuse): void {
  let aliases = 0;
  visit(document, (_, node) => {
    if (isAlias(node) && ++aliases > JOB_FILE_ALIASES)
      throw refuse({
        at: node.range?.[0] ?? 0,
        what: `more than ${JOB_FILE_ALIASES} aliases, which is the limit for a job file`,
      });
    if (!isMap(node)) return;
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      const at = (key as { range?: [number, number, number] } | null)?.range?.[0] ?? node.range?.[0] ?? 0;
      if (!isScalar(key))
        throw refuse({ at, what: 'a key is a list, a map or an alias. Write it as plain text' });
      const name = String(key.value);
      const isPlain = key.type === 'PLAIN';
      if (isPlain && name === '<<')
        throw refuse({
          at,
          what: "merge keys ('<<') are not supported. Write the keys out, or put those that jobs share into a file that they name with 'extends'",
        });
      // In braces, a key without a value: { epochs:5 }.
      if (isPlain && !value && /^[A-Za-z]\w*:./.test(name))
        throw refuse({ at, what: `'${name.slice(0, 40)}' needs a space after its ':'` });
      if (seen.has(name)) throw refuse({ at, what: `the key '${name}' appears twice. Remove one of them` });
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
    throw refuse({
      at: offset,
      what:
        unknown === undefined
          ? 'its aliases expand to too many values. Write the values out'
          : `no value before this line has the anchor '&${unknown}'. If '*${unknown}' is text, put it in quotes`,
    });
  }
}
