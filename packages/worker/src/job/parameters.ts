/** The parameters of one job as they arrive: the newest version, and who waits for which. */

import { KasaneError } from '@kasane/protocol/errors';
import { Checksum } from '@kasane/protocol/internal/wire/checksum';
import {
  bytesOf,
  type ParametersHeader,
  type SharedParametersHeader,
} from '@kasane/protocol/internal/wire/frame';
import type { Arrival } from '../slots/slot.ts';

/** What it is told of a part: with a digest where it has travelled. */
type Part = Omit<ParametersHeader, 'kind'> | Omit<SharedParametersHeader, 'kind' | 'floats'>;

interface Waiter {
  readonly version: number;
  /** Whether it waits for all of it. */
  readonly whole: boolean;
  readonly resolve: (there: boolean) => void;
}

export class ParameterStore {
  #values: Float32Array;
  #version: number | undefined;
  #arriving = -1;
  #received = 0;
  readonly #checksum = new Checksum();
  /** Of a version that comes from the owners of its chunks, in any order: which are there. */
  #chunks: Uint8Array = new Uint8Array(0);
  #chunkFloats = 0;
  /** A version of which a part could not be had. */
  #lost = -1;
  /** Until a version begins again, what comes is the rest of one that was overtaken. */
  #isRewound = false;
  #closed = false;
  #waiters: Waiter[] = [];
  #onArrival: (arrival: Arrival) => void = () => {};

  constructor(parameterCount: number) {
    this.#values = new Float32Array(parameterCount);
  }

  /** Flat layout; whole only while `version` is not undefined. */
  get values(): Float32Array {
    return this.#values;
  }

  /**
   * From now on versions arrive in this memory, with what has come of the present one.
   * @param onArrival is told of each part, and of none when a version begins
   */
  moveTo(values: Float32Array, onArrival: (arrival: Arrival) => void): void {
    values.set(this.#values);
    this.#values = values;
    this.#onArrival = onArrival;
  }

  /** The version in `values`; undefined while one is arriving. */
  get version(): number | undefined {
    return this.#version;
  }

  /** What is there of the newest version of which anything has come; of version -1 before. */
  get newest(): Arrival {
    return { version: this.#arriving, floats: this.#received };
  }

  /**
   * Takes `floats` floats of a version; `fill` writes them where it is told to, or returns false when they cannot be had any
   * more, since a later version is on its way. Parts of one version arrive in order, versions ascend; some may be left out.
   * @throws KasaneError PROTOCOL when the part does not fit the model, or the whole does not have the digest that came with it
   */
  receive(header: Part, floats: number, fill: (into: Uint8Array) => boolean): void {
    const { version, offset, total } = header;
    const end = offset + floats;
    if (total !== this.values.length || !Number.isInteger(end) || end > total) {
      throw new KasaneError(
        'PROTOCOL',
        `parameters ${offset} to ${end} of ${total}; the model has ${this.values.length}`,
      );
    }
    // The rest of a version that a newer one has overtaken, on the way between workers.
    if (offset > 0 && (version < this.#arriving || this.#isRewound)) return;
    if (version !== this.#arriving || offset === 0) {
      this.#isRewound = false;
      this.#arriving = version;
      this.#received = 0;
      this.#chunkFloats = 0;
      this.#checksum.reset();
      this.#version = undefined;
      this.#onArrival(this.newest);
    }
    if (this.#lost === version) return;
    if (offset !== this.#received)
      throw new KasaneError('PROTOCOL', `parameters start at ${offset}, but ${this.#received} was expected`);
    const part = bytesOf(this.values.subarray(offset, end));
    if (!fill(part)) {
      this.#lost = version;
      return;
    }
    if ('digest' in header && this.#checksum.update(part).value !== header.digest)
      throw new KasaneError(
        'PROTOCOL',
        `parameters of version ${version}: their digest does not match the one sent with them`,
      );
    this.#reached(version, end);
  }

  /** Takes a chunk of a version from its owner. Chunks of one version come in any order; of an earlier version none is taken. */
  receiveChunk(version: number, offset: number, payload: Uint8Array, chunkFloats: number): void {
    const total = this.values.length;
    const floats = payload.length / 4;
    if (offset % chunkFloats !== 0 || floats !== Math.min(chunkFloats, total - offset))
      throw new KasaneError('PROTOCOL', `a chunk of ${floats} parameters at ${offset} of ${total}`);
    if (version < this.#arriving || version === this.#version) return;
    if (version !== this.#arriving || chunkFloats !== this.#chunkFloats) {
      this.#arriving = version;
      this.#received = 0;
      this.#version = undefined;
      this.#chunkFloats = chunkFloats;
      this.#chunks = new Uint8Array(Math.ceil(total / chunkFloats));
      this.#onArrival(this.newest);
    }
    bytesOf(this.values.subarray(offset, offset + floats)).set(payload);
    this.#chunks[offset / chunkFloats] = 1;
    const missing = this.#chunks.indexOf(0, this.#received / chunkFloats);
    const end = missing < 0 ? total : missing * chunkFloats;
    if (end > this.#received) this.#reached(version, end);
  }

  /** What has come of versions after this one is void: it is computed with again, and sent again. */
  rewind(version: number): void {
    if (this.#arriving <= version) return;
    this.#isRewound = true;
    this.#arriving = -1;
    this.#received = 0;
    this.#chunkFloats = 0;
    this.#version = undefined;
  }

  /** The floats of a version up to `end` are there. */
  #reached(version: number, end: number): void {
    const isWhole = end === this.values.length;
    this.#received = end;
    if (isWhole) this.#version = version;
    this.#onArrival(this.newest);
    const isDue = (waiter: Waiter) => waiter.version <= version && (isWhole || !waiter.whole);
    const due = this.#waiters.filter(isDue);
    if (due.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => !isDue(waiter));
    for (const waiter of due) waiter.resolve(waiter.version === version);
  }

  /** True once exactly this version is there; false when it is past, or the job has ended. */
  async wait(version: number): Promise<boolean> {
    if (this.#closed) return false;
    if (this.#version !== undefined && version <= this.#version) return version === this.#version;
    return new Promise((resolve) => this.#waiters.push({ version, whole: true, resolve }));
  }

  /** True once the first part of this version is there, or more; false when it is past, or the job has ended. */
  async begun(version: number): Promise<boolean> {
    if (this.#closed) return false;
    if (version < this.#arriving) return false;
    if (version === this.#arriving && this.#received > 0) return true;
    return new Promise((resolve) => this.#waiters.push({ version, whole: false, resolve }));
  }

  /** Nothing more will come: everyone who waits hears so. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters) waiter.resolve(false);
    this.#waiters = [];
  }
}
