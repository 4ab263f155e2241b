/**
 * The compute thread of a slot. It sleeps in Atomics.wait between commands, so that starting a step costs no message;
 * sessions are opened and closed by messages that it reads when it is woken. A step allocates nothing here.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type MathMode, selectKernel } from '@kasane/tensor/backends/wasm/kernels';
import { openWasmSession, type WasmProgram } from '@kasane/tensor/backends/wasm/session';
import { buildModel, type ModelDescription } from '@kasane/tensor/nn/model';
import { enableRevectorization } from '@kasane/tensor/node/v8-flags';
import type { ProgramRequest } from '@kasane/tensor/training';
import {
  COMMAND,
  COMPUTE_MS,
  FAILED,
  PROGRAM,
  RUNNING,
  SESSION,
  type SlotRequest,
  type SlotResponse,
  STAGE,
} from './slot-protocol.ts';

const port = parentPort!;
const { control } = workerData as { control: SharedArrayBuffer };
const words = new Int32Array(control);
const numbers = new Float64Array(control);
const sessions = new Map<number, WasmProgram[]>();

enableRevectorization();
const { name, revectorized, warning } = selectKernel();
const say = (message: SlotResponse) => port.postMessage(message);
say({
  kind: 'ready',
  kernel: `wasm ${name}${revectorized ? ' revectorized' : ''}`,
  ...(warning && { warning }),
});

async function open(
  session: number,
  description: ModelDescription,
  requests: readonly ProgramRequest[],
  math: MathMode,
): Promise<void> {
  try {
    const opened = await openWasmSession(buildModel(description), requests, { memory: 'shared', math });
    const { warning } = selectKernel(math);
    sessions.set(
      session,
      requests.map((request) => opened.program(request)),
    );
    say({
      kind: 'opened',
      session,
      memory: opened.memory.buffer as ArrayBufferLike as SharedArrayBuffer,
      layout: opened.layout,
      ...(warning && { warning }),
    });
  } catch (error) {
    say({ kind: 'refused', session, message: (error as Error).message });
  }
}

function run(): void {
  const started = performance.now();
  const stages = sessions.get(words[SESSION]!)![words[PROGRAM]!]!.stages;
  for (let index = 0; index < stages.length; index++) {
    stages[index]!.run();
    if (index === stages.length - 1) numbers[COMPUTE_MS] = performance.now() - started;
    Atomics.store(words, STAGE, index + 1);
    Atomics.notify(words, STAGE);
  }
}

let seen = 0;
for (;;) {
  Atomics.wait(words, COMMAND, seen);
  seen = Atomics.load(words, COMMAND);
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
    const message = next.message as SlotRequest;
    if (message.kind === 'open') await open(message.session, message.model, message.requests, message.math);
    else if (message.kind === 'close') sessions.delete(message.session);
    else process.exit(0);
  }
  if (Atomics.compareExchange(words, RUNNING, 1, 0) === 1) {
    try {
      run();
    } catch (error) {
      say({ kind: 'threw', message: (error as Error).message });
      Atomics.store(words, STAGE, FAILED);
      Atomics.notify(words, STAGE);
    }
  }
}
