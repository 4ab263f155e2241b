/**
 * How parameters reach workers and gradients come back: through shared memory if both sides can open it, otherwise as frames on the data
 * link. One per run.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KasaneError } from '@kasane/protocol/errors';
import type { JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import { Checksum } from '@kasane/protocol/internal/wire/checksum';
import {
  bytesOf,
  encodeFrame,
  type GradientHeader,
  type SharedGradientHeader,
} from '@kasane/protocol/internal/wire/frame';
import type { FloatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import { SharedGradients, SharedParameters } from '@kasane/protocol/internal/wire/shared-memory';
import type { Job } from '@kasane/protocol/job';
import { FRAME_PAYLOAD_BYTES } from '@kasane/protocol/limits';
import { AVERAGE } from '@kasane/tensor/optim/updater';
import type { ConnectedWorker } from '../workers.ts';
import type { GradientSource } from './attempts.ts';
import { type EncodedVersion, encodedOnce, VersionEncoder } from './encoded-version.ts';
import type { ParameterServer } from './parameter-server.ts';

/**
 * Bytes of a version after which workers with shared memory are notified. Each notification wakes a thread per worker, which takes a core
 * from the computation. The first comes early, since nobody computes until then; the next ones whenever three times as much is ready,
 * since a network's first layers have few parameters and much to compute.
 */
const FIRST_TOLD_BYTES = 1 << 19;
const MOST_TOLD_BYTES = 16 << 20;
/** Floats per frame of changes. */
const CHANGED_FLOATS = FRAME_PAYLOAD_BYTES / 4;
/** Floats written to shared memory per turn of the event loop. */
const STAGED_FLOATS = 1 << 20;

export class Exchange {
  readonly #id: string;
  readonly #shards: number;
  readonly #parameters: ParameterServer;
  /** Encoding of gradients and changes. */
  readonly #codec: FloatCodec;
  #shared: SharedParameters | undefined;
  /** By worker that was offered shared memory; `opened` once the worker has confirmed that it uses it. */
  readonly #gradients = new Map<string, { memory: SharedGradients; opened: boolean }>();
  /** Memory of workers that left during this step, with complete gradients that have yet to be added. */
  readonly #left: SharedGradients[] = [];
  #version = -1;
  readonly #encoder = new VersionEncoder();
  /** The current version as frames of floats, encoded when the first worker needs them. */
  #encoded: EncodedVersion | undefined;
  /** Its difference from the previous version, */
  readonly #changesEncoder = new VersionEncoder();
  #changes: EncodedVersion | undefined;
  /** which was the last one sent as frames to these workers; and the workers that have the current one. */
  #before = new Set<string>();
  #sent = new Set<string>();
  /** Buffer for decoded gradients. */
  #decoded = new Float32Array(0);
  /** Floats of the current version that workers were notified of. */
  #toldFloats = 0;
  /** Workers with shared memory that are notified as parts of the current version become ready. */
  #told: readonly ConnectedWorker[] = [];
  /** Averages of the current version, while they are evaluated. */
  #averages: EncodedVersion | undefined;
  #closed = false;

  constructor(id: string, job: Job, parameters: ParameterServer, codec: FloatCodec) {
    this.#id = id;
    this.#shards = job.spec.training.shards;
    this.#parameters = parameters;
    this.#codec = codec;
    this.#shared = SharedParameters.create(parameters.parameters.length);
  }

