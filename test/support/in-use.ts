/** How much memory this thread uses, whenever its garbage is collected. */
import { collectGarbage } from '@kasane/protocol/internal/wire/garbage';

/**
 * Bytes of this thread that are in use. V8 frees the array buffers that a collection found on another thread, and counts them until
 * then; the next collection waits for that.
 */
export function bytesInUse(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
