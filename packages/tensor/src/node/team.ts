/**
 * For Node only: threads that run WebAssembly together. One leads: it opens programs and starts each stage; the others wait for that, and
 * within a stage all wait for each other in the code itself. They are started where there is an event loop that hears of a thread's death.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Helpers } from '../backends/wasm/helpers.ts';

// Indices of int32 words in the control memory, each on a cache line of its own.
/** Counts commands; the threads sleep until it changes. */
export const COMMAND = 0;
/** What to run: a module and one of its stages, or NOTHING. */
export const CODE = 16;
export const STAGE = 17;
/** Counts messages that have been sent to each: they are read before a command is heeded. */
export const MESSAGES = 18;
/** Threads that sleep. */
export const SLEEPING = 32;
/** Counts commands that threads are done with. */
export const LEFT = 48;
const CONTROL_BYTES = 256;

export const NOTHING = -1;

export type TeamMessage =
  | {
      readonly kind: 'open';
      readonly code: number;
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
      /** Address of the words by which threads wait for each other. */
      readonly barrier: number;
    }
  | { readonly kind: 'close'; readonly code: number };

/** What the thread that leads is given: pass it on together with its ports. */
export interface Lead {
  readonly control: SharedArrayBuffer;
  readonly ports: readonly MessagePort[];
}

export interface TeamThreads {
  readonly lead: Lead;
  readonly threads: readonly Worker[];
  end(): Promise<void>;
}

/**
 * Starts all threads but the one that leads.
 * @param count of all of them
 * @param onDeath called once if one ends although nobody has ended it
 */
export function startTeam(count: number, onDeath: (error: Error) => void): TeamThreads {
  const control = new SharedArrayBuffer(CONTROL_BYTES);
  const ports: MessagePort[] = [];
  let ended = false;
  const died = (error: Error) => {
    if (!ended) onDeath(error);
    ended = true;
  };
  const file = import.meta.url.endsWith('.ts') ? './team-thread.ts' : './team-thread.js';
  const threads = Array.from({ length: count - 1 }, (_, index) => {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1);
    const thread = new Worker(new URL(file, import.meta.url), {
      workerData: { control, port: port2, thread: index + 1 },
      transferList: [port2],
    });
    thread.on('error', died);
    thread.on('exit', (code) => died(new Error(`a helper of the compute thread ended with code ${code}`)));
    thread.unref();
    return thread;
  });
  return {
    lead: { control, ports },
    threads,
    end: async () => {
      ended = true;
      await Promise.all(threads.map((thread) => thread.terminate()));
    },
  };
}

/** The other threads, as the one that leads sees them. */
export function leadTeam({ control, ports }: Lead): Helpers {
  const words = new Int32Array(control);
  const others = ports.length;
  let codes = 0;
  let commanded = 0;
  const send = (message: TeamMessage) => {
    for (const port of ports) port.postMessage(message);
    Atomics.add(words, MESSAGES, 1);
  };
  const start = (code: number, stage: number) => {
    words[CODE] = code;
    words[STAGE] = stage;
    commanded = (commanded + others) | 0;
    Atomics.add(words, COMMAND, 1);
    if (Atomics.load(words, SLEEPING) > 0) Atomics.notify(words, COMMAND);
  };
  const left = () => {
    // Nobody is woken for this: it is waited for where something has gone wrong, or a job has ended.
    for (let now = Atomics.load(words, LEFT); now !== commanded; now = Atomics.load(words, LEFT))
      Atomics.wait(words, LEFT, now, 1);
  };
  return {
    threads: others + 1,
    open: (module, memory, barrier) => {
      send({ kind: 'open', code: codes, module, memory, barrier });
      return codes++;
    },
    start,
    left,
    close: (code) => {
      left();
      send({ kind: 'close', code });
      start(0, NOTHING);
      left();
    },
  };
}
