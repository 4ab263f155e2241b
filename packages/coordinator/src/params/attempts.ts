/**
 * The gradients of a step while they arrive: each attempt at a shard fills a buffer of its own, or the shared memory of its worker. The
 * number of buffers is limited. When none is left, the worker that has the most loses one, so no worker can starve the others.
 */
import { KasaneError } from '@kasane/protocol/errors';
import { bytesOf } from '@kasane/protocol/internal/wire/frame';
import type { GradientPlace } from '@kasane/protocol/internal/wire/shared-memory';

/** Buffers beyond one per shard, for second attempts that run while the first has not been given up. */
export const SPARE_BUFFERS = 2;
/** How often an attempt may send its whole gradient. */
const MOST_SENT = 2;
/** Time for which an attempt keeps its buffer, however slowly its gradient arrives, in milliseconds. */
const SETTLED_MS = 2_000;

/** Where part of a gradient is: in received bytes, or in memory that is read when the gradient is added. */
export type GradientSource = Uint8Array | Pick<GradientPlace, 'read'>;

/**
 * State of an attempt's gradient: complete; incomplete because its worker has not sent all parts; given up for lack of buffers; or sent
 * under an outdated distribution of parts.
 */
export type Arrived = 'whole' | 'missing' | 'no room' | 'elsewhere';

/** What one attempt at a shard has sent. */
export interface Attempt {
  readonly worker: string;
  readonly shard: number;
  readonly attempt: number;
  /** A buffer of ours, or the worker's shared memory. */
  gradient: Float32Array | Pick<GradientPlace, 'read'>;
  /** Floats received, including repeated ones. */
  floats: number;
  /** Ranges of floats received, as [offset, end). */
  readonly ranges: [number, number][];
  /** Floats received of each part. */
  readonly received: Int32Array;
  /** When it began, by performance.now(). */
  readonly beganAt: number;
}

export interface AttemptSizes {
  /** Floats of a gradient, */
  readonly floats: number;
  /** of each of its parts, */
  readonly partFloats: number;
  /** and the limit of buffers. */
  readonly buffers: number;
}

export class Attempts {
  readonly #sizes: AttemptSizes;
  /** Allocated on demand: a shard that is computed once needs one. */
  readonly #free: Float32Array[] = [];
  #buffers = 0;
  /** Attempts under way, by shard. */
  readonly #underWay = new Map<number, Attempt[]>();
  /** Attempts of this step that got no buffer or lost it. */
  readonly #givenUp = new Set<string>();

  constructor(sizes: AttemptSizes) {
    this.#sizes = sizes;
  }

  /** The first attempt at a shard for which a whole part has arrived. */
  withPart(shard: number, part: number, floats: number): Attempt | undefined {
    return this.#underWay.get(shard)?.find(({ received }) => received[part] === floats);
  }

