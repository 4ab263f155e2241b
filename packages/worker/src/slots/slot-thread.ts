/**
 * The compute thread of a slot. It sleeps in Atomics.wait between commands, so that starting a step costs no message;
 * sessions are opened and closed by messages that it reads when it is woken. A step on wasm allocates nothing here.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { collectGarbage } from '@kasane/protocol/internal/wire/garbage';
import { ARRIVING_BYTES, GRADIENT_BYTES } from '@kasane/protocol/limits';
import {
  type Stage as BackendStage,
  DeviceLostError,
  type Eventually,
  type KernelTime,
  type MathMode,
} from '@kasane/tensor/backends/backend';
import { type Lead, leadTeam } from '@kasane/tensor/internal/node/team';
import { buildModel, type Model, type ModelDescription } from '@kasane/tensor/nn/model';
import type { ProgramRequest } from '@kasane/tensor/training';
import { type KernelSpan, traceClock } from '../observe/trace.ts';
import { openBackends } from './backends.ts';
import type { SessionOptions } from './compute-slots.ts';
import type { Compute } from './gpu.ts';
import { GradientSums } from './gradient-sums.ts';
import type { LocalUpdates } from './local-updates.ts';
import type { RoundedGradients } from './rounded-gradients.ts';
import {
  ABANDONED,
  ARRIVED,
  COMMAND,
  COMPUTE_MS,
  FACTOR,
  FAILED,
  GRADIENTS,
  GRADIENTS_ALL,
  GRADIENTS_FIRST,
  GRADIENTS_LAST,
  GRADIENTS_MORE,
  LEARNING_RATE,
  LOCAL_STEP,
  PROGRAM,
  RUN,
  RUNNING,
  SESSION,
  SHARD,
  type SlotRequest,
  type SlotResponse,
  STAGE,
  STEP,
  SUM_IS_KEPT,
  SUMS_ADDED,
  SUMS_KEPT,
  UPDATE,
  UPDATE_BEGIN,
  UPDATE_KIND,
  UPDATE_STEP,
} from './slot-protocol.ts';

const port = parentPort!;
const { control, compute, lead } = workerData as {
  control: SharedArrayBuffer;
  compute: Compute;
  /** The threads that compute together with this one. */
  lead: Lead | undefined;
};
const { profile = false } = compute;
const words = new Int32Array(control);
const numbers = new Float64Array(control);
interface Stage extends Pick<BackendStage, 'run' | 'ready' | 'needs'> {
  /** Whether the main thread is woken after it. */
  readonly wakes: boolean;
}
/** What a session can run: the stages of each program, in order. */
interface Opened {
  readonly sums: GradientSums;
  /** Undefined: its job has no local steps. */
  readonly updates: LocalUpdates | undefined;
  /** Undefined: its job exchanges float32. */
  readonly rounded: RoundedGradients | undefined;
  readonly programs: readonly (readonly Stage[])[];
  /** In a profile: what the last run computed. */
  readonly spans: KernelSpan[];
  readonly close: () => void;
}
const sessions = new Map<number, Opened>();

const say = (message: SlotResponse) => port.postMessage(message);
const backends = await openBackends(compute, lead && leadTeam(lead));
say({
  kind: 'ready',
  kernel: backends.kernel,
  ...(backends.warning && { warning: backends.warning }),
});

// What few jobs have is loaded by those: each thread has its modules to itself, and the first step waits for them.
const openUpdates: typeof LocalUpdates.open = async (...of) =>
  (await import('./local-updates.ts')).LocalUpdates.open(...of);
const openRounded = async (...of: ConstructorParameters<typeof RoundedGradients>) =>
  new (await import('./rounded-gradients.ts')).RoundedGradients(...of);

async function open(
  session: number,
  description: ModelDescription,
  requests: readonly ProgramRequest[],
  math: MathMode,
  { local, rounding }: SessionOptions,
): Promise<void> {
  say({ kind: 'opening', session });
  try {
    const model = buildModel(description);
    const { backend, warning } = backends.choose(math);
    const opened = await backend.open(model, requests, {
      ...{ memory: 'shared', math, profile, arriving: ARRIVING_BYTES / 4 },
    });
    const spans: KernelSpan[] = [];
    const programs = opened.stages.map((stages) =>
      stagesOf(model, profile ? stages.map((stage) => timed(stage, spans)) : stages),
    );
    const sums = new GradientSums(model, opened.memory, opened.layout);
    const updates = local && (await openUpdates(model, local, opened.memory, opened.layout));
    const { offset, length } = opened.layout.gradients;
    // What a round has changed lies where its version came.
    const gradients = updates
      ? new Float32Array(updates.exchanged)
      : new Float32Array(opened.memory, offset, length);
    const rounded = rounding && (await openRounded(model, rounding, gradients));
    sessions.set(session, { sums, updates, rounded, programs, spans, close: () => opened.destroy() });
    say({
      kind: 'opened',
      session,
      memory: opened.memory as SharedArrayBuffer,
      layout: opened.layout,
      exchanged: updates?.exchanged,
      ...(warning && { warning }),
    });
  } catch (error) {
    say({ kind: 'refused', session, message: (error as Error).message });
  }
}

