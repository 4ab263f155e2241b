/** How long the passes of a submission take on the device, by its own clock. */

/** In nanoseconds. */
export interface PassTime {
  /** From the first pass's beginning. */
  readonly start: number;
  readonly duration: number;
}

/** What one set of queries holds at most, and the alignment of what it writes. */
const MOST_QUERIES = 4096;
const ALIGNMENT = 256;

export class PassTimer {
  readonly #passes: number;
  readonly #sets: readonly GPUQuerySet[];
  readonly #resolved: GPUBuffer;
  readonly #readback: GPUBuffer;

  /** @throws RangeError when the device was opened without timestamp-query */
  constructor(device: GPUDevice, passes: number) {
    if (!device.features.has('timestamp-query')) {
      throw new RangeError(
        'profiling requires a device with timestamp-query, which was not requested for this one',
      );
    }
    this.#passes = passes;
    this.#sets = Array.from({ length: Math.ceil((2 * passes) / MOST_QUERIES) }, (_, set) =>
      device.createQuerySet({
        type: 'timestamp',
        count: Math.min(MOST_QUERIES, 2 * passes - set * MOST_QUERIES),
      }),
    );
    const size = Math.max(ALIGNMENT, 16 * passes);
    this.#resolved = device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SOURCE });
    this.#readback = device.createBuffer({ size, usage: MAP_READ | COPY_TARGET });
  }

  /** How to begin the pass of this number. */
  around(pass: number): GPUComputePassDescriptor {
    const [set, query] = [Math.floor((2 * pass) / MOST_QUERIES), (2 * pass) % MOST_QUERIES];
    const querySet = this.#sets[set]!;
    return {
      timestampWrites: { querySet, beginningOfPassWriteIndex: query, endOfPassWriteIndex: query + 1 },
    };
  }

  /** Behind the last pass. */
  resolve(encoder: GPUCommandEncoder): void {
    for (const [index, set] of this.#sets.entries()) {
      encoder.resolveQuerySet(set, 0, set.count, this.#resolved, index * MOST_QUERIES * 8);
    }
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#readback, 0, this.#resolved.size);
  }

  /** The times of each pass, once what `resolve` encoded was submitted. */
  async read(): Promise<PassTime[]> {
    await this.#readback.mapAsync(MODE_READ);
    const stamps = new BigInt64Array(this.#readback.getMappedRange().slice(0));
    this.#readback.unmap();
    return Array.from({ length: this.#passes }, (_, pass) => ({
      start: Number(stamps[2 * pass]! - stamps[0]!),
      duration: Number(stamps[2 * pass + 1]! - stamps[2 * pass]!),
    }));
  }

  destroy(): void {
    for (const set of this.#sets) set.destroy();
    this.#resolved.destroy();
    this.#readback.destroy();
  }
}

// The specification's numbers: Node has no globals of these names.
const MAP_READ = 0x1;
const COPY_SOURCE = 0x4;
const COPY_TARGET = 0x8;
const QUERY_RESOLVE = 0x200;
const MODE_READ = 0x1;
