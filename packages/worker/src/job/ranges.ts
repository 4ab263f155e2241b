/** Which parts of a gradient are sent together. */
import type { PartRange } from '@kasane/protocol/internal/wire/parts';
import type { Model } from '@kasane/tensor/nn/model';

/** Ranges of the flat layout that parameters cover: neighbours joined. */
export function rangesOf(model: Model, parameters: readonly number[]): PartRange[] {
  const joined: { start: number; end: number }[] = [];
  for (const index of [...parameters].sort((a, b) => a - b)) {
    const { offset, size } = model.parameters[index]!;
    const last = joined.at(-1);
    if (last?.end === offset) last.end = offset + size;
    else joined.push({ start: offset, end: offset + size });
  }
  return joined;
}
