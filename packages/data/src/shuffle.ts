/** Permutations as functions of a seed: the order of an epoch's samples, and which samples are kept for testing. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { keyOfSeed, philox4x32Into } from '@kasane/tensor/random';

/** Word 3 of the Philox counter; `tensor/random.ts` says who uses which. */
const SHUFFLE_STREAM = 0x8000_0002;
const SPLIT_STREAM = 0x8000_0003;

/** Samples of an order that are placed in one turn of an event loop. */
const PIECE = 1 << 15;

/** The order of samples 0..samples-1 in an epoch counted from 0. */
export const epochPermutation = (samples: number, seed: number, epoch: number): Uint32Array =>
  permutation(samples, seed, epoch, SHUFFLE_STREAM);

/** Which samples tasks take. The orders of the two epochs asked for last are kept: one ends while the next begins. */
export class SampleOrder {
  readonly #samples: number;
  readonly #seed: number;
  readonly #epochs = new Map<number, Uint32Array>();
  #preparing: { readonly epoch: number; readonly done: Promise<void> } | undefined;

  /** @param samples number of training samples */
  constructor(samples: number, seed: number) {
    this.#samples = samples;
    this.#seed = seed;
  }

  /** Indices of `count` samples, from the `first` in the order of a training epoch; in evaluation everything keeps its place. */
  indices(kind: 'train' | 'evaluate', epoch: number, first: number, count: number): Uint32Array {
    if (kind === 'train') return this.#epoch(epoch).subarray(first, first + count);
    return Uint32Array.from({ length: count }, (_, index) => first + index);
  }

  #epoch(epoch: number): Uint32Array {
    const known = this.#epochs.get(epoch);
    if (known) return known;
    return this.#keep(epoch, epochPermutation(this.#samples, this.#seed, epoch));
  }

  #keep(epoch: number, made: Uint32Array): Uint32Array {
    this.#epochs.set(epoch, made);
    for (const old of [...this.#epochs.keys()]) if (old < epoch - 1) this.#epochs.delete(old);
    return made;
  }

  /** Makes the order of a training epoch beforehand, in pieces between which others have their turn. Undefined: it is there, or soon made. */
  prepare(epoch: number): Promise<void> | undefined {
    if (this.#epochs.has(epoch) || this.#samples <= PIECE) return undefined;
    if (this.#preparing?.epoch !== epoch) this.#preparing = { epoch, done: this.#inPieces(epoch) };
    return this.#preparing.done;
  }

  async #inPieces(epoch: number): Promise<void> {
    const shuffling = new Shuffling(this.#samples, this.#seed, epoch, SHUFFLE_STREAM);
    while (!shuffling.advance(PIECE)) await nextTurn();
    this.#keep(epoch, shuffling.order);
  }
}

/**
 * Divides 0..samples-1 by chance: about `fraction` of them (at least one, where there are two) to `test`, the rest to `train`.
 * Both ascend. `group` tells apart what is divided with the same seed.
 */
export function splitAtRandom(
  samples: number,
  fraction: number,
  seed: number,
  group = 0,
): { train: Uint32Array; test: Uint32Array } {
  const kept = samples < 2 ? 0 : Math.min(samples - 1, Math.max(1, Math.round(samples * fraction)));
  const order = permutation(samples, seed, group, SPLIT_STREAM);
  return { test: order.slice(0, kept).sort(), train: order.slice(kept).sort() };
}

function permutation(samples: number, seed: number, group: number, stream: number): Uint32Array {
  const shuffling = new Shuffling(samples, seed, group, stream);
  shuffling.advance(samples);
  return shuffling.order;
}

/**
 * Makes a permutation of 0..samples-1: Fisher-Yates with unbiased draws (D. Lemire, "Fast random integer generation in an interval",
 * 2019).
 */
class Shuffling {
  readonly order: Uint32Array;
  readonly #key: ReturnType<typeof keyOfSeed>;
  readonly #group: number;
  readonly #stream: number;
  readonly #words = new Uint32Array(4);
  #drawn = 0;
  /** The place that is filled next, from the last to the second. */
  #last: number;

  constructor(samples: number, seed: number, group: number, stream: number) {
    this.order = new Uint32Array(samples);
    for (let index = 0; index < samples; index++) this.order[index] = index;
    this.#key = keyOfSeed(seed);
    this.#group = group;
    this.#stream = stream;
    this.#last = samples - 1;
  }

  /** Fills so many places; true when all are. */
  advance(places: number): boolean {
    const { order } = this;
    const end = Math.max(0, this.#last - places);
    for (; this.#last > end; this.#last--) {
      const other = this.#below(this.#last + 1);
      const kept = order[this.#last]!;
      order[this.#last] = order[other]!;
      order[other] = kept;
    }
    return end === 0;
  }

  #word(): number {
    const place = this.#drawn % 4;
    if (place === 0) {
      const [low, high] = this.#key;
      philox4x32Into(this.#words, this.#drawn / 4, 0, this.#group, this.#stream, low, high);
    }
    this.#drawn++;
    return this.#words[place]!;
  }

  #below(bound: number): number {
    for (;;) {
      const word = this.#word();
      const low = Math.imul(word, bound) >>> 0;
      // Lower bits below a threshold, itself below the bound, would favour some results. Remainders take long.
      if (low < bound && low < (2 ** 32 - bound) % bound) continue;
      // The upper 32 bits of the product, by halves.
      const middle = word * (bound >>> 16) + Math.floor((word * (bound & 0xffff)) / 2 ** 16);
      return Math.floor(middle / 2 ** 16);
    }
  }
}
