/** Text to tokens and back. Every vocabulary begins with the same special tokens. */
import { type BpeMerges, encodeWord, trainBpe, wordsOf } from './bpe.ts';

/** Fills short samples up. */
export const PAD = 0;
/** What the vocabulary does not have. */
export const UNKNOWN = 1;
/** Stands where a token is to be guessed. */
export const MASK = 2;
/** Tokens below this are special. */
export const SPECIAL_TOKENS = 3;

/** What a tokenizer is, as JSON: it is kept with the weights. */
export type TokenizerSpec =
  /** A token for each of these characters (code points), in their order. */
  | { readonly kind: 'character'; readonly characters: readonly string[] }
  /** A token for each byte of UTF-8. */
  | { readonly kind: 'byte' }
  /** Bytes, and pairs of tokens joined to new ones, in the order in which they were learnt. */
  | { readonly kind: 'bpe'; readonly merges: BpeMerges };

export interface Tokenizer {
  readonly spec: TokenizerSpec;
  /** Tokens are 0..size-1. */
  readonly size: number;
  encode(text: string): Int32Array;
  /** Special tokens give nothing. */
  decode(tokens: ArrayLike<number>): string;
}

export type TokenizerKind = TokenizerSpec['kind'];

/**
 * Learns a tokenizer from text; the same text gives the same one.
 * @param vocabulary size of a bpe vocabulary, special tokens included
 */
export function trainTokenizer(kind: TokenizerKind, text: string, vocabulary: number): Tokenizer {
  switch (kind) {
    case 'byte':
      return openTokenizer({ kind });
    case 'character': {
      const characters = [...new Set(text)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
      return openTokenizer({ kind, characters });
    }
    case 'bpe':
      return openTokenizer({ kind, merges: trainBpe(text, vocabulary - SPECIAL_TOKENS) });
  }
}

export function openTokenizer(spec: TokenizerSpec): Tokenizer {
  switch (spec.kind) {
    case 'character':
      return characterTokenizer(spec, spec.characters);
    case 'byte':
      return byteTokenizer(spec, []);
    case 'bpe':
      return byteTokenizer(spec, spec.merges);
  }
}

function characterTokenizer(spec: TokenizerSpec, characters: readonly string[]): Tokenizer {
  const numbers = new Map(characters.map((character, index) => [character, index + SPECIAL_TOKENS]));
  return {
    spec,
    size: characters.length + SPECIAL_TOKENS,
    encode: (text) => {
      // A plain loop: Int32Array.from takes seconds for a book, while no heartbeat is sent.
      const tokens = new Int32Array(text.length);
      let length = 0;
      for (const character of text) tokens[length++] = numbers.get(character) ?? UNKNOWN;
      return tokens.slice(0, length);
    },
    decode: (tokens) => Array.from(tokens, (token) => characters[token - SPECIAL_TOKENS] ?? '').join(''),
  };
}

function byteTokenizer(spec: TokenizerSpec, merges: BpeMerges): Tokenizer {
  /** Bytes of each token. */
  const bytes: Uint8Array[] = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  for (const [left, right] of merges) bytes.push(Buffer.concat([bytes[left]!, bytes[right]!]));
  const ranks = new Map(merges.map(([left, right], index) => [`${left} ${right}`, index]));
  const known = new Map<string, readonly number[]>();
  const encodeKnown = (word: string) => {
    const before = known.get(word);
    if (before) return before;
    const tokens = encodeWord(Buffer.from(word), ranks);
    // Text has few different words; what has many gains nothing by their being kept.
    if (known.size < 100_000) known.set(word, tokens);
    return tokens;
  };
  return {
    spec,
    size: bytes.length + SPECIAL_TOKENS,
    encode: (text) => {
      if (merges.length === 0) return Int32Array.from(Buffer.from(text), (byte) => byte + SPECIAL_TOKENS);
      const tokens: number[] = [];
      for (const word of wordsOf(text)) {
        for (const token of encodeKnown(word)) tokens.push(token + SPECIAL_TOKENS);
      }
      return Int32Array.from(tokens);
    },
    decode: (tokens) =>
      Buffer.concat(
        Array.from(tokens, (token) => bytes[token - SPECIAL_TOKENS] ?? new Uint8Array(0)),
      ).toString(),
  };
}
