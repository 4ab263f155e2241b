/** The binary tree of a sum (`ops/summation.ts`), while it is computed. */
import type { FunctionBuilder, Local } from '../../assembler.ts';
import { type Address, behind, pushAddress } from './address.ts';

/** Vectors that are summed side by side. */
export const MOST_VECTORS = 8;
/** Sums that may wait: of 2^32 numbers there are fewer blocks than 2^26. */
const DEEPEST = 26;
const SLOT = 16 * MOST_VECTORS;

/** Bytes of scratch memory for the sums that wait, of so many depths. */
export const waitingScratchBytes = (depths: number): number => depths * DEEPEST * SLOT;

/** The sums of a tree that wait for others of as many blocks, in memory, the one that came last on top. */
export class Waiting {
  readonly #f: FunctionBuilder;
  readonly #base: Address;
  readonly #sums: readonly Local[];
  /** Where the next is put, and how many blocks there have been. */
  readonly #top: Local;
  readonly #count: Local;
  readonly #bits: Local;

  /**
   * @param scratch address of the room for the sums of all depths; `depth` counts sums whose numbers are sums
   * @param sums vectors that are summed side by side
   */
  constructor(f: FunctionBuilder, scratch: Address, depth: number, sums: readonly Local[]) {
    this.#f = f;
    this.#base = behind(scratch, depth * DEEPEST * SLOT);
    this.#sums = sums;
    [this.#top, this.#count, this.#bits] = [f.local('i32'), f.local('i32'), f.local('i32')];
    this.begin();
  }

  begin(): void {
    pushAddress(this.#f, this.#base).set(this.#top).i32(0).set(this.#count);
  }

  /** Puts down a sum of 1, 2 or 4 blocks, together with those before it that make as many. */
  push(blocks: 1 | 2 | 4): void {
    const f = this.#f;
    const bits = this.#bits;
    f.advance(this.#count, blocks);
    f.get(this.#count).i32(Math.log2(blocks)).op('i32ShrU').set(bits);
    f.whilst(
      () => f.get(bits).i32(1).op('i32And').i32(0).op('i32Eq'),
      () => {
        this.#join();
        f.get(bits).i32(1).op('i32ShrU').set(bits);
      },
    );
    for (const [i, sum] of this.#sums.entries())
      f.get(this.#top)
        .get(sum)
        .memory('v128Store', 16 * i);
    f.advance(this.#top, SLOT);
  }

  /** Takes up all that waits, from the right to the left. */
  finish(): void {
    const f = this.#f;
    f.advance(this.#top, -SLOT);
    for (const [i, sum] of this.#sums.entries())
      f.get(this.#top)
        .memory('v128Load', 16 * i)
        .set(sum);
    f.whilst(
      () => pushAddress(f, this.#base).get(this.#top).op('i32LtU'),
      () => this.#join(),
    );
  }

  /** Adds the top one, which stands before what is at hand. */
  #join(): void {
    const f = this.#f;
    f.advance(this.#top, -SLOT);
    for (const [i, sum] of this.#sums.entries())
      f.get(this.#top)
        .memory('v128Load', 16 * i)
        .get(sum)
        .op('f32x4Add')
        .set(sum);
  }
}
