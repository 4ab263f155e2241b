/** What a worker exchanges with other workers in one job: gradients to the owners of their parts, its own parts' versions to all. */
import { KasaneError } from '@kasane/protocol/errors';
import type { CommitParts, Parts, TaskId } from '@kasane/protocol/gen/kasane/v1/training';
import { floatsOf } from '@kasane/protocol/internal/job/job-exchange';
import {
  encodeFrame,
  type PartGradientHeader,
  type PartParametersHeader,
  type PartStateHeader,
} from '@kasane/protocol/internal/wire/frame';
import { LEAST_FLOATS, PartLayout, partGradients } from '@kasane/protocol/internal/wire/parts';
import type { FloatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import type { OptimizerOptions } from '@kasane/tensor/internal/optim/optimizers';
import type { Rounding } from '@kasane/tensor/internal/optim/rounding';
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import type { CoordinatorStream } from '../connection/stream.ts';
import { PartServer } from './part-server.ts';
import type { PeerLinks } from './peer-links.ts';
import { SpareFrames } from './spare-frames.ts';

/** Chunks that are kept of a layout to come, of small models: more than any layout of these has. */
const EARLY_CHUNKS = 1 << 11;

export interface PartExchangeOptions {
  readonly job: string;
  /** Who this worker is. */
  readonly worker: string;
  /** What versions and gradients are of. */
  readonly exchanged: readonly ParameterSpec[];
  /** How gradients and versions travel, */
  readonly codec: FloatCodec;
  /** and to what they are rounded; undefined: they are float32. */
  readonly rounding: Rounding | undefined;
  readonly stream: Pick<CoordinatorStream, 'sendPaced'>;
  readonly links: Pick<PeerLinks, 'send' | 'sendEncoded'>;
  /** A chunk of a version is there. */
  readonly onChunk: (version: number, offset: number, payload: Uint8Array, chunkFloats: number) => void;
  /** The owner of a part cannot go on. */
  readonly onFailed: (error: Error) => void;
}

export class PartExchange {
  readonly #options: PartExchangeOptions;
  #layout: PartLayout | undefined;
  #server: PartServer | undefined;
  /** On their way to the coordinator, which makes the new version of some, and of others needs them for itself. */
  readonly #relayed: SpareFrames;
  readonly #sums: SpareFrames;
  /** Owners send the version of the layout's first step to one another. */
  #passesOn = false;
  /** Chunks of a layout of which the coordinator has not told yet, and their bytes. */
  #early: { readonly header: PartParametersHeader; readonly payload: Uint8Array; readonly from: string }[] =
    [];
  #earlyBytes = 0;
  /** Called when the layout changes: what was to be sent by it is for nobody. */
  #onChange: () => void = () => {};
  #changed = Promise.resolve();

  constructor(options: PartExchangeOptions) {
    this.#options = options;
    const send = (frame: Buffer) => options.stream.sendPaced(frame);
    this.#relayed = new SpareFrames(send);
    this.#sums = new SpareFrames(send);
  }

  /** The layout by which gradients of a step are sent; undefined: to the coordinator. */
  layoutOf(step: number): PartLayout | undefined {
    return this.#layout && step >= this.#layout.step ? this.#layout : undefined;
  }

  /** Another layout, or none. @throws KasaneError PROTOCOL when it does not fit the model */
  begin(parts: Parts): void {
    this.close();
    const { worker, exchanged, codec, rounding } = this.#options;
    if (parts.layout === 0 || !parts.owners.includes(worker)) return;
    if (parts.chunkFloats < 1 || parts.shards < 1)
      throw new KasaneError(
        'PROTOCOL',
        `a layout of parts with chunks of ${parts.chunkFloats} floats and ${parts.shards} shards`,
      );
    const { layout: number, step, chunkFloats, owners, shards, relays } = parts;
    const layout = new PartLayout({ number, step, chunkFloats, owners, relays, floats: floatsOf(exchanged) });
    this.#layout = layout;
    this.#passesOn = parts.passOn;
    this.#relayed.counts(Number.POSITIVE_INFINITY);
    if (parts.sumsFirst) this.#sums.counts(Number.POSITIVE_INFINITY);
    this.#changed = new Promise((resolve) => {
      this.#onChange = resolve;
    });
    const server = new PartServer({
      ...{ layout, owner: worker, parameters: exchanged, shards },
      ...{ codec, rounding },
      optimizer: JSON.parse(parts.optimizer) as OptimizerOptions,
      onSum: (of, start, sum) => this.#sum(layout, of, start, sum),
      onUpdated: (version, start, values) => this.#updated(layout, version, start, values),
    });
    this.#server = server;
    server.open().catch((error: unknown) => {
      if (this.#server === server) this.#options.onFailed(error as Error);
    });
  }

  /** Takes what other owners have sent before the coordinator told of the layout. */
  takeEarly(): void {
    this.#earlyBytes = 0;
    for (const { header, payload, from } of this.#early.splice(0)) this.parameters(header, payload, from);
  }

  commit({ layout, ...commit }: CommitParts): void {
    if (layout !== this.#layout?.number) return;
    this.#server?.commit(commit);
    this.#sums.counts(commit.step);
  }

  /** Part of somebody's gradient. */
  gradient(header: PartGradientHeader, part: Uint8Array | Float32Array, from: string): void {
    const { layout, step, shard, attempt, offset } = header;
    if (layout === this.#layout?.number)
      this.#server?.gradient(step, shard, `${from}:${attempt}`, offset, part);
  }

  state({ layout: number, name, offset }: PartStateHeader, payload: Uint8Array): void {
    const layout = this.#layout;
    if (number !== layout?.number) return;
    this.#server?.state(name, offset, payload);
    if (this.#passesOn && name === 'parameters') this.#publish(layout, layout.step, offset, payload);
  }

  /**
   * A chunk of a version.
   * @param from which worker; empty: the coordinator
   * @throws KasaneError PROTOCOL when it is not of its owner, nor of the coordinator that passes it on
   */
  parameters(header: PartParametersHeader, payload: Uint8Array, from: string): void {
    const { layout: number, version, offset } = header;
    const layout = this.#layout;
    if (number > (layout?.number ?? 0)) {
      // A version at most, of a layout to come, in no more pieces than it has.
      const floats = floatsOf(this.#options.exchanged);
      this.#earlyBytes += payload.length;
      const most = Math.max(EARLY_CHUNKS, floats / LEAST_FLOATS);
      if (this.#earlyBytes <= 4 * floats && this.#early.length < most)
        this.#early.push({ header, payload: Uint8Array.from(payload), from });
      return;
    }
    if (number !== layout?.number) return;
    const chunk = Math.floor(offset / layout.chunkFloats);
    if (from === '' ? !layout.isRelayed(chunk) : layout.ownerOf(chunk) !== from)
      throw new KasaneError(
        'PROTOCOL',
        `parameters ${offset} and on, which ${from === '' ? 'the coordinator does not pass on' : `worker ${from} does not own`}`,
      );
    this.#options.onChunk(version, offset, payload, layout.chunkFloats);
  }

  /**
   * Sends floats [start, end) of a task's gradient to whoever owns them. Resolves when there is room for more, or nobody needs them any
   * more.
   */
  async send(
    layout: PartLayout,
    task: TaskId,
    gradient: Float32Array,
    start: number,
    end: number,
  ): Promise<void> {
    if (layout !== this.#layout) return;
    const { worker, links, codec } = this.#options;
    const sent = partGradients(layout, task, { start, end }).map(({ owner, header, ...piece }) => {
      const floats = gradient.subarray(piece.start, piece.end);
      if (owner !== worker) return links.send(owner, header, codec.encode(floats, piece.start));
      this.gradient(header, floats, worker);
      return undefined;
    });
    const left = Promise.race([Promise.all(sent), this.#changed]);
    this.#first(layout, task.step, left);
    await left;
  }

  /** Nothing is exchanged with other workers any more. */
  close(): void {
    this.#server?.close();
    this.#server = undefined;
    this.#layout = undefined;
    this.#relayed.clear();
    this.#sums.clear();
    this.#onChange();
  }

  #sum(layout: PartLayout, step: number, offset: number, sum: Float32Array): void {
    const { job, codec } = this.#options;
    const header = { kind: 'partSum', job, layout: layout.number, step, offset } as const;
    const frame = encodeFrame(header, codec.encode(sum, offset));
    if (layout.isRelayed(offset / layout.chunkFloats)) void this.#relayed.push(step, frame);
    else void this.#sums.push(step, frame);
  }

  /**
   * Sums of this step leave after what leaves with `left`. Where the coordinator sends part of each version they need not: workers send no more
   * than they receive then, so there is room beside it, and later they would hold up the next step.
   */
  #first(layout: PartLayout, step: number, left: Promise<unknown>): void {
    if (!layout.relays) this.#sums.after(step, left);
  }

  #updated(layout: PartLayout, version: number, offset: number, news: Float32Array): void {
    this.#publish(layout, version, offset, this.#options.codec.encode(news, offset));
  }

  /** Sends a chunk of a version to the other owners, unless they get it from the coordinator; the layout's first one they do not. */
  #publish(layout: PartLayout, version: number, offset: number, payload: Uint8Array): void {
    const { job, worker, links, onChunk } = this.#options;
    const header = { kind: 'partParameters', job, layout: layout.number, version, offset } as const;
    const frame = encodeFrame(header, payload);
    const isRelayed = version > layout.step && layout.isRelayed(offset / layout.chunkFloats);
    const others = isRelayed ? [] : layout.owners.filter((owner) => owner !== worker);
    this.#first(layout, version - 1, Promise.all(others.map((owner) => links.sendEncoded(owner, frame))));
    onChunk(version, offset, payload, layout.chunkFloats);
  }
}
