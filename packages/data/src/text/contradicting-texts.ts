/** The same text with different labels: no model can tell both. */
import { counted } from '@kasane/tensor/internal/counted';

export interface LabelledText {
  readonly text: string;
  readonly label: string;
  /** Where a message finds it: file, or file and line. */
  readonly place: string;
}

/** A note on texts that occur with several labels; none where each has one. */
export function contradictingTexts(path: string, texts: readonly LabelledText[]): string[] {
  const seen = new Map<string, LabelledText>();
  const contradicting = new Map<string, readonly [LabelledText, LabelledText]>();
  for (const one of texts) {
    const first = seen.get(one.text);
    if (!first) seen.set(one.text, one);
    else if (first.label !== one.label && !contradicting.has(one.text))
      contradicting.set(one.text, [first, one]);
  }
  const [pair] = contradicting.values();
  if (!pair) return [];
  const more = contradicting.size - 1;
  const [here, there] = pair.map(({ place, label }) => `${place} ('${label.slice(0, 40)}')`);
  const others = more === 0 ? '' : `, and ${counted(more, 'more text')} like it`;
  return [
    `${path}: the same text has different labels: ${here} and ${there}${others}. Keep each text with one label`,
  ];
}
