/**
 * Records the output of every layer for a few test samples from time to time: a thread computes it from a copy of the parameters,
 * alongside the steps. Read-only, so nothing here affects weights; requests are skipped while it is busy.
 */
import { Worker } from 'node:worker_threads';
import { type DataParts, readSamples } from '@kasane/data/dataset';
import { inputReader } from '@kasane/data/internal/normalize';
import type { Snapshot } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { Job } from '@kasane/protocol/job';
import { topologicalOrder } from '@kasane/tensor/graph';
import { forward, type Model } from '@kasane/tensor/nn/model';
import { summarizeLayers } from '@kasane/tensor/nn/summary';
import { input, parameter } from '@kasane/tensor/ops/leaf';
import { sizeOf } from '@kasane/tensor/shape';
import type { Logger } from 'pino';
import { describeSamples } from '../submit/describe-job.ts';
import type { ProbeData, ProbeRequest, ProbeResponse } from './probe-thread.ts';

/** Shorter jobs, in milliseconds, are not probed: the thread would cost more than it shows. */
const FIRST_MS = 3000;
const INTERVAL_MS = 10_000;
/** Limits per probe that determine the number of samples: floating-point operations, and floats of all outputs. */
const FLOPS = 2e9;
const FLOATS = 1 << 24;
const SAMPLES = 64;

export interface ProbeOptions {
  readonly job: Job;
  readonly data: DataParts;
  readonly log: Logger;
  readonly onSnapshot: (snapshot: Snapshot) => void;
}

export class Probe {
  readonly #options: ProbeOptions;
  #thread: Worker | undefined;
  /** For the next copy of the parameters; owned by the thread while it is busy. */
  #copy: Float32Array<ArrayBuffer> | undefined;
  #busy = false;
  #lookedAt = performance.now() - INTERVAL_MS + FIRST_MS;
  #closed = false;

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  /** Starts a probe if one is due. Copies the parameters before it returns. */
  look(step: number, parameters: Float32Array): void {
    if (this.#busy || this.#closed || performance.now() - this.#lookedAt < INTERVAL_MS) return;
    this.#busy = true;
    this.#lookedAt = performance.now();
    this.#copy ??= new Float32Array(parameters.length);
    const copy = this.#copy;
    copy.set(parameters);
    this.#open()
      .then((thread) => {
        const request: ProbeRequest = { step, parameters: copy };
        thread?.postMessage(request, [copy.buffer]);
      })
      .catch((error: unknown) => this.#giveUp(error));
  }

  close(): void {
    this.#closed = true;
    void this.#thread?.terminate();
  }

  async #open(): Promise<Worker | undefined> {
    if (this.#thread) return this.#thread;
    const { job, data, onSnapshot } = this.#options;
    const samples = Math.min(probedSamples(job.model), data.test.samples);
    if (samples === 0) {
      this.#options.log.info('activations are not recorded: the values within the layers are too large');
      this.#closed = true;
      return undefined;
    }
    const { input: field, mean, std } = describeSamples(job, data);
    const indices = Uint32Array.from({ length: samples }, (_, index) => index);
    const x = new Float32Array(samples * sizeOf(job.model.sampleShape));
    inputReader(field, mean, std)((await readSamples(data.test, indices)).inputs, x);
    if (this.#closed) return undefined;
    const workerData: ProbeData = { model: job.model.description, samples, x };
    const thread = new Worker(
      new URL(import.meta.url.endsWith('.ts') ? './probe-thread.ts' : './probe-thread.js', import.meta.url),
      { workerData },
    );
    thread.unref();
    thread.on('message', ({ snapshot, parameters }: ProbeResponse) => {
      this.#copy = parameters;
      this.#busy = false;
      onSnapshot(snapshot);
    });
    thread.on('error', (error) => this.#giveUp(error));
    this.#thread = thread;
    return thread;
  }

  /** Training continues without it. */
  #giveUp(error: unknown): void {
    this.#options.log.warn({ error }, 'activations are no longer recorded');
    this.close();
  }
}

/** Number of samples to probe; 0 if even one has outputs too large for a coordinator. */
export function probedSamples(model: Model): number {
  const layers = summarizeLayers(model);
  const flops = layers.reduce((sum, layer) => sum + layer.flops, 1);
  const floats = layers.reduce((sum, { outputShape }) => sum + sizeOf(outputShape), 1);
  const most = Math.max(1, Math.min(SAMPLES, Math.floor(FLOPS / flops), Math.floor(FLOATS / floats)));
  if (model.layers.every(({ own }) => !own)) return most;
  // Values within the graph of a custom program may be larger than its operation count suggests, and grow with the square of the samples.
  const tried = Array.from({ length: 1 + Math.floor(Math.log2(most)) }, (_, halved) => most >> halved);
  return tried.find((samples) => floatsOf(model, samples) <= FLOATS) ?? 0;
}

/** All values of a forward pass except the parameters. */
function floatsOf(model: Model, samples: number): number {
  const leaves = model.parameters.map(({ name, shape }) => parameter(name, shape));
  const { outputs } = forward(model, input('x', [samples, ...model.sampleShape]), leaves, undefined);
  return topologicalOrder(outputs)
    .filter(({ op }) => op !== 'parameter')
    .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
