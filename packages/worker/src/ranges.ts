/** Which parts of a gradient are sent. */
import { FRAME_PAYLOAD_BYTES } from '@kasane/protocol/limits';
import type { Model } from '@kasane/tensor/nn/model';

/** Floats [start, end) of the flat layout. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Ranges of the flat layout that parameters cover: neighbours joined, then cut to what a frame holds. */
export function rangesOf(model: Model, parameters: readonly number[]): Range[] {
  const joined: { start: number; end: number }[] = [];
  for (const index of [...parameters].sort((a, b) => a - b)) {
    const { offset, size } = model.parameters[index]!;
    const last = joined.at(-1);
    if (last?.end === offset) last.end = offset + size;
    else joined.push({ start: offset, end: offset + size });
  }
  const most = FRAME_PAYLOAD_BYTES / 4;
  return joined.flatMap(({ start, end }) =>
    Array.from({ length: Math.ceil((end - start) / most) }, (_, cut) => ({
      start: start + cut * most,
      end: Math.min(end, start + (cut + 1) * most),
    })),
  );
}