/** A stage that says when its kernels were computed, as far as its backend does. */
function timed(stage: BackendStage, spans: KernelSpan[]): BackendStage {
  const run = (): Eventually<void> => {
    if (!stage.profile) return stage.run();
    const began = traceClock();
    const note = (kernels: readonly KernelTime[]) => {
      for (const { op, origin, start, duration } of kernels) {
        spans.push({ op, ...origin, start: began + start / 1e6, duration: duration / 1e6 });
      }
    };
    const computed = stage.profile();
    return computed instanceof Promise ? computed.then(note) : note(computed);
  };
  return { ...stage, run };
}

/** The main thread is woken when there is enough to send: for a small model a wake-up costs a tenth of the computation. */
function stagesOf(model: Model, stages: readonly BackendStage[]): Stage[] {
  let bytes = 0;
  return stages.map((stage, index) => {
    for (const parameter of stage.ready) bytes += 4 * model.parameters[parameter]!.size;
    const wakes = bytes >= GRADIENT_BYTES || index === stages.length - 1;
    if (wakes) bytes = 0;
    const { run, ready, needs } = stage;
    return { run, ready, needs, wakes };
  });
}

/**
 * Sleeps until so many floats of the parameters are there.
 * @returns the milliseconds it slept; undefined where nobody needs the run any more
 */
function arrival(floats: number): number | undefined {
  const began = performance.now();
  for (;;) {
    const arrived = Atomics.load(words, ARRIVED);
    if (arrived === ABANDONED) return undefined;
    if (arrived >= floats) return performance.now() - began;
    Atomics.wait(words, ARRIVED, arrived);
  }
}

async function run(): Promise<void> {
  let started = performance.now();
  const { sums, rounded, programs, spans } = sessions.get(words[SESSION]!)!;
  const stages = programs[words[PROGRAM]!]!;
  const gradients = words[GRADIENTS];
  const isWhole = gradients === GRADIENTS_ALL || gradients === GRADIENTS_LAST;
  const shards = { kept: words[SUMS_KEPT]!, added: words[SUMS_ADDED]! };
  for (let index = 0; index < stages.length; index++) {
    const slept = arrival(stages[index]!.needs);
    if (slept === undefined) {
      Atomics.store(words, STAGE, FAILED);
      Atomics.notify(words, STAGE);
      return;
    }
    started += slept;
    const computing = stages[index]!.run();
    if (computing) await computing;
    if (gradients === GRADIENTS_LAST) sums.addTo(stages[index]!.ready);
    else if (index === stages.length - 1) {
      if (gradients === GRADIENTS_FIRST) sums.keep();
      else if (gradients === GRADIENTS_MORE) sums.add();
    }
    if (isWhole && shards.added > 0) sums.addShardsTo(stages[index]!.ready, shards);
    if (isWhole && words[SUM_IS_KEPT] === 1 && index === stages.length - 1) sums.keepShards(shards);
    if (words[SHARD]! >= 0 && isWhole) rounded?.round(stages[index]!.ready, words[STEP]!, words[SHARD]!);
    if (index === stages.length - 1) {
      numbers[COMPUTE_MS] = performance.now() - started;
      // Before the last stage is known: whoever waits for that may end the thread, and what was not yet said is lost.
      if (profile) say({ kind: 'computed', kernels: spans.splice(0) });
    }
    Atomics.store(words, STAGE, index + 1);
    if (stages[index]!.wakes) Atomics.notify(words, STAGE);
  }
}

function update(): void {
  const { updates, rounded } = sessions.get(words[SESSION]!)!;
  const kind = words[UPDATE_KIND];
  const factor = numbers[FACTOR]!;
  if (kind === UPDATE_BEGIN) updates!.begin();
  else if (kind === UPDATE_STEP) updates!.step(words[LOCAL_STEP]!, numbers[LEARNING_RATE]!, factor);
  else {
    updates!.end(factor);
    rounded?.roundAll(words[STEP]!, words[SHARD]!);
  }
  Atomics.store(words, STAGE, 1);
  Atomics.notify(words, STAGE);
}

let seen = 0;
for (;;) {
  Atomics.wait(words, COMMAND, seen);
  seen = Atomics.load(words, COMMAND);
  let closed = false;
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
    const message = next.message as SlotRequest;
    if (message.kind === 'open') {
      const { session, model, requests, math, how } = message;
      await open(session, model, requests, math, how);
    } else if (message.kind === 'close') {
      sessions.get(message.session)?.close();
      sessions.delete(message.session);
      closed = true;
    } else {
      // A thread that ends with a device open may hang in Dawn.
      backends.close();
      process.exit(0);
    }
  }
  if (closed) collectGarbage();
  const asked = Atomics.exchange(words, RUNNING, 0);
  if (asked !== 0) {
    try {
      if (asked === RUN) await run();
      else if (asked === UPDATE) update();
    } catch (error) {
      // The thread's end says so: nobody is lent a slot whose device is gone. The pool starts another, with the device there is then.
      if (error instanceof DeviceLostError) throw error;
      say({ kind: 'threw', message: (error as Error).message });
      Atomics.store(words, STAGE, FAILED);
      Atomics.notify(words, STAGE);
    }
  }
}
