/**
 * The chunks of new versions that the coordinator sends to their owners' peers. Their sums come here anyway: an owner that sends nothing else
 * of a chunk sends it once, and the coordinator's card, which would send next to nothing, carries the rest. They are updated in a
 * copy, for of a step that may still be computed again the coordinator's own parameters must not change.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { encodeFrame } from '@kasane/protocol/internal/wire/frame';
import { type PartLayout, type PartRange, specsOf } from '@kasane/protocol/internal/wire/parts';
import type { FloatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import type { OptimizerOptions } from '@kasane/tensor/internal/optim/optimizers';
import type { Rounding } from '@kasane/tensor/internal/optim/rounding';
import type { ParameterSpec } from '@kasane/tensor/nn/model';
import type { Updater } from '@kasane/tensor/optim/updater';
import { openUpdater } from '../backend.ts';
import type { ConnectedWorker } from '../workers.ts';
import type { StepCommit } from './peer-exchange.ts';

/** Floats that are updated, or copied, in one turn of the event loop. */
const TURN_FLOATS = 1 << 18;

interface Chunk extends PartRange {
  /** Where it begins in the updater. */
  readonly at: number;
  readonly owner: string;
}

export interface RelayedChunksOptions {
  readonly job: string;
  readonly layout: PartLayout;
  /** Its owners. */
  readonly members: readonly ConnectedWorker[];
  readonly parameters: readonly ParameterSpec[];
  readonly optimizer: OptimizerOptions;
  /** How versions travel, */
  readonly codec: FloatCodec;
  /** and to what updates are rounded; undefined: they are not. */
  readonly rounding: Rounding | undefined;
}

export class RelayedChunks {
  readonly #options: RelayedChunksOptions;
  /** By the first float. */
  readonly #chunks = new Map<number, Chunk>();
  #updater: Updater | undefined;
  #commit: StepCommit | undefined;
  /** Sums of the step under way that are still to be used, and how many chunks have had none. */
  #sums: { readonly chunk: Chunk; readonly sum: Float32Array }[] = [];
  #left: number;
  #isBusy = false;
  /** It goes no further: the layout is over, or a sum was not finite, and the step does not count as it is. */
  #isOver = false;
  #settled: (() => void)[] = [];
  /** What waits for each owner's link. */
  readonly #queues: ReadonlyMap<ConnectedWorker, Buffer[]>;
  readonly #sending = new Set<ConnectedWorker>();

  constructor(options: RelayedChunksOptions) {
    const { layout, members } = options;
    this.#options = options;
    let at = 0;
    for (const { start, end } of layout.relayed) {
      this.#chunks.set(start, { start, end, at, owner: layout.ownerOf(start / layout.chunkFloats) });
      at += end - start;
    }
    this.#left = this.#chunks.size;
    this.#queues = new Map(members.map((worker) => [worker, []]));
  }

  /** Takes what the layout begins with. Nothing of `from` may change until then. */
  async open(from: Pick<Updater, 'parameters' | 'state'>): Promise<void> {
    const { parameters, optimizer, rounding } = this.#options;
    const chunks = [...this.#chunks.values()];
    const updater = await openUpdater(specsOf(parameters, chunks), optimizer, { rounding });
    let copied = 0;
    for (const [name, into] of [['', updater.parameters] as const, ...updater.state])
      for (const { start, end, at } of chunks) {
        into.set((name === '' ? from.parameters : from.state.get(name)!).subarray(start, end), at);
        copied += end - start;
        if (copied < TURN_FLOATS) continue;
        copied = 0;
        await nextTurn();
        if (this.#isOver) return;
      }
    this.#updater = updater;
    void this.#updateAll();
  }

  /** The sum of a chunk of the step under way; others are left alone. The floats must not change. */
  sum(start: number, sum: Float32Array): void {
    const chunk = this.#chunks.get(start);
    if (!chunk || this.#isOver) return;
    this.#sums.push({ chunk, sum });
    void this.#updateAll();
  }

  /** The step counts: its chunks are updated as their sums come. */
  commit(commit: StepCommit): void {
    // Who has not had all of a version that all have computed with by now needs the next one.
    for (const queue of this.#queues.values()) queue.length = 0;
    this.#commit = commit;
    void this.#updateAll();
  }

  /** Resolves when all chunks of the step are updated, or will not be. */
  async settled(): Promise<void> {
    if (this.#commit && !this.#isOver) await new Promise<void>((resolve) => this.#settled.push(resolve));
  }

  close(): void {
    this.#isOver = true;
    this.#updater = undefined;
    this.#sums = [];
    for (const queue of this.#queues.values()) queue.length = 0;
    this.#settle();
  }

  #settle(): void {
    for (const resolve of this.#settled.splice(0)) resolve();
  }

  async #updateAll(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    let floats = 0;
    while (this.#updater && this.#commit && this.#sums.length > 0) {
      const { chunk, sum } = this.#sums.shift()!;
      this.#update(this.#updater, chunk, sum, this.#commit);
      floats += sum.length;
      if (floats < TURN_FLOATS) continue;
      floats = 0;
      await nextTurn();
    }
    this.#isBusy = false;
  }

  #update(updater: Updater, { start, at, owner }: Chunk, sum: Float32Array, commit: StepCommit): void {
    const { step, factor, learningRate, publish } = commit;
    const end = at + sum.length;
    if (!updater.sum([sum], at, { step, origin: start })) {
      this.close();
      return;
    }
    updater.apply(step, learningRate, { start: at, end, factor });
    if (publish)
      this.#publish(step + 1, start, owner, (updater.changes ?? updater.parameters).subarray(at, end));
    if (--this.#left > 0) return;
    this.#left = this.#chunks.size;
    this.#commit = undefined;
    this.#settle();
  }

  #publish(version: number, offset: number, owner: string, news: Float32Array): void {
    const { job, layout, codec } = this.#options;
    const header = { kind: 'partParameters', job, layout: layout.number, version, offset } as const;
    const frame = encodeFrame(header, codec.encode(news, offset));
    for (const [worker, queue] of this.#queues) {
      if (worker.id === owner) continue;
      queue.push(frame);
      if (!this.#sending.has(worker)) void this.#send(worker, queue);
    }
  }

  async #send(worker: ConnectedWorker, queue: Buffer[]): Promise<void> {
    this.#sending.add(worker);
    for (let frame = queue.shift(); frame; frame = queue.shift()) await worker.relayPaced(frame);
    this.#sending.delete(worker);
  }
}
