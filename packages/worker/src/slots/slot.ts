/**
 * A slot as seen by the main thread: a compute thread and the shared memory of its sessions, which this side writes inputs to and reads
 * gradients from without messages.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { MathMode } from '@kasane/tensor/backends/backend';
import type { Place, SessionLayout } from '@kasane/tensor/backends/layout';
import { startTeam, type TeamThreads } from '@kasane/tensor/internal/node/team';
import type { ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import type { KernelSpan } from '../observe/trace.ts';
import type { ComputeSession, ComputeSlot, SessionOptions } from './compute-slots.ts';
import type { Compute } from './gpu.ts';
import type { ShardSum } from './gradient-sums.ts';
import type { LocalUpdate } from './local-updates.ts';
import {
  ABANDONED,
  ARRIVED,
  COMMAND,
  COMPUTE_MS,
  CONTROL_BYTES,
  FACTOR,
  FAILED,
  GRADIENTS_ALL,
  GRADIENTS_FIRST,
  GRADIENTS_LAST,
  GRADIENTS_MORE,
  INPUTS,
  LEARNING_RATE,
  LOCAL_STEP,
  RUN,
  RUNNING,
  SESSION,
  SHARD,
  type SlotRequest,
  type SlotResponse,
  STAGE,
  STEP,
  UPDATE,
  UPDATE_BEGIN,
  UPDATE_END,
  UPDATE_KIND,
  UPDATE_STEP,
} from './slot-protocol.ts';
import { type TaskRow, TaskTable, tableBytes } from './task-table.ts';

/** How long a thread with a device may take to end. */
const GPU_EXIT_MS = 2000;

/** How long a thread may keep working on what is not needed any more: stages and compilations cannot be interrupted. */
const OVER_MS = 3000;

/** Of all samples of a task. */
export interface SlotInputs {
  /** Copied unless its memory is shared. */
  readonly x: Float32Array;
  /** Class indices, tokens or regression targets, as declared by the program. */
  readonly target: Int32Array | Float32Array;
  readonly ids: Uint32Array;
  readonly key: Uint32Array;
}

/** One job's memory in a slot. */
export interface SlotSession extends ComputeSession {
  readonly id: number;
  readonly memory: SharedArrayBuffer;
  readonly layout: SessionLayout;
  readonly exchanged: Float32Array | undefined;
  /** Inputs in shared memory that the thread knows, by number. */
  readonly inputs: Map<Float32Array, number>;
}

/** all: those of a shard. first, more: those of a part, which are kept and added up. last: those of its last part, plus the kept ones. */
export type GradientUse = 'all' | 'first' | 'more' | 'last';
const uses: Readonly<Record<GradientUse, number>> = {
  all: GRADIENTS_ALL,
  first: GRADIENTS_FIRST,
  more: GRADIENTS_MORE,
  last: GRADIENTS_LAST,
};

const ALONE: ShardSum = { kept: 0, added: 0, isKept: false };

const updateKinds: Readonly<Record<LocalUpdate['kind'], number>> = {
  begin: UPDATE_BEGIN,
  step: UPDATE_STEP,
  end: UPDATE_END,
};

/** Determines the rounding of a gradient. */
export interface GradientTask {
  readonly step: number;
  readonly shard: number;
}

/** Some of a task's samples that a program computes at once. */
export interface Piece {
  readonly request: ProgramRequest;
  /** The first of them. */
  readonly start: number;
  /** How the gradients are used. Default 'all'. */
  readonly use?: GradientUse;
  /** How they are combined in a group of shards, once they are a shard's. Default: they are the task's. */
  readonly shard?: ShardSum;
}

export interface RunOptions {
  /** The version it computes with, if that is still arriving; `arrived` reports the rest. Default: all has arrived. */
  readonly arrival?: Arrival | undefined;
  /** The task of the gradient, which determines its rounding. Default: no rounding. */
  readonly task?: GradientTask | undefined;
}

/** The first `floats` floats of a version have arrived. */
export interface Arrival {
  readonly version: number;
  readonly floats: number;
}

/** The thread cannot compile a job's programs, and another attempt would not help. */
export class Unable extends Error {}

/** The thread was ended because it was still working for a closed job. */
export class GivenUp extends Error {
  constructor() {
    super('it was still at work for a job that is over');
  }
}

/** A run ended early because its result was not needed any more. */
export class Abandoned extends Error {
  constructor() {
    super('the computation was abandoned');
  }
}

