/** Which parts of a gradient are sent together. */
import type { PartRange } from '@kasane/protocol/internal/wire/parts';
import type { ParameterSpec } from '@kasane/tensor/nn/model';

/** Ranges of the flat layout that these parameters, by index, cover; adjacent ones are merged. */
export function rangesOf(all: readonly ParameterSpec[], some: readonly number[]): PartRange[] {
  const joined: { start: number; end: number }[] = [];
  for (const index of [...some].sort((a, b) => a - b)) {
    const { offset, size } = all[index]!;
    const last = joined.at(-1);
    if (last?.end === offset) last.end = offset + size;
    else joined.push({ start: offset, end: offset + size });
  }
  return joined;
}
