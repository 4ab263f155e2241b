/** Token buckets: so many calls a second for each key, and a second's worth at once. Whoever is within it pays a map look-up. */
import { keepNewest } from '../newest.ts';

interface Bucket {
  left: number;
  at: number;
}

/** Keys remembered; those that have been idle the longest are forgotten first. */
const KEYS = 10_000;

export class RateLimit {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes one. @param now milliseconds. @returns whether there was one */
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
