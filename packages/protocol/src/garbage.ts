/**
 * How V8 is told to take tensors that pass through. Each step moves a few megabytes of buffers through the HTTP/2 stack;
 * V8's default starts a full collection for every 64 MB of them, which took more time than the step itself
 * (docs/decisions/garbage-collection.md).
 */
import { setFlagsFromString } from 'node:v8';

/** Call first thing in a process that carries parameters or gradients. Does nothing before Node 24, which lacks the flag. */
export function expectPassingBuffers(): void {
  if (Number(process.versions.node.split('.')[0]) < 24) return;
  setFlagsFromString('--external-memory-accounted-in-global-limit');
  setFlagsFromString('--min-semi-space-size=16');
}
