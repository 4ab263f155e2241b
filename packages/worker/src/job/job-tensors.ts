/** Tensors that a worker receives for one job: parameter versions, in frames or shared memory, and parts from other workers. */
import { messageOf } from '@kasane/protocol/errors';
import type { CommitParts, Parts } from '@kasane/protocol/gen/kasane/v1/training';
import {
  type AveragesHeader,
  bytesOf,
  type ChangesHeader,
  type ParametersHeader,
  type PartGradientHeader,
  type PartParametersHeader,
  type PartStateHeader,
  type SharedParametersHeader,
} from '@kasane/protocol/internal/wire/frame';
import { PartExchange } from '../peers/part-exchange.ts';
import type { JobSessionOptions } from './job-session.ts';
import type { OpenedJob } from './opened-job.ts';
import { ParameterStore } from './parameters.ts';
import { type OwnGradients, openShared, type SharedTensors } from './shared-tensors.ts';

export type JobTensorsOptions = Pick<
  JobSessionOptions,
  'opened' | 'worker' | 'stream' | 'links' | 'onUnable' | 'sharedMemory' | 'log'
>;

export class JobTensors {
  readonly parameters: ParameterStore;
  /** Parameters for evaluations: the same, or the averages of a version. */
  readonly evaluated: ParameterStore;
  readonly parts: PartExchange;
  #memory: SharedTensors | undefined;

  constructor(options: JobTensorsOptions, job: OpenedJob) {
    const { opened, worker, stream, links, log } = options;
    const onMissing = (version: number) =>
      stream.send({ $case: 'versionMissing', value: { job: opened.job, version } });
    this.parameters = new ParameterStore(
      opened.parameterCount,
      job.rounding && { codec: job.codec, onMissing },
    );
    this.evaluated = opened.averaged ? new ParameterStore(opened.parameterCount) : this.parameters;
    this.#memory = options.sharedMemory ? openShared(opened, log) : undefined;
    if (this.#memory) stream.send({ $case: 'memoryOpened', value: { job: opened.job } });
    this.parts = new PartExchange({
      ...{ job: opened.job, worker, exchanged: job.exchanged },
      ...{ stream, links, codec: job.codec, rounding: job.rounding },
      onChunk: (...chunk) => this.parameters.receiveChunk(...chunk),
      onFailed: (error) => options.onUnable(messageOf(error)),
    });
  }

  /** Whether evaluations use averages. */
  get hasAverages(): boolean {
    return this.evaluated !== this.parameters;
  }

  /** Shared memory for gradients; undefined if they must be sent. */
  get gradientsMemory(): OwnGradients | undefined {
    return this.#memory?.gradients;
  }

  /** Receives part of a parameter version. @throws KasaneError PROTOCOL */
  receive(
    header: ParametersHeader | ChangesHeader | AveragesHeader | SharedParametersHeader,
    payload: Uint8Array,
  ): void {
    const { version, offset } = header;
    if (header.kind === 'sharedParameters')
      this.parameters.receive(
        header,
        header.floats,
        (into) => this.#memory?.parameters.read(version, 4 * offset, bytesOf(into)) ?? false,
      );
    else if (header.kind === 'changes') this.parameters.receiveChanges(header, payload);
    else {
      const store = header.kind === 'averages' ? this.evaluated : this.parameters;
      store.receive(header, payload.length / 4, (into) => {
        bytesOf(into).set(payload);
        return true;
      });
    }
  }

  /** Sets new owners of parts. */
  begin(parts: Parts): void {
    this.parts.begin(parts);
    this.parameters.rewind(parts.step);
    this.parts.takeEarly();
  }

  commitParts(commit: CommitParts): void {
    this.parts.commit(commit);
  }

  /** Receives a frame of the exchange between workers. @param from the sending worker; undefined: the coordinator */
  receivePart(
    header: PartGradientHeader | PartParametersHeader | PartStateHeader,
    payload: Uint8Array,
    from: string | undefined,
  ): void {
    if (header.kind === 'partGradient') this.parts.gradient(header, payload, from ?? '');
    else if (header.kind === 'partParameters') this.parts.parameters(header, payload, from ?? '');
    else if (from === undefined) this.parts.state(header, payload);
  }

  /** Ends all waits for versions. */
  release(): void {
    this.parameters.close();
    this.evaluated.close();
  }

  close(): void {
    this.parts.close();
    this.release();
    this.#memory?.close();
    this.#memory = undefined;
  }
}
