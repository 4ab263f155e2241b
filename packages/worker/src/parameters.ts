/** The parameters of one job as they arrive: the newest version, and who waits for which. */
import { Checksum } from '@kasane/protocol/checksum';
import { KasaneError } from '@kasane/protocol/errors';
import { bytesOf, type ParametersHeader, type SharedParametersHeader } from '@kasane/protocol/frame';

/** What it is told of a part: with a digest where it has travelled. */
type Part = Omit<ParametersHeader, 'kind'> | Omit<SharedParametersHeader, 'kind' | 'floats'>;

export class ParameterStore {
  #values: Float32Array;
  #version: number | undefined;
  #arriving = -1;
  #received = 0;
  readonly #checksum = new Checksum();
  /** A version of which a part could not be had. */
  #lost = -1;
  #closed = false;
  #waiters: { version: number; resolve: (there: boolean) => void }[] = [];

  constructor(parameterCount: number) {
    this.#values = new Float32Array(parameterCount);
  }

  /** Flat layout; whole only while `version` is not undefined. */
  get values(): Float32Array {
    return this.#values;
  }

  /** From now on versions arrive in this memory, with what has come of the present one. */
  moveTo(values: Float32Array): void {
    values.set(this.#values);
    this.#values = values;
  }

  /** The version in `values`; undefined while one is arriving. */
  get version(): number | undefined {
    return this.#version;
  }

  /** The newest version of which anything has come; -1 before. */
  get newest(): number {
    return this.#arriving;
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
    if (version !== this.#arriving || offset === 0) {
      this.#arriving = version;
      this.#received = 0;
      this.#checksum.reset();
      this.#version = undefined;
    }
    if (this.#lost === version) return;
    if (offset !== this.#received)
      throw new KasaneError('PROTOCOL', `parameters from ${offset} where ${this.#received} come next`);
    const part = bytesOf(this.values.subarray(offset, end));
    if (!fill(part)) {
      this.#lost = version;
      return;
    }
    if ('digest' in header && this.#checksum.update(part).value !== header.digest)
      throw new KasaneError(
        'PROTOCOL',
        `parameters of version ${version}: their digest is not the one they came with`,
      );
    this.#received = end;
    if (end < total) return;
    this.#version = version;
    const due = this.#waiters.filter((waiter) => waiter.version <= version);
    this.#waiters = this.#waiters.filter((waiter) => waiter.version > version);
    for (const waiter of due) waiter.resolve(waiter.version === version);
  }

  /** True once exactly this version is there; false when it is past, or the job has ended. */
  async wait(version: number): Promise<boolean> {
    if (this.#closed) return false;
    if (this.#version !== undefined && version <= this.#version) return version === this.#version;
    return new Promise((resolve) => this.#waiters.push({ version, resolve }));
  }

  /** Nothing more will come: everyone who waits hears so. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiters) waiter.resolve(false);
    this.#waiters = [];
  }
}
