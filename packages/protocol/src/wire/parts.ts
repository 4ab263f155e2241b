/**
 * Which worker adds which part of the gradients. The parameters are cut into chunks of equal size that go to the owners in turn, so that
 * each has work from the first layers to the last, whatever becomes final first.
 */
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import type { PartGradientHeader } from './frame.ts';

/** Floats of a chunk, in whole blocks of rounding.ts: at most, and at least. Of small models every owner has a few all the same. */
const MOST_FLOATS = 1 << 16;
/** Links between workers that carry fewer bytes a second are slow: little is under way over them at once, in small chunks. */
export const SLOW_RATE = 2e7;
/** Over slow links: what is under way at once is little, and a frame has a whole chunk. */
const MOST_SLOW_FLOATS = 1 << 14;
export const LEAST_FLOATS = 1 << 10;
/** Chunks of each owner, as long as they are not too small: of few, one more would be much. */
const CHUNKS_EACH = 16;

/** Floats [start, end) of the flat layout. */
export interface PartRange {
  readonly start: number;
  readonly end: number;
}

export interface PartPiece extends PartRange {
  readonly owner: string;
}

export class PartLayout {
  /** Counts the layouts of a run, from 1. */
  readonly number: number;
  /** The first step that it holds for. */
  readonly step: number;
  /** Floats of all parameters, */
  readonly floats: number;
  /** and of a chunk; the last one may be shorter. */
  readonly chunkFloats: number;
  /** Workers, in the order of the chunks. */
  readonly owners: readonly string[];
  /** The coordinator sends some chunks of new versions to the owners of others; see `isRelayed`. */
  readonly relays: boolean;

  constructor(
    layout: Pick<PartLayout, 'number' | 'step' | 'floats' | 'chunkFloats' | 'owners'> &
      Partial<Pick<PartLayout, 'relays'>>,
  ) {
    this.relays = layout.relays ?? false;
    this.number = layout.number;
    this.step = layout.step;
    this.floats = layout.floats;
    this.chunkFloats = layout.chunkFloats;
    this.owners = layout.owners;
  }

  get chunks(): number {
    return Math.ceil(this.floats / this.chunkFloats);
  }

  /** Floats of chunk `index`. */
  chunk(index: number): PartRange {
    const start = index * this.chunkFloats;
    return { start, end: Math.min(this.floats, start + this.chunkFloats) };
  }

  ownerOf(chunk: number): string {
    return this.owners[chunk % this.owners.length]!;
  }

  /**
   * Whether the coordinator sends new versions of a chunk to the other owners, so that its owner sends its sum alone. Of each owner's chunks
   * it is one in as many as there are others: then the coordinator sends as much as it receives, all parameters, and each owner as much as
   * it receives, too.
   */
  isRelayed(chunk: number): boolean {
    return this.relays && chunk % Math.max(1, this.owners.length - 1) === 0;
  }

  /** The chunks of new versions that the coordinator sends, ascending. */
  get relayed(): PartRange[] {
    const all = Array.from({ length: this.chunks }, (_, index) => index);
    return all.filter((index) => this.isRelayed(index)).map((index) => this.chunk(index));
  }

  /** What an owner owns, ascending. */
  chunksOf(owner: string): PartRange[] {
    const first = this.owners.indexOf(owner);
    if (first < 0) return [];
    const own: PartRange[] = [];
    for (let index = first; index < this.chunks; index += this.owners.length) own.push(this.chunk(index));
    return own;
  }

  /** Floats [start, end), cut where chunks end. */
  pieces({ start, end }: PartRange): PartPiece[] {
    const pieces: PartPiece[] = [];
    for (let at = start; at < end; ) {
      const index = Math.floor(at / this.chunkFloats);
      const until = Math.min(end, this.chunk(index).end);
      pieces.push({ start: at, end: until, owner: this.ownerOf(index) });
      at = until;
    }
    return pieces;
  }
}

/** Part of a task's gradient that goes to one owner. */
export interface PartGradient extends PartRange {
  readonly owner: string;
  readonly header: PartGradientHeader;
}

/** A task's gradient from float `start` to `end`, cut for those who own it. */
export function partGradients(
  layout: PartLayout,
  { job, step, shard, attempt }: Pick<PartGradientHeader, 'job' | 'step' | 'shard' | 'attempt'>,
  range: PartRange,
): PartGradient[] {
  const about = { kind: 'partGradient', job, layout: layout.number, step, shard, attempt } as const;
  return layout.pieces(range).map((piece) => ({ ...piece, header: { ...about, offset: piece.start } }));
}

/** Floats of a chunk where so many owners share so many parameters, over slow links or others. */
export function chunkFloatsFor(floats: number, owners: number, isSlow: boolean): number {
  const even = Math.floor(floats / (owners * CHUNKS_EACH * LEAST_FLOATS)) * LEAST_FLOATS;
  return Math.min(isSlow ? MOST_SLOW_FLOATS : MOST_FLOATS, Math.max(LEAST_FLOATS, even));
}

/** Parameters, as far as they lie in these ranges, one after the other: what an updater is opened for that knows nothing else. */
export function specsOf(parameters: readonly ParameterSpec[], ranges: readonly PartRange[]): ParameterSpec[] {
  let offset = 0;
  return ranges.flatMap(({ start, end }) =>
    parameters.flatMap((parameter) => {
      const from = Math.max(start, parameter.offset);
      const size = Math.min(end, parameter.offset + parameter.size) - from;
      if (size <= 0) return [];
      const spec = { ...parameter, offset, size };
      offset += size;
      return [spec];
    }),
  );
}
