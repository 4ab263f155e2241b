/** What is wrong with the grammar of a YAML file, for people who write one: where it went wrong, rather than where the parser noticed. */
import { type ErrorCode, Lexer, type YAMLError } from 'yaml';

export interface Fault {
  /** Offset in the file. */
  readonly at: number;
  /** A sentence, and how to fix it. */
  readonly what: string;
}

/** What the parser means, where its own words are about YAML's grammar. */
const words: Partial<Record<ErrorCode, string>> = {
  MULTIPLE_DOCS: 'a second document begins here. A job file contains one; remove the others',
  BLOCK_AS_IMPLICIT_KEY:
    "this line contains a second ': '. Put the value in quotes, or begin a new, indented line after the first key",
  TAB_AS_INDENT: 'this line is indented with a tab. Use spaces',
  BAD_INDENT: 'the indentation matches no section above. Align the keys of a section in the same column',
  MULTILINE_IMPLICIT_KEY:
    "a key spans several lines. End it with ':' and a space on the line where it begins",
  TAG_RESOLVE_FAILED: 'a tag, which begins with !, is not supported. Remove it, or put the text in quotes',
  BAD_SCALAR_START: 'a text cannot begin with this character. Put it in quotes',
  BAD_DQ_ESCAPE:
    "a '\\' between double quotes begins an escape sequence, and this one does not exist. Use single quotes, or write '\\\\'",
  BLOCK_IN_FLOW:
    "a list with '-' cannot be within brackets or braces. Write [a, b], or a list of its own lines",
};
const COMMENT = "a comment needs a space before its '#'. If '#' is part of a text, put the text in quotes";

const OPENS: Readonly<Record<string, string>> = { '[': ']', '{': '}' };
/** The lexer's word for lines within brackets that are not indented enough: it goes on as if the bracket were closed. */
const LEFT_FLOW = '\x18';

/** @param text of the file */
export function inWords({ code, message, pos: [at] }: YAMLError, text: string): Fault {
  const bracket = faultOfBrackets(text);
  if (bracket) return bracket;
  if (/^Missing closing ["']/.test(message)) {
    const begin = lastQuote(text);
    return { at: begin, what: unclosed(text[begin]!) };
  }
  if (message.startsWith('Comments must be separated')) return { at, what: COMMENT };
  const quote = text.slice(0, at).at(-1) ?? '';
  if (code === 'UNEXPECTED_TOKEN' && (quote === '"' || quote === "'"))
    return {
      at,
      what: `there is text after a closing ${quote}. For a ${quote} within the text, write ${quote === '"' ? '\\"' : "''"}`,
    };
  return { at, what: words[code] ?? message };
}

const unclosed = (sign: string) =>
  `the ${sign} on this line is not closed. Add another ${sign} where the text ends`;

interface Open {
  readonly sign: string;
  readonly at: number;
}

/** The first bracket or brace that has no other. */
function faultOfBrackets(text: string): Fault | undefined {
  const open: Open[] = [];
  /** Open where lines follow that are not indented. */
  let left: Open | undefined;
  let at = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === LEFT_FLOW) left ??= open.at(-1);
    // Its other words for what is between tokens are no part of the file.
    if (token.length === 1 && token < ' ' && text[at] !== token) continue;
    if (Object.hasOwn(OPENS, token)) open.push({ sign: token, at });
    else if (token === ']' || token === '}') {
      const last = open.pop();
      if (!last) return { at, what: `this ${token} closes nothing. Remove it` };
      if (OPENS[last.sign] !== token)
        return {
          at: last.at,
          what: `the ${last.sign} on this line is not closed before a ${token}. ${cure(last)}`,
        };
      if (last === left)
        return {
          at: last.at,
          what: `the lines between the ${last.sign} on this line and its ${token} are not indented. Indent them`,
        };
    }
    at += token.length;
  }
  const last = left ?? open.at(-1);
  return last && { at: last.at, what: `the ${last.sign} on this line is not closed. ${cure(last)}` };
}

const cure = ({ sign }: Open) => `Add a ${OPENS[sign]}`;

/** Where the last text in quotes begins. */
function lastQuote(text: string): number {
  let [at, found] = [0, 0];
  for (const token of new Lexer().lex(text)) {
    if (token.length === 1 && token < ' ' && text[at] !== token) continue;
    if (token[0] === '"' || token[0] === "'") found = at;
    at += token.length;
  }
  return found;
}
