/**
 * The compute thread of a slot. It sleeps in Atomics.wait between commands, so that starting a step costs no message;
 * sessions are opened and closed by messages that it reads when it is woken. A step on wasm allocates next to nothing here.
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
import { type ProgramLayout, type ProgramViews, viewsOf } from '@kasane/tensor/backends/layout';
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
  UPDATE_KIND,
  UPDATE_STEP,
} from './slot-protocol.ts';
import { type TaskRow, TaskTable } from './task-table.ts';

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
interface Program {
  readonly layout: ProgramLayout;
  readonly views: ProgramViews;
  /** In order. */
  readonly stages: readonly Stage[];
}
/** What a session can run. */
interface Opened {
  readonly sums: GradientSums;
  /** Undefined: its job has no local steps. */
  readonly updates: LocalUpdates | undefined;
  /** Undefined: its job exchanges float32. */
  readonly rounded: RoundedGradients | undefined;
  readonly programs: readonly Program[];
  /** All of its memory. */
  readonly words: Uint32Array;
  /** Inputs of tasks, by the number that runs call them. */
  readonly inputs: Float32Array[];
  /** When profiling: the kernels of the last run. */
  readonly spans: KernelSpan[];
  readonly close: () => void;
}
const sessions = new Map<number, Opened>();
let table = new TaskTable(new SharedArrayBuffer(0));

const say = (message: SlotResponse) => port.postMessage(message);
const backends = await openBackends(compute, lead && leadTeam(lead));
say({
  kind: 'ready',
  kernel: backends.kernel,
  ...(backends.warning && { warning: backends.warning }),
});

// Imported only for jobs that need it: each thread loads its own modules, and the first step waits for them.
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
    const programs = opened.stages.map((stages, index) => {
      const layout = opened.layout.programs[index]!;
      return {
        ...{ layout, views: viewsOf(opened.memory, layout) },
        stages: stagesOf(model, profile ? stages.map((stage) => timed(stage, spans)) : stages),
      };
    });
    const sums = new GradientSums(model, opened.memory, opened.layout);
    const updates = local && (await openUpdates(model, local, opened.memory, opened.layout));
    const { offset, length } = opened.layout.gradients;
    // The changes of a round are where its version arrived.
    const gradients = updates
      ? new Float32Array(updates.exchanged)
      : new Float32Array(opened.memory, offset, length);
    const rounded = rounding && (await openRounded(model, rounding, gradients));
    sessions.set(session, {
      ...{ sums, updates, rounded, programs, spans, inputs: [] },
      words: new Uint32Array(opened.memory),
      close: () => opened.destroy(),
    });
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

/** A stage that also records when its kernels ran, as far as its backend knows. */
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

/** Wakes the main thread only when there is enough to send: for a small model, a wake-up costs a tenth of the computation. */
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

/** Sleeps until this many floats of the parameters have arrived. @returns the milliseconds slept; undefined if the run was abandoned */
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
  const opened = sessions.get(words[SESSION]!)!;
  const { programs, spans } = opened;
  const x = opened.inputs[words[INPUTS]!]!;
  const last = table.pieces - 1;
  for (let piece = 0; piece <= last; piece++) {
    const row = table.row(piece);
    const { layout, views, stages } = programs[row.program]!;
    const from = (row.start * layout.x.length) / layout.samples;
    views.x.set(x.subarray(from, from + layout.x.length));
    table.copy(row.start, layout, opened.words);
    for (let index = 0; index < stages.length; index++) {
      const stage = stages[index]!;
      const isEnd = index === stages.length - 1;
      const slept = arrival(stage.needs);
      if (slept === undefined) {
        Atomics.store(words, STAGE, FAILED);
        Atomics.notify(words, STAGE);
        return;
      }
      started += slept;
      const computing = stage.run();
      if (computing) await computing;
      addUp(opened, row, stage.ready, isEnd);
      if (isEnd) {
        const counted = views.counted[0] ?? layout.samples;
        const [lossSum, metricSum] = [views.lossSum[0]!, views.metricSum[0]!];
        table.setResults(piece, { lossSum, metricSum, counted, weight: views.weight[0] ?? counted });
      }
      if (piece < last) continue;
      if (isEnd) {
        numbers[COMPUTE_MS] = performance.now() - started;
        // Before the last stage is known: whoever waits for that may end the thread, and what was not yet said is lost.
        if (profile) say({ kind: 'computed', kernels: spans.splice(0) });
      }
      Atomics.store(words, STAGE, index + 1);
      if (stage.wakes) Atomics.notify(words, STAGE);
    }
  }
}

/** Adds to the gradients of these parameters, which are there, those of earlier pieces. @param isEnd whether they are the last */
function addUp({ sums, rounded }: Opened, row: TaskRow, ready: readonly number[], isEnd: boolean): void {
  const { gradients, added, isKept } = row;
  if (gradients === GRADIENTS_LAST) sums.addTo(ready);
  else if (isEnd && gradients === GRADIENTS_FIRST) sums.keep();
  else if (isEnd && gradients === GRADIENTS_MORE) sums.add();
  if (gradients !== GRADIENTS_ALL && gradients !== GRADIENTS_LAST) return;
  if (added > 0) sums.addShardsTo(ready, row);
  if (isKept && isEnd) sums.keepShards(row);
  if (words[SHARD]! >= 0) rounded?.round(ready, words[STEP]!, words[SHARD]!);
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
  // Before messages are read: those that a run needs are posted before it is asked for.
  const asked = Atomics.exchange(words, RUNNING, 0);
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
    } else if (message.kind === 'table') table = new TaskTable(message.memory);
    else if (message.kind === 'inputs') {
      const { session, number, x } = message;
      const opened = sessions.get(session);
      if (opened) opened.inputs[number] = x;
    } else {
      // A thread that ends with a device open may hang in Dawn.
      backends.close();
      process.exit(0);
    }
  }
  if (closed) collectGarbage();
  if (asked !== 0) {
    try {
      if (asked === RUN) await run();
      else if (asked === UPDATE) update();
    } catch (error) {
      // Ends the thread, so that a slot without its device is never lent. The pool starts another with whatever device is available then.
      if (error instanceof DeviceLostError) throw error;
      say({ kind: 'threw', message: (error as Error).message });
      Atomics.store(words, STAGE, FAILED);
      Atomics.notify(words, STAGE);
    }
  }
}
