/** Texts that a model sees the beginning of. */
import { counted } from '@kasane/tensor/internal/counted';

/**
 * A note on texts that have more tokens than go in, with what would take all of them.
 * @param lengths tokens of each text
 * @param context tokens that go in
 */
export function truncatedTexts(path: string, lengths: readonly number[], context: number): string[] {
  const long = lengths.filter((length) => length > context).length;
  if (long === 0) return [];
  const sorted = lengths.toSorted((a, b) => a - b);
  const most = sorted[Math.ceil(0.95 * sorted.length) - 1]!;
  const need = most > context ? `95 % of the texts have at most ${most}` : `the longest has ${sorted.at(-1)}`;
  return [
    `${path}: ${long} of ${counted(lengths.length, 'text')} ${long === 1 ? 'is' : 'are'} longer than ${context} tokens, and only the first ${context} are used; ${need}. To use more, increase data.context, and the context of the model with it; steps take longer`,
  ];
}
