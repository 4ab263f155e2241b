/** A token bucket per key: a rate of calls per second, with bursts of one second's worth. Costs a map lookup per call. */
import { keepNewest } from '../newest.ts';

interface Bucket {
  left: number;
  at: number;
}

/** Number of keys remembered; the ones idle longest are dropped first. */
const KEYS = 10_000;

export class RateLimit {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes a token from the key's bucket. @param now in milliseconds @returns whether there was one */
  take(key: string, now: number): boolean {
    const bucket = this.#buckets.get(key) ?? { left: this.#perSecond, at: now };
    keepNewest(this.#buckets, key, bucket, KEYS);
    const earned = (Math.max(0, now - bucket.at) / 1000) * this.#perSecond;
    bucket.left = Math.min(this.#perSecond, bucket.left + earned);
    bucket.at = now;
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }
}
