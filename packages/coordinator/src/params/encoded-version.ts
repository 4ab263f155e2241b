/**
 * A version of the parameters as frames of the data link, in memory that is used again once no link needs it. The pages of new
 * memory cost more than encoding: for 50 million parameters in new buffers half a second a version, and as much for the collector.
 */
import { encodeFrame, type FrameHeader, frameRoom } from '@kasane/protocol/internal/wire/frame';
import { FRAME_PAYLOAD_BYTES } from '@kasane/protocol/limits';

/** Sets of buffers that lie ready; more than the present version and the one before are only in use while a link is slow. */
const SPARE_SETS = 2;

export interface EncodedVersion {
  readonly frames: readonly Buffer[];
  /** A link is to send it: its bytes stay until as many calls of `release`. */
  hold(): void;
  release(): void;
}

export class VersionEncoder {
  #spare: Buffer[][] = [];

  /**
   * Encodes `bytes`, cut into frames of FRAME_PAYLOAD_BYTES.
   * @param headerOf the header of a part that begins at this byte; asked from the first part to the last
   * @returns the version, held once: by whom it was made for
   */
  encode(bytes: Uint8Array, headerOf: (start: number, part: Uint8Array) => FrameHeader): EncodedVersion {
    return this.encodeParts(Math.ceil(bytes.length / FRAME_PAYLOAD_BYTES), (index) => {
      const start = index * FRAME_PAYLOAD_BYTES;
      const part = bytes.subarray(start, start + FRAME_PAYLOAD_BYTES);
      return [headerOf(start, part), part];
    });
  }

  /**
   * Encodes parts whose sizes are those of the versions before.
   * @param partOf asked from the first part to the last; the payload may be used again for the next
   */
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

/** Frames of a few bytes, in memory of their own. */
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
