/** Which parts of a gradient are sent together. */
import type { Model } from '@kasane/tensor/nn/model';

/** Floats [start, end) of the flat layout. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Ranges of the flat layout that parameters cover: neighbours joined. */
export function rangesOf(model: Model, parameters: readonly number[]): Range[] {
  const joined: { start: number; end: number }[] = [];
  for (const index of [...parameters].sort((a, b) => a - b)) {
    const { offset, size } = model.parameters[index]!;
    const last = joined.at(-1);
    if (last?.end === offset) last.end = offset + size;
    else joined.push({ start: offset, end: offset + size });
  }
  return joined;
}
