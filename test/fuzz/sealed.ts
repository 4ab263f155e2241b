/** Frames whose lengths and checksum are right whatever is in them: edits then reach what is behind the checksum. */
import { checksum } from '@kasane/protocol/internal/wire/checksum';
import { FRAME_PREFIX_BYTES } from '@kasane/protocol/internal/wire/frame';

/** @param bytes the header's length in one byte, the header, the payload */
export function sealed(bytes: Buffer): Buffer {
  const head = Math.min(bytes[0] ?? 0, Math.max(0, bytes.length - 1));
  const out = Buffer.concat([Buffer.alloc(FRAME_PREFIX_BYTES), bytes.subarray(1)]);
  out.write('KSN1', 0, 'latin1');
  out.writeUInt32LE(head, 4);
  out.writeUInt32LE(out.length - FRAME_PREFIX_BYTES - head, 8);
  out.writeUInt32LE(checksum(out.subarray(FRAME_PREFIX_BYTES)), 12);
  return out;
}

/** What `sealed` makes this frame of. */
export function unsealed(frame: Buffer): Buffer {
  return Buffer.concat([Buffer.of(frame.readUInt32LE(4)), frame.subarray(FRAME_PREFIX_BYTES)]);
}
