/** How fast a link is, measured by what is sent there and back over it. */
import { KasaneError } from '../errors.ts';
import { FRAME_PAYLOAD_BYTES } from '../limits.ts';
import { encodeFrame } from './frame.ts';
import { SLOW_RATE } from './parts.ts';

/**
 * Bytes of a probe there and back: small ones first, since all workers probe all others at once, which a very slow network carries only then.
 * Where they come back as fast as this, in bytes a second, large ones follow: of small ones, a busy machine makes a slow link. These have as
 * many bytes as come back in so many milliseconds, as the small ones did, but no more than this: eight hosts at 40 Mbit/s took
 * nearly ten seconds with the most.
 */
const SMALL_PROBE = 1 << 16;
const MOST_PROBE = FRAME_PAYLOAD_BYTES;
const LARGE_FROM = 1e6;
const LARGE_MS = 500;
/** Of each size the best of so many counts: a machine that is busy for a moment has no slow link. */
const PROBES = 3;
/** Probes of one link that are answered: more than are ever asked, and no way to fill the memory of who answers. */
export const PROBES_ANSWERED = 4 * PROBES;
/** Over slow links so much is under way as they carry in this time, in milliseconds, and a frame or two at least, in bytes. */
const WINDOW_MS = 60;
const LEAST_WINDOW = 1 << 15;

/** Bytes that may be under way over a link of this rate, in bytes a second; 0: any. */
export const windowOf = (rate: number): number =>
  rate < SLOW_RATE ? Math.max(LEAST_WINDOW, Math.round((rate * WINDOW_MS) / 1000)) : 0;

export class LinkProbe {
  readonly #send: (frame: Buffer) => void;
  readonly #onRate: (bytesPerSecond: number) => void;
  #bytes = SMALL_PROBE;
  #answers = 0;
  #best = 0;
  /** By performance.now(); undefined while none is under way. */
  #askedAt: number | undefined;

  /** @param onRate hears of the rate once, both ways together */
  constructor(send: (frame: Buffer) => void, onRate: (bytesPerSecond: number) => void) {
    this.#send = send;
    this.#onRate = onRate;
  }

  /** Sends the first one; the others follow as they come back. */
  ask(): void {
    this.#askedAt = performance.now();
    this.#send(encodeFrame({ kind: 'probe', answer: false }, new Uint8Array(this.#bytes)));
  }

  /** One has come back. @throws KasaneError PROTOCOL when none was sent */
  answered(): void {
    if (this.#askedAt === undefined) unasked();
    const seconds = (performance.now() - this.#askedAt) / 1000;
    this.#askedAt = undefined;
    this.#best = Math.max(this.#best, (2 * this.#bytes) / Math.max(seconds, 1e-6));
    this.#answers++;
    if (this.#answers === PROBES && this.#best >= LARGE_FROM) {
      this.#bytes = Math.min(MOST_PROBE, Math.round((this.#best * LARGE_MS) / 1000));
      this.#best = 0;
    }
    if (this.#answers < (this.#bytes > SMALL_PROBE ? 2 * PROBES : PROBES)) this.ask();
    else this.#onRate(this.#best);
  }
}

/** Rates are told others: who sends more answers than it was asked for would have this end flood them. */
export function unasked(): never {
  throw new KasaneError('PROTOCOL', 'an answer to a probe that was not sent');
}
