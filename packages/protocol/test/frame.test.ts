import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KasaneError } from '../src/errors.ts';
import { bytesOf, decodeFrame, encodeFrame, type FrameHeader } from '../src/wire/frame.ts';

const header = {
  kind: 'gradient',
  job: 'j',
  step: 1,
  shard: 2,
  attempt: 1,
  partition: 0,
  offset: 8,
} as const;
const codeOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return error instanceof KasaneError ? error.code : `threw ${String(error)}`;
  }
  return 'nothing was thrown';
};

describe('frame codec', () => {
  it('gives back header and payload', () => {
    const payload = bytesOf(Float32Array.of(1.5, -0, Number.NaN, 3e-45));
    const frame = decodeFrame(encodeFrame(header, payload));
    expect(frame.header).toEqual(header);
    expect(Buffer.compare(frame.payload, payload)).toBe(0);
  });

  it('refuses every frame with a flipped bit or a cut end', () => {
    const good = encodeFrame(header, new Uint8Array(64).fill(5));
    fc.assert(
      fc.property(fc.nat(good.length * 8 - 1), (bit) => {
        const bad = Buffer.from(good);
        bad[bit >> 3]! ^= 1 << (bit & 7);
        // A length may now be above the limit.
        return ['PROTOCOL', 'LIMIT'].includes(codeOf(() => decodeFrame(bad)));
      }),
    );
    fc.assert(
      fc.property(
        fc.nat(good.length - 1),
        (end) => codeOf(() => decodeFrame(good.subarray(0, end))) === 'PROTOCOL',
      ),
    );
  });

  it('answers arbitrary bytes with an error of its own, never another', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        return ['PROTOCOL', 'LIMIT'].includes(codeOf(() => decodeFrame(bytes)));
      }),
    );
  });

  it.each<[string, object]>([
    ['an unknown kind', { ...header, kind: 'toString' }],
    ['no kind', {}],
    ['a negative step', { ...header, step: -1 }],
    ['a fraction', { ...header, shard: 0.5 }],
    ['a missing field', { kind: 'gradient', job: 'j' }],
    ['an endless job name', { ...header, job: 'x'.repeat(129) }],
  ])('refuses a header with %s although its digest is right', (_, bad) => {
    const frame = encodeFrame(bad as FrameHeader, new Uint8Array(4));
    expect(codeOf(() => decodeFrame(frame))).toBe('PROTOCOL');
  });

  it('refuses a header above the limit before it is sent', () => {
    expect(codeOf(() => encodeFrame({ ...header, job: 'x'.repeat(5000) }, new Uint8Array(0)))).toBe('LIMIT');
  });
});