  /**
   * Takes floats [offset, end) of an attempt. Undefined: there is no buffer for them.
   * @throws KasaneError PROTOCOL if the same floats are sent again and again, or to several places
   */
  take(
    worker: string,
    { shard, attempt, offset }: { readonly shard: number; readonly attempt: number; readonly offset: number },
    end: number,
    source: GradientSource,
  ): Attempt | undefined {
    if (this.#isGivenUp(worker, shard, attempt)) return undefined;
    const one = this.#find(worker, shard, attempt) ?? this.#begin(worker, shard, attempt, source);
    if (!one || !this.#put(one, offset, end, source)) {
      this.#givenUp.add(keyOf(worker, shard, attempt));
      if (one) this.release(shard, [one]);
      return undefined;
    }
    one.floats += end - offset;
    if (one.floats > MOST_SENT * this.#sizes.floats)
      throw new KasaneError(
        'PROTOCOL',
        `gradient of shard ${shard}: attempt ${attempt} keeps sending the same parts`,
      );
    one.ranges.push([offset, end]);
    const { partFloats } = this.#sizes;
    for (let part = Math.floor(offset / partFloats); part * partFloats < end; part++)
      one.received[part]! += Math.min(end, (part + 1) * partFloats) - Math.max(offset, part * partFloats);
    return one;
  }

  /** Call when an attempt declares its gradient complete. If it is, other attempts at the shard are given up; if not, this one is. */
  end(worker: string, shard: number, attempt: number): Attempt | Exclude<Arrived, 'whole'> {
    if (this.#isGivenUp(worker, shard, attempt)) return 'no room';
    const one = this.#find(worker, shard, attempt);
    if (!one) return 'missing';
    let reached = 0;
    for (const [start, end] of one.ranges.sort((a, b) => a[0] - b[0])) {
      if (start !== reached) break;
      reached = end;
    }
    if (reached !== this.#sizes.floats) {
      this.release(shard, [one]);
      return 'missing';
    }
    const others = this.#underWay.get(shard)!.filter((other) => other !== one);
    this.release(shard, others);
    this.#underWay.delete(shard);
    return one;
  }

  /** Attempts under way. */
  get all(): Attempt[] {
    return [...this.#underWay.values()].flat();
  }

  /** A worker has left: frees the buffers of its attempts. */
  drop(worker: string): void {
    for (const [shard, list] of [...this.#underWay])
      this.release(
        shard,
        list.filter((one) => one.worker === worker),
      );
  }

  /** Call at the end of the step. */
  clear(): void {
    for (const [shard, list] of [...this.#underWay]) this.release(shard, list);
    this.#givenUp.clear();
  }

  /** Frees the gradient of an attempt. */
  give({ gradient }: Attempt): void {
    if (gradient instanceof Float32Array) this.#free.push(gradient);
  }

  /** Gives up attempts at a shard. */
  release(shard: number, attempts: readonly Attempt[]): void {
    const rest = this.#underWay.get(shard)?.filter((one) => !attempts.includes(one)) ?? [];
    if (rest.length > 0) this.#underWay.set(shard, rest);
    else this.#underWay.delete(shard);
    for (const one of attempts) this.give(one);
  }

  #isGivenUp(worker: string, shard: number, attempt: number): boolean {
    return this.#givenUp.size > 0 && this.#givenUp.has(keyOf(worker, shard, attempt));
  }

  #find(worker: string, shard: number, attempt: number): Attempt | undefined {
    return this.#underWay.get(shard)?.find((one) => one.worker === worker && one.attempt === attempt);
  }

  #begin(worker: string, shard: number, attempt: number, source: GradientSource): Attempt | undefined {
    const gradient = source instanceof Uint8Array ? this.#buffer(worker) : source;
    if (!gradient) return undefined;
    const received = new Int32Array(Math.ceil(this.#sizes.floats / this.#sizes.partFloats));
    const beganAt = performance.now();
    const one: Attempt = { worker, shard, attempt, gradient, floats: 0, ranges: [], received, beganAt };
    this.#underWay.set(shard, [...(this.#underWay.get(shard) ?? []), one]);
    return one;
  }

  /** Stores floats [offset, end) of the attempt's gradient. False if there is no buffer for them. */
  #put(one: Attempt, offset: number, end: number, source: GradientSource): boolean {
    const { gradient } = one;
    if (gradient === source) return true;
    if (gradient instanceof Float32Array) {
      const into = gradient.subarray(offset, end);
      if (source instanceof Uint8Array) bytesOf(into).set(source);
      else source.read(offset, into);
      return true;
    }
    if (!(source instanceof Uint8Array))
      throw new KasaneError('PROTOCOL', `attempt ${one.attempt} has put its gradient in two places`);
    // The worker's shared memory is full: move what it put there next to what it sends now.
    const buffer = this.#buffer(one.worker);
    if (!buffer) return false;
    for (const [start, stop] of one.ranges) gradient.read(start, buffer.subarray(start, stop));
    one.gradient = buffer;
    return this.#put(one, offset, end, source);
  }

  /** A buffer for an attempt of this worker. */
  #buffer(worker: string): Float32Array | undefined {
    const spare = this.#free.pop();
    if (spare) return spare;
    if (this.#buffers < this.#sizes.buffers) {
      this.#buffers++;
      return new Float32Array(this.#sizes.floats);
    }
    const loser = this.#loser(worker);
    if (!loser) return undefined;
    this.#givenUp.add(keyOf(loser.worker, loser.shard, loser.attempt));
    this.release(loser.shard, [loser]);
    return this.#free.pop();
  }

  /**
   * Picks the attempt that loses its buffer to `worker`: the slowest of the worker with the most buffers, if that has more than `worker`
   * would have; otherwise the slowest of all others that had time to begin. Speed matters here, but only for who computes.
   */
  #loser(worker: string): Attempt | undefined {
    const now = performance.now();
    const held = [...this.#underWay.values()]
      .flat()
      .filter(({ gradient }) => gradient instanceof Float32Array)
      .map((one) => ({ one, ageMs: now - one.beganAt, speed: one.floats / Math.max(1, now - one.beganAt) }))
      .sort((a, b) => a.speed - b.speed);
    const counts = new Map<string, number>();
    for (const { one } of held) counts.set(one.worker, (counts.get(one.worker) ?? 0) + 1);
    const most = Math.max(0, ...counts.values());
    const isGreedy = most > (counts.get(worker) ?? 0) + 1;
    return held.find(({ one, ageMs }) =>
      isGreedy ? counts.get(one.worker) === most : one.worker !== worker && ageMs > SETTLED_MS,
    )?.one;
  }
}

const keyOf = (worker: string, shard: number, attempt: number) => `${shard} ${attempt} ${worker}`;
