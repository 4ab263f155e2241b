/** Threads that run programs together with the thread that opens them, as the backend needs them; `node/team.ts` has some. */
import type { Sharing } from './cut.ts';

export interface Helpers extends Sharing {
  /** Gives them a module over a memory, in which threads wait for each other at an address. Returns the number by which they know it. */
  open(module: WebAssembly.Module, memory: WebAssembly.Memory, barrier: number): number;
  /** Has them run a stage of such a module, each with its own number; at once, and without waiting for them. */
  start(code: number, stage: number): void;
  /** Waits until each has left what it was told to run. */
  left(): void;
  /** Has them forget a module, and the memory if that was the last over it. */
  close(code: number): void;
}
