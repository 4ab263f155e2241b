/**
 * A parameter version as frames of the data link, in buffers that are reused once no link needs them. Faulting in new memory costs more
 * than encoding: for 50 million parameters, half a second per version, and as much again in garbage collection.
 */
import { encodeFrame, type FrameHeader, frameRoom } from '@kasane/protocol/internal/wire/frame';
import { FRAME_PAYLOAD_BYTES } from '@kasane/protocol/limits';

/** Sets of buffers kept for reuse; more than the current version and the one before are only in use while a link is slow. */
const SPARE_SETS = 2;

export interface EncodedVersion {
  readonly frames: readonly Buffer[];
  /** Keeps the bytes for one more link, until `release` has been called as often. */
  hold(): void;
  release(): void;
}

export class VersionEncoder {
  #spare: Buffer[][] = [];

  /**
   * Encodes `bytes`, split into frames of FRAME_PAYLOAD_BYTES.
   * @param headerOf the header of the part that begins at this byte; called in order
   * @returns the version, held once, for the caller
   */
  encode(bytes: Uint8Array, headerOf: (start: number, part: Uint8Array) => FrameHeader): EncodedVersion {
    return this.encodeParts(Math.ceil(bytes.length / FRAME_PAYLOAD_BYTES), (index) => {
      const start = index * FRAME_PAYLOAD_BYTES;
      const part = bytes.subarray(start, start + FRAME_PAYLOAD_BYTES);
      return [headerOf(start, part), part];
    });
  }

  /** Encodes parts with the same sizes as in earlier versions. @param partOf called in order; may reuse its payload for the next part */
  encodeParts(
    parts: number,
    partOf: (index: number) => readonly [header: FrameHeader, payload: Uint8Array],
  ): EncodedVersion {
    const rooms = this.#spare.pop() ?? [];
    const frames: Buffer[] = [];
    for (let index = 0; index < parts; index++) {
      const [header, payload] = partOf(index);
      rooms[index] ??= Buffer.allocUnsafe(frameRoom(payload.length));
      frames.push(encodeFrame(header, payload, rooms[index]));
    }
    return held(frames, () => {
      if (this.#spare.length < SPARE_SETS) this.#spare.push(rooms);
    });
  }
}

/** Small frames, in memory of their own. */
export const encodedOnce = (frames: readonly Buffer[]): EncodedVersion => held(frames, () => undefined);

function held(frames: readonly Buffer[], onFree: () => void): EncodedVersion {
  let holders = 1;
  return {
    frames,
    hold: () => {
      holders++;
    },
    release: () => {
      holders--;
      if (holders === 0) onFree();
    },
  };
}
