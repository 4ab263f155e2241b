import { decodeFrame, type ParametersHeader } from '@kasane/protocol/internal/wire/frame';
import { FRAME_PAYLOAD_BYTES } from '@kasane/protocol/limits';
import { describe, expect, it } from 'vitest';
import { VersionEncoder } from '../src/params/encoded-version.ts';

const BYTES = FRAME_PAYLOAD_BYTES + 400;
const header = (version: number) => (start: number) =>
  ({
    kind: 'parameters',
    ...{ job: 'j', version, partition: 0, offset: start / 4, total: BYTES / 4, digest: 7 },
  }) satisfies ParametersHeader;
const values = (of: number) => new Uint8Array(BYTES).fill(of);

describe('VersionEncoder', () => {
  it('cuts a version into frames', () => {
    const { frames } = new VersionEncoder().encode(values(5), header(3));
    const parts = frames.map((frame) => decodeFrame(frame));
    expect(parts.map((part) => part.payload.length)).toEqual([FRAME_PAYLOAD_BYTES, 400]);
    expect(parts.map((part) => part.header)).toEqual([header(3)(0), header(3)(FRAME_PAYLOAD_BYTES)]);
    expect(parts.every(({ payload }) => payload.every((byte) => byte === 5))).toBe(true);
  });

  it('uses memory again once nobody holds it, whatever the length of the headers, and not before', () => {
    const encoder = new VersionEncoder();
    const first = encoder.encode(values(1), header(1));
    first.hold();
    first.release();
    const second = encoder.encode(values(2), header(1e9));
    expect(second.frames[0]!.buffer).not.toBe(first.frames[0]!.buffer);
    expect(decodeFrame(first.frames[1]!).payload[399]).toBe(1);
    first.release();
    const third = encoder.encode(values(3), header(2e9));
    expect(third.frames[0]!.buffer).toBe(first.frames[0]!.buffer);
    expect(decodeFrame(third.frames[1]!).payload[399]).toBe(3);
    expect(decodeFrame(second.frames[1]!).payload[399]).toBe(2);
  });
});
