/**
 * The gradients of a step while they arrive: each attempt at a shard fills a buffer of its own, or the place in shared memory where its
 * worker puts it. Buffers are few. Where there is none left, the worker that has most of them loses one, so nobody keeps them from others.
 */
import { KasaneError } from '@kasane/protocol/errors';
import { bytesOf } from '@kasane/protocol/internal/wire/frame';
import type { GradientPlace } from '@kasane/protocol/internal/wire/shared-memory';

/** Buffers beyond one a shard, for attempts that run a second time while the first has not been given up. */
export const SPARE_BUFFERS = 2;
/** How often an attempt may send its whole gradient. */
const MOST_SENT = 2;
/** For so long, in milliseconds, an attempt keeps its buffer, however slowly its gradient comes. */
const SETTLED_MS = 2_000;

/** Where part of a gradient is: in the bytes that came, or in a place that is read when it is added. */
export type GradientSource = Uint8Array | Pick<GradientPlace, 'read'>;

/**
 * Whether the gradient of an attempt is here: whole, with parts that its worker has not sent, given up because there was no room, or sent to
 * where nobody needs it any more.
 */
export type Arrived = 'whole' | 'missing' | 'no room' | 'elsewhere';

/** What one attempt at a shard has sent. */
export interface Attempt {
  readonly worker: string;
  readonly shard: number;
  readonly attempt: number;
  /** A buffer of ours, or the place where the worker has put it. */
  gradient: Float32Array | Pick<GradientPlace, 'read'>;
  /** Floats received, those that came twice included. */
  floats: number;
  /** Ranges of floats received, as [offset, end). */
  readonly ranges: [number, number][];
  /** How many of them lie in each part. */
  readonly received: Int32Array;
  /** When it began, by performance.now(). */
  readonly beganAt: number;
}

export interface AttemptSizes {
  /** Floats of a gradient, */
  readonly floats: number;
  /** of each of its parts, */
  readonly partFloats: number;
  /** and buffers that may be made. */
  readonly buffers: number;
}

export class Attempts {
  readonly #sizes: AttemptSizes;
  /** Made when first needed: a shard that is computed once takes one. */
  readonly #free: Float32Array[] = [];
  #buffers = 0;
  /** Attempts under way, by shard. */
  readonly #underWay = new Map<number, Attempt[]>();
  /** Those of the step that have had no buffer, or lost it. */
  readonly #givenUp = new Set<string>();

  constructor(sizes: AttemptSizes) {
    this.#sizes = sizes;
  }

  /** The first attempt at a shard of which a whole part has come. */
  withPart(shard: number, part: number, floats: number): Attempt | undefined {
    return this.#underWay.get(shard)?.find(({ received }) => received[part] === floats);
  }

  /**
   * Takes floats [offset, end) of an attempt. Undefined: there is no room for them.
   * @throws KasaneError PROTOCOL when it sends the same again and again, or to several places
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

  /** An attempt says that its gradient is complete. If it is, the others at the shard are given up; if not, it is. */
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

  /** Those under way. */
  get all(): Attempt[] {
    return [...this.#underWay.values()].flat();
  }

  /** A worker is gone: gives back the buffers of its attempts. */
  drop(worker: string): void {
    for (const [shard, list] of [...this.#underWay])
      this.release(
        shard,
        list.filter((one) => one.worker === worker),
      );
  }

  /** The step is over. */
  clear(): void {
    for (const [shard, list] of [...this.#underWay]) this.release(shard, list);
    this.#givenUp.clear();
  }

  /** The gradient of an attempt is not needed any more. */
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

  /** Sees to it that floats [offset, end) are where the attempt's gradient is. False when there is no buffer for them. */
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
    // The worker's memory is full: what it put there before comes to what it sends now.
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
   * Whose buffer goes to an attempt of `worker`: the slowest of the worker that has most, and more than `worker` would have then; else the
   * slowest of all others that had time to begin. Speed decides here, but only about who computes.
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
