/**
 * How V8 is told to take tensors: those that pass through, and those that are done with. Each step moves a few megabytes of buffers
 * through the HTTP/2 stack; V8's default starts a full collection for every 64 MB of them, which took more time than the step itself
 * (docs/decisions/003-garbage-collection.md).
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Call first thing in a process that carries parameters or gradients. Does nothing before Node 24, which lacks the flag. */
export function expectPassingBuffers(): void {
  if (Number(process.versions.node.split('.')[0]) < 24) return;
  // Buffers outside the heap count together with the heap, not against a small limit of their own;
  setFlagsFromString('--external-memory-accounted-in-global-limit');
  // the two together may grow by this much between full collections: a heap of 20 MB to 200 MB;
  setFlagsFromString('--heap-growing-percent=1000');
  // and short-lived objects die in a young generation of this size.
  setFlagsFromString('--min-semi-space-size=16');
}

/** A burst of ends is followed by one collection, this many milliseconds after the first. */
const SOON_MS = 500;
let collect: (() => void) | undefined;
let soon: NodeJS.Timeout | undefined;

/**
 * Collects this thread's garbage, all of it: call where a model's memory was let go. WebAssembly memories and shared memory are outside
 * what V8 weighs when it decides whether to collect, and a thread that computes makes no other garbage: each job would leave
 * its tensors behind, for hours.
 */
export function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}

/** The same a little later, for a thread that has others to answer. */
export function collectGarbageSoon(): void {
  if (soon) return;
  soon = setTimeout(() => {
    soon = undefined;
    collectGarbage();
  }, SOON_MS).unref();
}
