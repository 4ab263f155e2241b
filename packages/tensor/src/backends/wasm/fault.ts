/** What kernels say about input that they cannot take: they leave it in memory and trap. */
import { FAULT_BYTES, faultOf } from '../../ops/fault.ts';

/** Where a kernel leaves the words of a fault (see `faultOf`) before it traps. */
export const FAULT_ADDRESS = 16;

/** Runs code over a memory. @throws IndexError or LabelError in place of the trap, when that is why */
export function runGuarded(code: () => void, memory: ArrayBufferLike): void {
  try {
    code();
  } catch (error) {
    const words = new Int32Array(memory, FAULT_ADDRESS, FAULT_BYTES / 4);
    const fault = faultOf(words);
    words.fill(0);
    throw fault ?? error;
  }
}
