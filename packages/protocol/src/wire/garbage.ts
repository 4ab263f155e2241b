/**
 * How V8 is told to take tensors: those that pass through, and those that are done with. Each step moves a few megabytes of buffers
 * through the HTTP/2 stack; V8's default starts a full collection for every 64 MB of them, which took more time than the step itself
 * (docs/decisions/003-garbage-collection.md).
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** So often, in milliseconds, the main thread looks how much has gathered since its last collection. */
const LOOK_MS = 20_000;
/** It collects where it holds this many bytes more than that collection left: an idle process gathers less between two looks, */
const GATHERED_BYTES = 2 ** 25;
/** and so many looks after the last end: what is kept for half a minute, for whoever comes next, is let go by then. */
const SETTLED = 3;

/**
 * Call in a process that will carry parameters or gradients, once what it starts with is loaded: with other flags than Node was built with,
 * V8 compiles Node's own modules anew, which makes each thread start 20 ms later. Before Node 24, which lacks the first flag, V8 keeps its
 * defaults.
 * What V8 then lets gather is collected here when little happens: a process that others only look at would grow to ten times its size.
 */
export function expectPassingBuffers(): void {
  lookNowAndThen();
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
let collect: ((options: object) => void) | undefined;
let soon: NodeJS.Timeout | undefined;
let looking = false;
/** Looks since the last end. */
let looks = 0;
/** Bytes that the last collection left. */
let left = 0;

function lookNowAndThen(): void {
  if (looking) return;
  looking = true;
  setInterval(() => {
    if (++looks === SETTLED || (left > 0 && held() > left + GATHERED_BYTES)) collectOnce();
    // What a process holds once it has started is what it needs.
    if (left === 0) left = held();
  }, LOOK_MS).unref();
}

/** Bytes of this thread's objects, and of buffers that they own. */
function held(): number {
  const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics();
  return objects + buffers;
}

/**
 * Collects this thread's garbage, all of it, and gives its pages back: call where a model's memory was let go. WebAssembly memories and
 * shared memory are outside what V8 weighs when it decides whether to collect, and a thread that computes makes no other garbage: each
 * job would leave its tensors behind, for hours.
 */
export function collectGarbage(): void {
  // The last resort also shrinks the heap. A thread that sleeps between jobs never gets to it otherwise.
  collectAs('last-resort');
}

/** One collection, a quarter of what the last resort takes: this thread answers others. */
const collectOnce = () => collectAs('regular');

function collectAs(flavor: 'regular' | 'last-resort'): void {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as (options: object) => void;
  }
  collect({ type: 'major', execution: 'sync', flavor });
  left = held();
}

/** The same a little later, for a thread that has others to answer. */
export function collectGarbageSoon(): void {
  if (soon) return;
  soon = setTimeout(() => {
    soon = undefined;
    looks = 0;
    collectOnce();
  }, SOON_MS).unref();
}
