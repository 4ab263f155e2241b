/** What kernels say about input that they cannot take: they leave it in memory and trap. */
import { IndexError } from '../../ops/gather.ts';

/** Where a kernel leaves an index that is out of range, and the number of rows, before it traps. */
export const FAULT_ADDRESS = 16;

/** Runs code over a memory. @throws IndexError in place of the trap, when that is why */
export function runGuarded(code: () => void, memory: ArrayBufferLike): void {
  try {
    code();
  } catch (error) {
    const fault = new Int32Array(memory, FAULT_ADDRESS, 2);
    const [index, rows] = [fault[0]!, fault[1]!];
    fault.fill(0);
    throw rows > 0 ? new IndexError(index, rows) : error;
  }
}