/** What a piece comes to. */
export interface PieceOutcome {
  readonly lossSum: number;
  readonly metricSum: number;
  /** Number of losses in `lossSum`. */
  readonly counted: number;
  /** Divisor of `lossSum` and the gradients, for this part: the number of losses or the sum of their weights. */
  readonly weight: number;
}

export interface RunOutcome {
  /** In their order. */
  readonly pieces: readonly PieceOutcome[];
  readonly computeMs: number;
  /** Of an evaluation: the model's scores of the last piece, row-major [samples, ...output], until the next run. */
  readonly scores?: Float32Array;
}

export class Slot implements ComputeSlot {
  readonly #thread: Worker;
  /** The threads that compute together with it. */
  readonly #team: TeamThreads | undefined;
  readonly #backend: Compute['backend'];
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #opening = new Map<
    number,
    { resolve: (session: SlotSession) => void; reject: (error: Error) => void }
  >();
  /** Of the last run. The thread has none at first. */
  #table = new TaskTable(new SharedArrayBuffer(0));
  #nextSession = 0;
  /** The session that the thread is compiling. */
  #compiling: number | undefined;
  #running: { readonly session: SlotSession; readonly version: number | undefined } | undefined;
  #threw = '';
  #died: (error: Error) => void = () => {};
  #dead: Error | undefined;
  #ended: Promise<void> | undefined;
  #kernel = '';
  readonly ready: Promise<void>;

