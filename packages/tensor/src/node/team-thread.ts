/** A thread that runs stages of programs together with others (`team.ts`). It allocates nothing while it does. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { GIVEN_UP } from '../backends/wasm/cut.ts';
import { CODE, COMMAND, LEFT, MESSAGES, NOTHING, SLEEPING, STAGE, type TeamMessage } from './team.ts';

/** Rounds that it looks for a command before it sleeps: some 20 microseconds, as long as a gap between two stages takes. */
const ROUNDS = 2000;

const { control, port, thread } = workerData as {
  control: SharedArrayBuffer;
  port: MessagePort;
  thread: number;
};
const words = new Int32Array(control);
interface Code {
  readonly stages: readonly (() => void)[];
  /** Whether the thread that leads has given up its run. */
  readonly wasGivenUp: () => boolean;
}
const codes = new Map<number, Code>();

function read(): void {
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
    const message = next.message as TeamMessage;
    if (message.kind === 'close') {
      codes.delete(message.code);
      collect();
      continue;
    }
    const { code, module, memory, barrier } = message;
    const { exports } = new WebAssembly.Instance(module, { env: { memory, thread } });
    const count = Object.keys(exports).length;
    const stages = Array.from({ length: count }, (_, index) => exports[`stage${index}`] as () => void);
    const shared = new Int32Array(memory.buffer);
    const wasGivenUp = () => Atomics.load(shared, (barrier + GIVEN_UP) / 4) === 1;
    codes.set(code, { stages, wasGivenUp });
  }
}

let collection: (() => void) | undefined;

/** A thread that makes no garbage would keep the memory of jobs that have ended. */
function collect(): void {
  if (!collection) {
    setFlagsFromString('--expose-gc');
    collection = runInNewContext('gc') as () => void;
  }
  collection();
}

function run(code: number, stage: number): void {
  try {
    codes.get(code)!.stages[stage]!();
  } catch (error) {
    if (!codes.get(code)!.wasGivenUp()) throw error;
  }
}

let seen = 0;
let messages = 0;
for (;;) {
  for (let left = ROUNDS; left > 0 && Atomics.load(words, COMMAND) === seen; left--);
  while (Atomics.load(words, COMMAND) === seen) {
    Atomics.add(words, SLEEPING, 1);
    Atomics.wait(words, COMMAND, seen);
    Atomics.sub(words, SLEEPING, 1);
  }
  seen = Atomics.load(words, COMMAND);
  const sent = Atomics.load(words, MESSAGES);
  if (sent !== messages) {
    messages = sent;
    read();
  }
  if (words[STAGE] !== NOTHING) run(words[CODE]!, words[STAGE]!);
  Atomics.add(words, LEFT, 1);
}
