/** The arriving parameters of one job: the newest version, and who waits for which. */

import { KasaneError } from '@kasane/protocol/errors';
import { Checksum } from '@kasane/protocol/internal/wire/checksum';
import {
  bytesOf,
  type ChangesHeader,
  type ParametersHeader,
  type SharedParametersHeader,
} from '@kasane/protocol/internal/wire/frame';
import type { FloatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import type { Arrival } from '../slots/slot.ts';

/** Header of a part; with a digest if it was sent over a link. */
type Part = Omit<ParametersHeader, 'kind'> | Omit<SharedParametersHeader, 'kind' | 'floats'>;

interface Waiter {
  readonly version: number;
  /** Whether it waits for the complete version. */
  readonly whole: boolean;
  readonly resolve: (there: boolean) => void;
}

/** Options of a job whose versions are sent as changes to the previous version. */
export interface ChangeOptions {
  readonly codec: FloatCodec;
  /** Changes refer to a version that is missing: everything is ignored until this version, or a later one, arrives whole. */
  readonly onMissing: (version: number) => void;
}

interface Chunk {
  readonly version: number;
  readonly offset: number;
  readonly payload: Uint8Array;
  readonly chunkFloats: number;
}

/** Number of versions whose changes may wait; if more arrive early, a later version is requested whole. */
const EARLY_VERSIONS = 4;

export class ParameterStore {
  readonly #changes: ChangeOptions | undefined;
  #values: Float32Array;
  #version: number | undefined;
  #arriving = -1;
  #received = 0;
  readonly #checksum = new Checksum();
  /** For a version sent by the owners of its chunks, in any order: which chunks have arrived. */
  #chunks: Uint8Array = new Uint8Array(0);
  #chunkFloats = 0;
  /** For changes sent by owners: the version of each chunk; unused while #chunkFloats is 0. */
  #held: Float64Array = new Float64Array(0);
  /** Changes waiting for their base version. */
  #early: Chunk[] = [];
  /** A version with a part that could not be read. */
  #lost = -1;
  /** Whether the remaining parts of a replaced version are to be ignored, until a version begins again. */
  #isRewound = false;
  #closed = false;
  #waiters: Waiter[] = [];
  #onArrival: (arrival: Arrival) => void = () => {};

  /** @param changes Default: versions arrive whole, also from the owners of chunks */
  constructor(parameterCount: number, changes?: ChangeOptions) {
    this.#changes = changes;
    this.#values = new Float32Array(parameterCount);
  }

  /** Flat layout; complete only while `version` is defined. */
  get values(): Float32Array {
    return this.#values;
  }

  /**
   * From now on, versions arrive in this memory, including what has arrived of the current one.
   * @param onArrival called for each part, and with none when a version begins
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

  /** What has arrived of the newest version; version -1 before the first. */
  get newest(): Arrival {
    return { version: this.#arriving, floats: this.#received };
  }

  /**
   * Receives `floats` floats of a version. `fill` writes them to the given array, or returns false if they have already been overwritten
   * by a later version. Parts of one version arrive in order, versions ascend, and both may be skipped.
   * @throws KasaneError PROTOCOL if the part does not fit the model, or the complete version does not match its digest
   */
  receive(header: Part, floats: number, fill: (into: Float32Array) => boolean): void {
    if (header.offset === 0) this.#lost = -1;
    this.#receive(header, floats, fill);
    this.#takeEarly();
  }

  /** Receives part of the changes from one version to the next. @throws KasaneError PROTOCOL like `receive` */
  receiveChanges(header: ChangesHeader, payload: Uint8Array): void {
    const { version, offset } = header;
    const { codec, onMissing } = this.#changesOf();
    const isMissing = offset === 0 && this.#version !== version - 1;
    if (offset === 0) this.#lost = isMissing ? version : -1;
    this.#receive(header, codec.count(payload, offset), (into) => {
      codec.add(payload, offset, into);
      return true;
    });
    if (isMissing) onMissing(version);
    this.#takeEarly();
  }

  #receive(header: Part, floats: number, fill: (into: Float32Array) => boolean): void {
    const { version, offset, total } = header;
    const end = offset + floats;
    if (total !== this.values.length || !Number.isInteger(end) || end > total) {
      throw new KasaneError(
        'PROTOCOL',
        `parameters ${offset} to ${end} of ${total}; the model has ${this.values.length}`,
      );
    }
    // The rest of a version that a newer one has overtaken on its way between workers.
    if (offset > 0 && (version < this.#arriving || this.#isRewound)) return;
    if (version !== this.#arriving || offset === 0) {
      this.#isRewound = false;
      this.#chunkFloats = 0;
      this.#checksum.reset();
      this.#begin(version);
    }
    if (this.#lost === version) return;
    if (offset !== this.#received)
      throw new KasaneError('PROTOCOL', `parameters start at ${offset}, but ${this.#received} was expected`);
    const part = this.values.subarray(offset, end);
    if (!fill(part)) {
      this.#lost = version;
      return;
    }
    if ('digest' in header && this.#checksum.update(bytesOf(part)).value !== header.digest)
      throw new KasaneError(
        'PROTOCOL',
        `parameters of version ${version}: their digest does not match the one sent with them`,
      );
    this.#reached(version, end);
  }

  /**
   * Receives a chunk of a version from its owner, whole or as changes. Chunks of one version arrive in any order; those of earlier
   * versions are ignored.
   * @throws KasaneError PROTOCOL if the chunk does not fit the model
   */
  receiveChunk(version: number, offset: number, payload: Uint8Array, chunkFloats: number): void {
    const total = this.values.length;
    const floats = this.#changes ? this.#changes.codec.count(payload, offset) : payload.length / 4;
    if (offset % chunkFloats !== 0 || floats !== Math.min(chunkFloats, total - offset))
      throw new KasaneError('PROTOCOL', `a chunk of ${floats} parameters at ${offset} of ${total}`);
    if (this.#changes) this.#receiveChange({ version, offset, payload, chunkFloats });
    else this.#receiveWhole({ version, offset, payload, chunkFloats });
  }

  #receiveWhole({ version, offset, payload, chunkFloats }: Chunk): void {
    if (version < this.#arriving || version === this.#version) return;
    if (version !== this.#arriving || chunkFloats !== this.#chunkFloats) {
      this.#chunkFloats = chunkFloats;
      this.#chunks = new Uint8Array(Math.ceil(this.values.length / chunkFloats));
      this.#begin(version);
    }
    bytesOf(this.values).set(payload, 4 * offset);
    this.#chunks[offset / chunkFloats] = 1;
    this.#reachedTo(version, this.#chunks.indexOf(0, this.#received / chunkFloats));
  }

  /** Chunks may be of different versions for a while: changes apply to the chunk's own version. */
  #receiveChange(change: Chunk): void {
    const { version, offset, payload, chunkFloats } = change;
    if (chunkFloats !== this.#chunkFloats) {
      if (this.#version === undefined) {
        // The chunks of other owners have different boundaries, so nothing is known about what is here.
        if (this.#chunkFloats > 0) this.#miss(version - 1);
        this.#keep(change);
        return;
      }
      this.#chunkFloats = chunkFloats;
      this.#held = new Float64Array(Math.ceil(this.values.length / chunkFloats)).fill(this.#version);
    }
    const held = this.#held[offset / chunkFloats]!;
    if (version <= held) return;
    if (version > held + 1) {
      this.#miss(version - 1);
      this.#keep(change);
      return;
    }
    this.#changesOf().codec.add(
      payload,
      offset,
      this.values.subarray(offset, Math.min(offset + chunkFloats, this.values.length)),
    );
    this.#held[offset / chunkFloats] = version;
    if (version > this.#arriving) this.#begin(version);
    if (version !== this.#arriving) return;
    const first = this.#received / chunkFloats;
    const missing = this.#held.subarray(first).findIndex((one) => one < version);
    this.#reachedTo(version, missing < 0 ? -1 : first + missing);
  }

  /** The current state is unusable: requests a whole version of at least this number. */
  #miss(version: number): void {
    const least = Math.max(version, this.#arriving);
    this.#chunkFloats = 0;
    this.#received = 0;
    this.#version = undefined;
    this.#changesOf().onMissing(least);
  }

  #keep({ payload, ...change }: Chunk): void {
    const most = EARLY_VERSIONS * Math.ceil(this.values.length / change.chunkFloats);
    if (this.#early.length >= most) this.#early = [];
    this.#early.push({ ...change, payload: Uint8Array.from(payload) });
  }

  /** A version is complete: applies the changes that waited for it. */
  #takeEarly(): void {
    if (this.#version === undefined) return;
    for (const change of this.#early.splice(0)) this.#receiveChange(change);
  }

  #changesOf(): ChangeOptions {
    if (!this.#changes) throw new KasaneError('PROTOCOL', 'changes of parameters that come whole');
    return this.#changes;
  }

  #begin(version: number): void {
    this.#arriving = version;
    this.#received = 0;
    this.#version = undefined;
    this.#onArrival(this.newest);
  }

  /** The floats of a version before this chunk have arrived; all of them if it is -1. */
  #reachedTo(version: number, missing: number): void {
    const end = missing < 0 ? this.values.length : missing * this.#chunkFloats;
    if (end > this.#received) this.#reached(version, end);
  }

  /** Discards everything received after this version: it is recomputed, and sent again. */
  rewind(version: number): void {
    this.#early = [];
    if (this.#arriving <= version) return;
    this.#isRewound = true;
    this.#arriving = -1;
    this.#received = 0;
    this.#chunkFloats = 0;
    this.#version = undefined;
  }

  /** The floats of a version up to `end` have arrived. */
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

  /** True once exactly this version has arrived; false if it has been replaced, or the job has ended. */
  async wait(version: number): Promise<boolean> {
    if (this.#closed) return false;
    if (this.#version !== undefined && version <= this.#version) return version === this.#version;
    return new Promise((resolve) => this.#waiters.push({ version, whole: true, resolve }));
  }

  /** True once at least the first part of this version has arrived; false if it has been replaced, or the job has ended. */
  async begun(version: number): Promise<boolean> {
    if (this.#closed) return false;
    if (version < this.#arriving) return false;
    if (version === this.#arriving && this.#received > 0) return true;
    return new Promise((resolve) => this.#waiters.push({ version, whole: false, resolve }));
  }

  /** Nothing more will arrive: ends all waits. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters) waiter.resolve(false);
    this.#waiters = [];
  }
}
