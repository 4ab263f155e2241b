/**
 * How parameters get to workers and gradients from them: through shared memory where both can open it, else as frames on the
 * data link. One for each run.
 */
import { checksum } from '@kasane/protocol/checksum';
import { KasaneError } from '@kasane/protocol/errors';
import { bytesOf, encodeFrame, type GradientHeader, type SharedGradientHeader } from '@kasane/protocol/frame';
import type { JobOpened } from '@kasane/protocol/gen/kasane/v1/training';
import type { Job } from '@kasane/protocol/job';
import { FRAME_PAYLOAD_BYTES } from '@kasane/protocol/limits';
import { SharedGradients, SharedParameters } from '@kasane/protocol/shared-memory';
import { AVERAGE } from '@kasane/tensor/backends/wasm/updater';
import type { ConnectedWorker } from '../workers.ts';
import { type EncodedVersion, encodedOnce, VersionEncoder } from './encoded-version.ts';
import type { ParameterServer } from './parameter-server.ts';

export class Exchange {
  readonly #id: string;
  readonly #shards: number;
  readonly #parameters: ParameterServer;
  #shared: SharedParameters | undefined;
  /** Of each worker that was offered some; `opened` once it has said that it uses it. */
  readonly #gradients = new Map<string, { memory: SharedGradients; opened: boolean }>();
  #version = -1;
  /** Of the present version. */
  #digest = 0;
  readonly #encoder = new VersionEncoder();
  /** The present version as frames: with the floats, encoded when the first worker needs them; and for those who share. */
  #encoded: EncodedVersion | undefined;
  #announcement = encodedOnce([]);
  /** The averages of the present version, while they are evaluated. */
  #averages: EncodedVersion | undefined;
  #closed = false;

  constructor(id: string, job: Job, parameters: ParameterServer) {
    this.#id = id;
    this.#shards = job.spec.training.shards;
    this.#parameters = parameters;
    this.#shared = SharedParameters.create(parameters.parameters.length);
  }

  /** Memory to offer a worker that joins, as JobOpened names it. */
  offer(worker: string): Pick<JobOpened, 'parametersMemory' | 'gradientsMemory'> {
    this.leave(worker);
    const memory = this.#shared && SharedGradients.create(this.#parameters.parameters.length, this.#shards);
    if (memory) this.#gradients.set(worker, { memory, opened: false });
    return { parametersMemory: memory && this.#shared?.address, gradientsMemory: memory?.address };
  }

  /** The worker has opened what it was offered. */
  opened(worker: string): void {
    const offered = this.#gradients.get(worker);
    if (offered) offered.opened = true;
  }

  leave(worker: string): void {
    this.#gradients.get(worker)?.memory.close();
    this.#gradients.delete(worker);
  }

  /** Sends the parameter server's present version to these workers. */
  publish(workers: readonly ConnectedWorker[]): void {
    if (this.#version !== this.#parameters.version) this.#begin();
    for (const worker of workers) {
      const shares = this.#shared && this.#gradients.get(worker.id)?.opened;
      if (!shares) this.#encoded ??= this.#encode('parameters');
      worker.publish(this.#id, shares ? this.#announcement : this.#encoded!);
      if (this.#averages) worker.publishMore(this.#id, this.#averages);
    }
  }

  /** Sends the averages of the present version, if the job keeps them: to these workers, and to who joins before the next version. */
  publishAverages(workers: readonly ConnectedWorker[]): void {
    if (!this.#parameters.state.has(AVERAGE)) return;
    this.#averages?.release();
    this.#averages = this.#encode('averages');
    for (const worker of workers) worker.publishMore(this.#id, this.#averages);
  }

  /**
   * Part of a gradient has arrived.
   * @throws KasaneError PROTOCOL when it does not fit the model
   */
  receive(worker: string, header: GradientHeader | SharedGradientHeader, payload: Uint8Array): void {
    if (this.#closed) return;
    if (header.kind === 'gradient') {
      this.#parameters.receive(worker, header, payload.length / 4, (into) => into.set(payload));
      return;
    }
    const offered = this.#gradients.get(worker);
    if (!offered?.opened) throw new KasaneError('PROTOCOL', 'a gradient in memory that was not opened');
    const { shard, offset, floats } = header;
    this.#parameters.receive(worker, header, floats, (into) => offered.memory.read(shard, offset, into));
  }

  /** Ends the sharing; what still arrives is of no use any more. */
  close(): void {
    this.#closed = true;
    this.#shared?.close();
    for (const worker of [...this.#gradients.keys()]) this.leave(worker);
  }

  #begin(): void {
    this.#version = this.#parameters.version;
    this.#digest = checksum(bytesOf(this.#parameters.parameters));
    this.#encoded?.release();
    this.#encoded = undefined;
    this.#averages?.release();
    this.#averages = undefined;
    try {
      this.#shared?.write(this.#version, bytesOf(this.#parameters.parameters));
      this.#announcement = this.#announce();
    } catch {
      // The memory file system is full: the link does as well.
      this.#shared?.close();
      this.#shared = undefined;
    }
  }

  #encode(kind: 'parameters' | 'averages'): EncodedVersion {
    const { parameters, state } = this.#parameters;
    const bytes = bytesOf(kind === 'averages' ? state.get(AVERAGE)! : parameters);
    const digest = kind === 'averages' ? checksum(bytes) : this.#digest;
    return this.#encoder.encode(bytes, (start) => ({ kind, ...this.#header(start), digest }));
  }

  /** What those who share are told of the present version: as parts, as the floats would be, so that both are read alike. */
  #announce(): EncodedVersion {
    const bytes = 4 * this.#parameters.parameters.length;
    const frames: Buffer[] = [];
    for (let start = 0; start < bytes; start += FRAME_PAYLOAD_BYTES) {
      const floats = Math.min(FRAME_PAYLOAD_BYTES, bytes - start) / 4;
      const header = { ...this.#header(start), digest: this.#digest, floats };
      frames.push(encodeFrame({ kind: 'sharedParameters', ...header }, new Uint8Array(0)));
    }
    return encodedOnce(frames);
  }

  #header(start: number) {
    const total = this.#parameters.parameters.length;
    return { job: this.#id, version: this.#version, partition: 0, offset: start / 4, total };
  }
}
