/**
 * Byte pair encoding (Sennrich, Haddow and Birch 2016, on bytes as in Radford et al. 2019): the most frequent pair of
 * neighbours becomes a token, again and again. Ties go to the lower pair, so that equal text gives equal merges.
 */

/** The i-th pair makes token 256 + i; tokens below 256 are bytes. */
export type BpeMerges = readonly (readonly [number, number])[];

/** Characters of the text that merges are learnt from; more changes little. */
const TRAINING_CHARACTERS = 1 << 24;

/** Words, each with the space before it; punctuation; other white space. Together they are the text. Merges stay within them. */
export function wordsOf(text: string): string[] {
  return text.match(/ ?[\p{L}\p{M}\p{N}]+| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s/gu) ?? [];
}

interface Word {
  tokens: number[];
  readonly count: number;
}

/** @param tokens how many there are to be, the 256 bytes included; fewer when nothing occurs twice any more */
export function trainBpe(text: string, tokens: number): BpeMerges {
  const counts = new Map<string, number>();
  for (const word of wordsOf(text.slice(0, TRAINING_CHARACTERS)))
    counts.set(word, (counts.get(word) ?? 0) + 1);
  const words: Word[] = Array.from(counts, ([word, count]) => ({ tokens: [...Buffer.from(word)], count }));
  const pairs = new PairCounts();
  for (const [index, word] of words.entries()) pairs.count(index, word, 1);
  const merges: [number, number][] = [];
  while (256 + merges.length < tokens) {
    const best = pairs.best();
    if (!best) break;
    const token = 256 + merges.length;
    merges.push(best.pair);
    for (const index of best.words) {
      const word = words[index]!;
      pairs.count(index, word, -1);
      word.tokens = join(word.tokens, best.pair, token);
      pairs.count(index, word, 1);
    }
  }
  return merges;
}

/** How often each pair of neighbours occurs, and in which words it has been seen. */
class PairCounts {
  readonly #counts = new Map<number, { total: number; words: Set<number> }>();

  count(index: number, { tokens, count }: Word, sign: 1 | -1): void {
    for (let i = 0; i + 1 < tokens.length; i++) {
      const key = tokens[i]! * PAIR + tokens[i + 1]!;
      const entry = this.#counts.get(key) ?? { total: 0, words: new Set() };
      entry.total += sign * count;
      entry.words.add(index);
      this.#counts.set(key, entry);
    }
  }

  best(): { pair: [number, number]; words: number[] } | undefined {
    let [bestKey, most] = [-1, 1];
    for (const [key, { total }] of this.#counts) {
      if (total > most || (total === most && total > 1 && key < bestKey)) [bestKey, most] = [key, total];
    }
    if (bestKey < 0) return undefined;
    const { words } = this.#counts.get(bestKey)!;
    this.#counts.delete(bestKey);
    return { pair: [Math.floor(bestKey / PAIR), bestKey % PAIR], words: [...words] };
  }
}

/** More tokens than any vocabulary has: a pair as one number. */
const PAIR = 2 ** 24;

function join(tokens: readonly number[], [left, right]: readonly [number, number], token: number): number[] {
  const joined: number[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] === left && tokens[i + 1] === right) {
      joined.push(token);
      i++;
    } else joined.push(tokens[i]!);
  }
  return joined;
}

/** Tokens of a word: of the pairs in it that were learnt, the one learnt first is joined, until there is none. */
export function encodeWord(bytes: Uint8Array, ranks: ReadonlyMap<string, number>): number[] {
  let tokens = [...bytes];
  for (;;) {
    let best: { rank: number; pair: readonly [number, number] } | undefined;
    for (let i = 0; i + 1 < tokens.length; i++) {
      const pair = [tokens[i]!, tokens[i + 1]!] as const;
      const rank = ranks.get(`${pair[0]} ${pair[1]}`);
      if (rank !== undefined && rank < (best?.rank ?? Number.POSITIVE_INFINITY)) best = { rank, pair };
    }
    if (!best) return tokens;
    tokens = join(tokens, best.pair, 256 + best.rank);
  }
}