  /** Shared memory to offer a joining worker, for JobOpened. */
  offer(worker: string): Pick<JobOpened, 'parametersMemory' | 'gradientsMemory'> {
    this.leave(worker);
    const memory = this.#shared && SharedGradients.create(this.#parameters.parameters.length, this.#shards);
    if (memory) this.#gradients.set(worker, { memory, opened: false });
    return { parametersMemory: memory && this.#shared?.address, gradientsMemory: memory?.address };
  }

  /** The worker has opened the memory it was offered. */
  opened(worker: string): void {
    const offered = this.#gradients.get(worker);
    if (offered) offered.opened = true;
  }

  /**
   * Releases the memory of a leaving worker, unless it holds gradients of this step. A step may last for days, so memory cannot wait for
   * its end.
   */
  leave(worker: string): void {
    this.#before.delete(worker);
    this.#sent.delete(worker);
    const offered = this.#gradients.get(worker);
    if (!offered) return;
    this.#gradients.delete(worker);
    const { sources } = this.#parameters;
    for (const memory of [...this.#left.splice(0), offered.memory]) {
      if (memory.places.some((place) => sources.has(place))) this.#left.push(memory);
      else memory.close();
    }
  }

  /**
   * Begins a version, once the gradients of the previous one have been added. Follow with `part` for each part as it becomes ready; those
   * of `workers` that use shared memory are notified.
   */
  begin(version: number, workers: readonly ConnectedWorker[]): void {
    this.#before = version === this.#version + 1 ? this.#sent : new Set();
    this.#sent = new Set();
    this.#changes?.release();
    this.#changes = undefined;
    this.#version = version;
    this.#forgetLeft();
    this.#toldFloats = 0;
    this.#encoded?.release();
    this.#encoded = undefined;
    this.#averages?.release();
    this.#averages = undefined;
    this.#told = workers.filter(({ id }) => this.isNear(id));
    this.#share((memory) => memory.begin(version));
  }

  /** Floats [start, end) of the begun version are ready. Call in order. */
  part(start: number, end: number): void {
    const bytes = bytesOf(this.#parameters.parameters.subarray(start, end));
    if (!this.#share((memory) => memory.write(this.#version, 4 * start, bytes))) return;
    const news = 4 * (end - this.#toldFloats);
    const enough = Math.min(MOST_TOLD_BYTES, Math.max(FIRST_TOLD_BYTES, 3 * 4 * this.#toldFloats));
    if (this.#told.length > 0 && (news >= enough || end === this.#parameters.parameters.length))
      this.#tell(end);
  }

  /** Notifies workers of all floats up to `end`. */
  #tell(end: number): void {
    const start = this.#toldFloats;
    const news = this.#announcement(start, end);
    for (const worker of this.#told) {
      if (start === 0) worker.publish(this.#id, () => news);
      else worker.publishMore(this.#id, news);
    }
    this.#toldFloats = end;
  }

  /** Announces floats [start, end) of the current version in shared memory. */
  #announcement(start: number, end: number): EncodedVersion {
    const header = { ...this.#header(start), floats: end - start };
    return encodedOnce([encodeFrame({ kind: 'sharedParameters', ...header }, new Uint8Array(0))]);
  }

  /**
   * Writes the current version to shared memory, a part per turn of the event loop, for `publish` to announce. Workers must not be
   * notified before.
   */
  async stage(): Promise<void> {
    const { version, parameters } = this.#parameters;
    if (this.#version === version) return;
    this.begin(version, []);
    for (let start = 0; start < parameters.length && !this.#closed; start += STAGED_FLOATS) {
      this.part(start, Math.min(start + STAGED_FLOATS, parameters.length));
      await nextTurn();
    }
  }

  /**
   * Sends the parameter server's current version to those of `workers` that were not notified of its parts: as changes to those that were
   * last sent the previous version.
   * @param lacking of these, those that lack it nevertheless
   * @param passed of these, those that get it from each other
   */
  publish(
    workers: readonly ConnectedWorker[],
    lacking: readonly ConnectedWorker[] = [],
    passed: readonly ConnectedWorker[] = [],
  ): void {
    const { version, parameters } = this.#parameters;
    if (this.#version !== version) {
      this.begin(version, []);
      this.part(0, parameters.length);
    }
    const before = this.#before;
    this.#before = new Set();
    for (const worker of workers) {
      const shares = this.isNear(worker.id);
      if (shares && !this.#told.includes(worker)) {
        worker.publish(this.#id, () => this.#announcement(0, parameters.length));
      } else if (!shares && !passed.includes(worker)) {
        const hasBefore = before.has(worker.id) && !lacking.includes(worker);
        if (hasBefore) this.#changes ??= this.#encodeChanges();
        this.#sent.add(worker.id);
        worker.publish(this.#id, () => this.#whole(), hasBefore ? this.#changes : undefined);
      }
      if (this.#averages) worker.publishMore(this.#id, this.#averages);
    }
  }

  /** Sends the averages of the current version, if the job keeps them, to these workers and to those that join before the next version. */
  publishAverages(workers: readonly ConnectedWorker[]): void {
    if (!this.#parameters.state.has(AVERAGE)) return;
    this.#averages?.release();
    this.#averages = this.#encode('averages');
    for (const worker of workers) worker.publishMore(this.#id, this.#averages);
  }

  /** Stores part of a gradient. @returns its number of floats @throws KasaneError PROTOCOL if it does not fit the model */
  receive(worker: string, header: GradientHeader | SharedGradientHeader, payload: Uint8Array): number {
    if (this.#closed) return 0;
    const { floats, source } = this.#sourceOf(worker, header, payload);
    this.#parameters.receive(worker, header, floats, source);
    return floats;
  }

  /** The floats of part of a gradient, to forward them. @throws KasaneError PROTOCOL if it does not fit the model */
  floatsOf(worker: string, header: GradientHeader | SharedGradientHeader, payload: Uint8Array): Float32Array {
    const { floats, source } = this.#sourceOf(worker, header, payload);
    this.#parameters.check(header, floats);
    const values = new Float32Array(floats);
    if (source instanceof Uint8Array) bytesOf(values).set(source);
    else source.read(header.offset, values);
    return values;
  }

  /** Locates part of a gradient. */
  #sourceOf(
    worker: string,
    header: GradientHeader | SharedGradientHeader,
    payload: Uint8Array,
  ): { readonly floats: number; readonly source: GradientSource } {
    if (header.kind === 'gradient') return this.#decode(header.offset, payload);
    const offered = this.#gradients.get(worker);
    if (!offered?.opened)
      throw new KasaneError('PROTOCOL', 'a gradient in shared memory that was not opened');
    const source = offered.memory.places[header.place];
    if (!source)
      throw new KasaneError(
        'PROTOCOL',
        `a gradient in slot ${header.place} of the shared memory, which does not exist`,
      );
    return { floats: header.floats, source };
  }

  /** Releases all shared memory; whatever still arrives is ignored. */
  close(): void {
    this.#closed = true;
    this.#shared?.close();
    for (const worker of [...this.#gradients.keys()]) this.leave(worker);
    this.#forgetLeft();
  }

  #forgetLeft(): void {
    for (const memory of this.#left.splice(0)) memory.close();
  }

  /** Whether a worker is on this machine and uses shared memory. */
  isNear(worker: string): boolean {
    return this.#shared !== undefined && this.#gradients.get(worker)?.opened === true;
  }

  /** Writes to shared memory. Returns whether there is any and it has room. */
  #share(write: (memory: SharedParameters) => void): boolean {
    if (!this.#shared) return false;
    try {
      write(this.#shared);
      return true;
    } catch {
      // The memory file system is full: fall back to the link.
      this.#shared.close();
      this.#shared = undefined;
      return false;
    }
  }

  /** @throws KasaneError PROTOCOL if it does not fit the model */
  #decode(offset: number, payload: Uint8Array): { readonly floats: number; readonly source: Uint8Array } {
    const floats = this.#codec.count(payload, offset);
    // Plain float32.
    if (4 * floats === payload.length) return { floats, source: payload };
    if (this.#decoded.length < floats) this.#decoded = new Float32Array(floats);
    const decoded = this.#decoded.subarray(0, floats);
    this.#codec.decode(payload, offset, decoded);
    return { floats, source: bytesOf(decoded) };
  }

  #whole(): EncodedVersion {
    this.#encoded ??= this.#encode('parameters');
    return this.#encoded;
  }

  /** Undefined if the difference between the current version and the previous one is unknown. */
  #encodeChanges(): EncodedVersion | undefined {
    const { parameters, changes } = this.#parameters;
    if (!changes) return undefined;
    const sum = new Checksum();
    return this.#changesEncoder.encodeParts(Math.ceil(changes.length / CHANGED_FLOATS), (index) => {
      const start = index * CHANGED_FLOATS;
      const end = Math.min(changes.length, start + CHANGED_FLOATS);
      const digest = sum.update(bytesOf(parameters.subarray(start, end))).value;
      const payload = this.#codec.encode(changes.subarray(start, end), start);
      return [{ kind: 'changes', ...this.#header(start), digest }, payload];
    });
  }

  #encode(kind: 'parameters' | 'averages'): EncodedVersion {
    const { parameters, state } = this.#parameters;
    const bytes = bytesOf(kind === 'averages' ? state.get(AVERAGE)! : parameters);
    const sum = new Checksum();
    return this.#encoder.encode(bytes, (start, part) => {
      const digest = sum.update(part).value;
      return { kind, ...this.#header(start / 4), digest };
    });
  }

  /** @param start in floats */
  #header(start: number) {
    const total = this.#parameters.parameters.length;
    return { job: this.#id, version: this.#version, partition: 0, offset: start, total };
  }
}
