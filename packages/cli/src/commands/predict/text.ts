/** Text as samples, and what language models make of it: texts that go on, and words that were masked. */

import { DataError, type TextPreparation } from '@kasane/data/dataset';
import { readText as readFile } from '@kasane/data/internal/text/text-read';
import { MASK, openTokenizer, PAD, SPECIAL_TOKENS } from '@kasane/data/internal/text/tokenizer';
import { printableLine } from '@kasane/protocol/internal/events/plain-text';
import { counted } from '@kasane/tensor/internal/counted';
import { kindOfPath } from '@kasane/tensor/internal/node/regular-file';
import { type SamplingOptions, sampleToken } from '@kasane/tensor/internal/sampling';

/** Of a file whose content is the text. */
const FILE_BYTES = 1 << 26;

/** Stands for a masked token in what people write. */
const MASK_WORD = '[MASK]';

export interface GenerateOptions extends SamplingOptions {
  /** Tokens to write. */
  readonly maxTokens: number;
}

/** Scores of all places, [context, tokens], for tokens [context]. */
export type Scores = (tokens: Float32Array) => Float32Array;

/** The argument, or the content of the file that it names, read as training read its own. */
function contentOf(given: string, { encoding }: TextPreparation): string {
  const isText = kindOfPath(given) === 'nothing';
  const text = isText ? given : readFile(given, encoding, FILE_BYTES);
  if (text === '')
    throw new DataError(`${isText ? 'the text' : given} is empty; expected text or a text file`);
  return text;
}

/** The argument as a text that is to be classified, or the file that it names. */
export function readText(
  given: string,
  preparation: TextPreparation,
): { readonly x: Float32Array; readonly notes: readonly string[] } {
  const content = contentOf(given, preparation);
  const { x, length } = textEncoder(preparation)(content);
  return { x, notes: [...unknownCharacters([content], preparation), ...truncated([length], preparation)] };
}

/** Characters that a note names. */
const NAMED = 5;

/**
 * A note on characters that training has not seen, which all look the same to the model.
 * @throws DataError when there is no other
 */
export function unknownCharacters(texts: readonly string[], { tokenizer }: TextPreparation): string[] {
  if (tokenizer.kind !== 'character') return [];
  const known = new Set(tokenizer.characters);
  const seen = new Set(texts.flatMap((text) => [...text]));
  const unknown = [...seen].filter((character) => !known.has(character));
  if (unknown.length === 0) return [];
  const shown = unknown.slice(0, NAMED).map((character) => `'${printableLine(character)}'`);
  const list = `${shown.join(', ')}${unknown.length > NAMED ? ` and ${unknown.length - NAMED} more` : ''}`;
  if (unknown.length === seen.size)
    throw new DataError(
      `none of the characters occur in the training text: ${list}. The model cannot read it`,
    );
  return [
    `${counted(unknown.length, 'character')} did not occur in the training text and cannot be told apart: ${list}`,
  ];
}

/** A note on texts of which the model sees the beginning. @param lengths tokens of each */
export function truncated(lengths: readonly number[], { context }: TextPreparation): string[] {
  const long = lengths.filter((length) => length > context).length;
  if (long === 0) return [];
  const which =
    lengths.length === 1 ? 'the text is' : `${long} of ${lengths.length} texts ${long === 1 ? 'is' : 'are'}`;
  return [`${which} longer than ${context} tokens: the model sees only the first ${context} (data.context)`];
}

/** Of a text that is to be classified its first tokens, filled up where training did, and how many it has in all. */
export function textEncoder({
  tokenizer: spec,
  context,
  pad = 'front',
}: TextPreparation): (text: string) => { readonly x: Float32Array; readonly length: number } {
  const tokenizer = openTokenizer(spec);
  return (text) => {
    const whole = tokenizer.encode(text);
    const tokens = whole.subarray(0, context);
    const x = new Float32Array(context).fill(PAD);
    x.set(tokens, pad === 'front' ? context - tokens.length : 0);
    return { x, length: whole.length };
  };
}

/**
 * Goes on with a text. Only places before the one that is told are looked at, so what stands behind does not matter.
 * @param said takes the text, then each piece that follows as soon as it is whole
 * @returns what follows
 */
export function generate(
  given: string,
  preparation: TextPreparation,
  { maxTokens, ...sampling }: GenerateOptions,
  scoresOf: Scores,
  said: (piece: string) => void,
): { readonly text: string; readonly tokens: number; readonly notes: readonly string[] } {
  const { tokenizer: spec, context } = preparation;
  const tokenizer = openTokenizer(spec);
  const content = contentOf(given, preparation);
  const notes = unknownCharacters([content], preparation);
  said(content);
  const tokens = [...tokenizer.encode(content)];
  const prompt = tokens.length;
  let shown = '';
  const x = new Float32Array(context);
  for (let place = 0; place < maxTokens; place++) {
    const seen = tokens.slice(-context);
    x.fill(PAD).set(seen);
    const all = scoresOf(x);
    const size = all.length / context;
    const scores = all.slice((seen.length - 1) * size, seen.length * size);
    scores.fill(Number.NEGATIVE_INFINITY, 0, SPECIAL_TOKENS);
    tokens.push(sampleToken(scores, place, sampling));
    const text = tokenizer.decode(tokens.slice(prompt));
    // The bytes of a character may come as several tokens.
    if (text.endsWith('\uFFFD') && place < maxTokens - 1) continue;
    said(text.slice(shown.length));
    shown = text;
  }
  return { text: shown, tokens: tokens.length - prompt, notes };
}

/** Replaces each [MASK] by the token that fits best. */
export function fillMasks(
  given: string,
  preparation: TextPreparation,
  scoresOf: Scores,
): { readonly text: string; readonly tokens: number; readonly notes: readonly string[] } {
  const { tokenizer: spec, context } = preparation;
  const tokenizer = openTokenizer(spec);
  const parts = contentOf(given, preparation).split(MASK_WORD);
  if (parts.length === 1)
    throw new DataError(`${given}: nothing is masked; write ${MASK_WORD} in place of the token to predict`);
  const tokens = parts.flatMap((part, index) => [...(index > 0 ? [MASK] : []), ...tokenizer.encode(part)]);
  const notes = unknownCharacters(parts, preparation);
  if (tokens.length > context) {
    throw new DataError(
      `${counted(tokens.length, 'token')}; the model takes at most ${context}: shorten the text`,
    );
  }
  const x = new Float32Array(context).fill(PAD);
  x.set(tokens);
  const all = scoresOf(x);
  const size = all.length / context;
  const filled = tokens.map((token, place) => {
    if (token !== MASK) return token;
    const scores = all.slice(place * size, (place + 1) * size);
    scores.fill(Number.NEGATIVE_INFINITY, 0, SPECIAL_TOKENS);
    return sampleToken(scores, 0, { temperature: 0 });
  });
  return { text: tokenizer.decode(filled), tokens: parts.length - 1, notes };
}