  /**
   * @param onDeath called once if the thread ends although the slot was not closed
   * @param compute jobs with exact arithmetic use wasm in any case
   * @param onComputed called after each profiled run
   */
  constructor(
    onDeath: (error: Error) => void,
    onWarning: (warning: string) => void,
    compute: Compute = {},
    onComputed: (kernels: readonly KernelSpan[]) => void = () => {},
  ) {
    this.#backend = compute.backend;
    const control = new SharedArrayBuffer(CONTROL_BYTES);
    this.#words = new Int32Array(control);
    this.#numbers = new Float64Array(control);
    const { threads = 1 } = compute;
    this.#team = threads > 1 ? startTeam(threads, (error) => this.#died(error)) : undefined;
    this.#thread = new Worker(
      new URL(import.meta.url.endsWith('.ts') ? './slot-thread.ts' : './slot-thread.js', import.meta.url),
      {
        workerData: { control, compute, lead: this.#team?.lead },
        transferList: [...(this.#team?.lead.ports ?? [])],
      },
    );
    this.ready = new Promise((resolve, reject) => {
      this.#thread.on('message', (message: SlotResponse) => {
        if (message.kind === 'ready') {
          this.#kernel = message.kernel;
          if (message.warning) onWarning(message.warning);
          resolve();
        } else if (message.kind === 'computed') onComputed(message.kernels);
        else if (message.kind === 'threw') this.#threw = message.message;
        else if (message.kind === 'opening') this.#compiling = message.session;
        else {
          if (message.kind === 'opened' && message.warning) onWarning(message.warning);
          this.#answer(message);
        }
      });
      this.#died = (error: Error) => {
        if (this.#dead) return;
        this.#dead = error;
        reject(error);
        for (const { reject: refuse } of this.#opening.values()) refuse(error);
        Atomics.store(this.#words, STAGE, FAILED);
        Atomics.notify(this.#words, STAGE);
        // The other threads would wait for it forever.
        void this.#team?.end();
        if (this.#team) void this.#thread.terminate();
        onDeath(error);
      };
      this.#thread.on('error', (error: Error) => this.#died(error));
      this.#thread.on('exit', (code) => this.#died(new Error(`the compute thread ended with code ${code}`)));
    });
    this.ready.catch(() => {});
  }

  /** Name of the matrix kernel, once `ready`. */
  get kernel(): string {
    return this.#kernel;
  }

  /** The threads that compute together with its own. */
  get helpers(): readonly Worker[] {
    return this.#team?.threads ?? [];
  }

  /** Compiles a job's programs in the thread. @throws Unable if they do not fit */
  open(
    model: ModelDescription,
    requests: readonly ProgramRequest[],
    math: MathMode,
    how: SessionOptions = {},
    closed?: AbortSignal,
  ): Promise<SlotSession> {
    if (this.#dead) return Promise.reject(this.#dead);
    const session = this.#nextSession++;
    closed?.addEventListener('abort', () => this.#giveUpSoon(session), { once: true });
    return new Promise((resolve, reject) => {
      this.#opening.set(session, { resolve, reject });
      this.#send({ kind: 'open', session, model, requests, math, how });
    });
  }

  close(session: SlotSession): void {
    this.#send({ kind: 'close', session: session.id });
  }

  /**
   * Computes the pieces of a task, one after the other. `onReady` is called now and then with the indices of parameters whose gradients
   * are final with the last piece: when they are worth sending, and at the end. They can be read from `gradients(session)` until the
   * next run.
   * @throws Abandoned when nobody needed it any more; Error with what the thread said, when the computation threw or the thread died
   */
  async run(
    session: SlotSession,
    pieces: readonly Piece[],
    inputs: SlotInputs,
    onReady: (ready: readonly number[]) => void,
    { arrival, task }: RunOptions = {},
  ): Promise<RunOutcome> {
    if (this.#dead) throw this.#dead;
    const table = this.#write(session, pieces, inputs);
    const program = session.layout.programs[table.row(pieces.length - 1).program]!;
    const words = this.#words;
    Atomics.store(words, STAGE, 0);
    words[SESSION] = session.id;
    words[INPUTS] = this.#share(session, inputs.x);
    words[STEP] = task?.step ?? 0;
    words[SHARD] = task?.shard ?? -1;
    words[ARRIVED] = arrival?.floats ?? session.layout.parameters.length;
    this.#running = { session, version: arrival?.version };
    Atomics.store(words, RUNNING, RUN);
    this.#wake();
    try {
      for (let done = 0; done < program.stageReady.length; ) {
        const stage = Atomics.load(words, STAGE);
        if (stage === FAILED) throw this.#whyFailed();
        if (stage > done) onReady(program.stageReady.slice(done, stage).flat());
        done = stage;
        if (done === program.stageReady.length) break;
        const waiting = Atomics.waitAsync(words, STAGE, stage);
        if (waiting.async) await waiting.value;
      }
    } finally {
      this.#running = undefined;
    }
    return {
      pieces: pieces.map((_, piece) => table.results(piece)),
      computeMs: this.#numbers[COMPUTE_MS]!,
      ...(program.mode === 'evaluate' && { scores: this.#view(session, program.logits) }),
    };
  }

  /** Updates the parameters of a session's replica. @throws Error if the thread died */
  async update(session: SlotSession, update: LocalUpdate): Promise<void> {
    if (this.#dead) throw this.#dead;
    const words = this.#words;
    Atomics.store(words, STAGE, 0);
    words[SESSION] = session.id;
    words[UPDATE_KIND] = updateKinds[update.kind];
    if (update.kind === 'step') {
      words[LOCAL_STEP] = update.step;
      this.#numbers[LEARNING_RATE] = update.learningRate;
      this.#numbers[FACTOR] = update.factor;
    } else if (update.kind === 'end') {
      words[STEP] = update.task.step;
      words[SHARD] = update.task.shard;
      this.#numbers[FACTOR] = update.weight;
    }
    Atomics.store(words, RUNNING, UPDATE);
    this.#wake();
    // The wake-up may belong to the previous run, whose end was seen without it.
    while (Atomics.load(words, STAGE) === 0) {
      const waiting = Atomics.waitAsync(words, STAGE, 0);
      if (waiting.async) await waiting.value;
    }
    if (Atomics.load(words, STAGE) === FAILED) throw this.#whyFailed();
  }

  /**
   * More of a version has arrived in the session's parameters: a run that waits for it continues, and one with another version is
   * abandoned.
   */
  arrived(session: SlotSession, { version, floats }: Arrival): void {
    const running = this.#running;
    if (running?.session !== session || running.version === undefined) return;
    if (running.version !== version) this.abandon(session);
    else if (floats > Atomics.load(this.#words, ARRIVED)) {
      Atomics.store(this.#words, ARRIVED, floats);
      Atomics.notify(this.#words, ARRIVED);
    }
  }

  /** Abandons the session's run. */
  abandon(session: SlotSession): void {
    if (this.#running?.session !== session) return;
    Atomics.store(this.#words, ARRIVED, ABANDONED);
    Atomics.notify(this.#words, ARRIVED);
  }

  /** Ends the thread if it is still working for a closed job, and for no other. Not with a GPU, where it might hang. */
  #giveUpSoon(session: number): void {
    if (!this.#kernel.startsWith('wasm')) return;
    const isLeft = () => this.#opening.has(session) || this.#running?.session.id === session;
    const look = (): void => {
      if (this.#dead || !isLeft()) return;
      const atWork = this.#compiling ?? this.#running?.session.id;
      if (atWork === session) {
        this.#died(new GivenUp());
        void this.#thread.terminate();
      } else setTimeout(look, OVER_MS).unref();
    };
    setTimeout(look, OVER_MS).unref();
  }

  /** The session's parameters, to be written between runs. */
  parameters(session: SlotSession): Float32Array {
    return this.#view(session, session.layout.parameters);
  }

  /** The initial state of a round of the session's replica and, at its end, the round's gradient. */
  exchanged({ exchanged }: SlotSession): Float32Array {
    if (!exchanged) throw new Error('the session was opened without a local optimizer');
    return exchanged;
  }

  /** The session's gradients, flat layout. */
  gradients(session: SlotSession): Float32Array {
    return this.#view(session, session.layout.gradients);
  }

  /** Ends the thread. Safe to call twice. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    this.#dead ??= new Error('the compute slot was closed');
    if (this.#backend !== undefined && this.#backend !== 'wasm') {
      // It has to release its device first.
      const ended = once(this.#thread, 'exit');
      this.#send({ kind: 'exit' });
      await Promise.race([ended, sleep(GPU_EXIT_MS, undefined, { ref: false })]);
    }
    await Promise.all([this.#thread.terminate(), this.#team?.end()]);
  }

  #whyFailed(): Error {
    if (this.#dead) return this.#dead;
    if (Atomics.load(this.#words, ARRIVED) === ABANDONED) return new Abandoned();
    return new Error(this.#threw || 'the computation failed');
  }

  #write({ layout }: SlotSession, pieces: readonly Piece[], inputs: SlotInputs): TaskTable {
    const { programs } = layout;
    const rows = pieces.map(({ request, start, use = 'all', shard = ALONE }): TaskRow => {
      const index = programs.findIndex(
        ({ mode, samples }) => mode === request.mode && samples === request.samples,
      );
      const program = programs[index];
      if (!program) throw new Error(`there is no program to ${request.mode} ${request.samples} samples`);
      const end = (start + program.samples) / program.samples;
      for (const [what, length] of [
        ['x', program.x.length],
        ['target', program.labels.length],
      ] as const)
        if (inputs[what].length < end * length)
          throw new Error(`${inputs[what].length} numbers of ${what}; the program takes ${length}`);
      return { program: index, start, gradients: uses[use], ...shard };
    });
    const bytes = tableBytes(pieces.length, inputs);
    if (this.#table.memory.byteLength < bytes) {
      this.#table = new TaskTable(new SharedArrayBuffer(2 ** Math.ceil(Math.log2(bytes))));
      this.#post({ kind: 'table', memory: this.#table.memory });
    }
    this.#table.write(rows, inputs, programs[rows[0]!.program]!.target === 'i32');
    return this.#table;
  }

  /** @returns by what number the session's thread knows this memory */
  #share({ id, inputs }: SlotSession, x: Float32Array): number {
    const known = inputs.get(x);
    if (known !== undefined) return known;
    const number = inputs.size;
    if (x.buffer instanceof SharedArrayBuffer) {
      inputs.set(x, number);
      this.#post({ kind: 'inputs', session: id, number, x });
    } else {
      // Of this run only.
      const copy = new Float32Array(new SharedArrayBuffer(x.byteLength));
      copy.set(x);
      this.#post({ kind: 'inputs', session: id, number, x: copy });
    }
    return number;
  }

  #view({ memory }: SlotSession, { offset, length }: Place): Float32Array {
    return new Float32Array(memory, offset, length);
  }

  #answer(message: Extract<SlotResponse, { kind: 'opened' | 'refused' }>): void {
    const opening = this.#opening.get(message.session);
    this.#opening.delete(message.session);
    this.#compiling = undefined;
    if (message.kind === 'refused') opening?.reject(new Unable(message.message));
    else
      opening?.resolve({
        id: message.session,
        memory: message.memory,
        layout: message.layout,
        exchanged: message.exchanged && new Float32Array(message.exchanged),
        holds: undefined,
        inputs: new Map(),
      });
  }

  #send(message: SlotRequest): void {
    this.#post(message);
    this.#wake();
  }

  /** It is read when the thread is woken. */
  #post(message: SlotRequest): void {
    this.#thread.postMessage(message);
  }

  #wake(): void {
    Atomics.add(this.#words, COMMAND, 1);
    Atomics.notify(this.#words, COMMAND);
  }
}
