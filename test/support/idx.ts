/** Files in the IDX format of the MNIST family. */
import { writeFileSync } from 'node:fs';

/** Writes unsigned bytes. @param shape first the number of samples */
export function writeIdx(path: string, shape: readonly number[], bytes: Uint8Array): void {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header[2] = 8;
  header[3] = shape.length;
  for (const [axis, extent] of shape.entries()) header.writeUInt32BE(extent, 4 + 4 * axis);
  writeFileSync(path, Buffer.concat([header, bytes]));
}
