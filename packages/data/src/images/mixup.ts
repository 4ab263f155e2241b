/**
 * Mixup (Zhang et al. 2018): each sample of a shard becomes a mixture of itself and of its neighbour, and so does its target. The
 * shares are drawn by seed, epoch and sample; who is whose neighbour the epoch's order has drawn already.
 */
import { exponentialOf, logarithmOf } from '@kasane/tensor/internal/optim/exact';
import { type Key, philox4x32, unitInterval } from '@kasane/tensor/random';

export interface Mixup {
  /** Shares are of Beta(alpha, alpha): small ones leave most samples nearly alone. 0.05 to 1. */
  readonly alpha: number;
  /** Targets are classes, which can not be mixed: each sample gets both of them, and its own one's share. */
  readonly classes: boolean;
}

/** Word 3 of the Philox counter; `tensor/random.ts` says who uses which. */
const MIXUP_STREAM = 0x8000_0200;

/**
 * Mixes the samples in `x` in place, each with the next one of the shard, the last with the first.
 * @param targets one number or more for each sample
 * @param ids indices in the data set
 * @returns the mixed targets; of classes, for each sample: its own, its neighbour's, the share of its own
 */
export function mixUp(
  x: Float32Array,
  targets: Int32Array | Float32Array,
  ids: Uint32Array,
  epoch: number,
  { alpha, classes }: Mixup,
  key: Key,
): Float32Array {
  const samples = ids.length;
  const shares = Float32Array.from(ids, (id) => shareOf(id, epoch, alpha, key));
  mixRows(x, shares);
  if (!classes) {
    const mixed = Float32Array.from(targets);
    mixRows(mixed, shares);
    return mixed;
  }
  const both = new Float32Array(3 * samples);
  for (let i = 0; i < samples; i++) both.set([targets[i]!, targets[(i + 1) % samples]!, shares[i]!], 3 * i);
  return both;
}

/** rows[i] = shares[i] rows[i] + (1 - shares[i]) rows[i + 1]; ascending, so that the next row is still as it was. */
function mixRows(rows: Float32Array, shares: Float32Array): void {
  const size = rows.length / shares.length;
  const first = rows.slice(0, size);
  for (const [i, share] of shares.entries()) {
    const own = rows.subarray(i * size, (i + 1) * size);
    const next = i + 1 < shares.length ? rows.subarray((i + 1) * size, (i + 2) * size) : first;
    for (let j = 0; j < size; j++) own[j] = share * own[j]! + (1 - share) * next[j]!;
  }
}

/** Of Beta(alpha, alpha), by Jöhnk's method: u^(1/a) / (u^(1/a) + v^(1/a)), drawn again while the sum is above 1. */
function shareOf(id: number, epoch: number, alpha: number, key: Key): number {
  const power = (word: number) => exponentialOf(logarithmOf(1 - unitInterval(word)) / alpha);
  for (let block = 0; ; block++) {
    const words = philox4x32([block, id, epoch, MIXUP_STREAM], key);
    for (const at of [0, 2]) {
      const [own, other] = [power(words[at]!), power(words[at + 1]!)];
      if (own + other <= 1) return own / (own + other);
    }
  }
}
