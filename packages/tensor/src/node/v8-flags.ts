/** For Node only: asks V8 to pair 128-bit SIMD operations into 256-bit ones. */
import { setFlagsFromString } from 'node:v8';
import { expectRevectorization } from '../backends/wasm/kernels.ts';

/**
 * Turns on what makes 16-wide kernels fast, where this Node has it. Call in each thread before anything of the tensor
 * package's wasm backend is used there. The kernels' self-test guards against an engine in which it does not work.
 *
 * Node 24 and later have the flag and heed it; Node 22 takes it without effect. It matters on x64, whose CPUs have
 * 256-bit registers.
 */
export function enableRevectorization(): boolean {
  const major = Number(process.versions.node.split('.')[0]);
  const worthwhile = major >= 24 && process.arch === 'x64';
  if (worthwhile) {
    setFlagsFromString('--experimental-wasm-revectorize');
    // Only the optimizing compiler pairs operations, and V8 reserves it, in another thread, for code that has run for a
    // while: then the self-test would judge other code than the one that trains. With these two a function is optimized at once
    // when it has run for some microseconds. (A budget of 1 costs a call into the engine at each turn of each loop of the
    // first run, which took seconds. `--no-liftoff` says it more directly, but Node 26 then ends the process unless inlining
    // is off too, and turning that off once V8 runs corrupts the next thread that starts.)
    setFlagsFromString('--wasm-sync-tier-up');
    setFlagsFromString('--wasm-tiering-budget=30000');
  }
  expectRevectorization(worthwhile);
  return worthwhile;
}
