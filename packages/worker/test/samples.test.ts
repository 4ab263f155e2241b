import { crc32 } from 'node:zlib';
import { normalizationTable } from '@kasane/data/normalize';
import { encodeFrame } from '@kasane/protocol/frame';
import { TaskFailure_Reason } from '@kasane/protocol/gen/kasane/v1/training';
import { batchKey, type TaskData } from '@kasane/protocol/queue';
import { fetchSamples, SampleBuffers } from '@kasane/worker/samples';
import { describe, expect, it } from 'vitest';

const table = normalizationTable(0.5, 0.5);
const ids = Uint32Array.of(70_000, 3);
const task: TaskData = {
  kind: 'train',
  step: 5,
  shard: 1,
  attempt: 1,
  epoch: 0,
  samples: 2,
  parts: 2,
};
const payload = Uint8Array.of(...new Uint8Array(ids.buffer), 9, 4, 0, 51, 255, 102);
const header = { kind: 'batch', job: 'j', step: 5, shard: 1, epoch: 0, samples: 2, sampleBytes: 2 } as const;

/** What is staged, cut in the middle. */
function staged(frame: Uint8Array = encodeFrame(header, payload)) {
  const half = frame.length >> 1;
  const values = new Map([
    [batchKey('j', 'train', 5, 1, 0), Buffer.from(frame.subarray(0, half))],
    [batchKey('j', 'train', 5, 1, 1), Buffer.from(frame.subarray(half))],
  ]);
  return { values, mgetBuffer: async (...keys: string[]) => keys.map((key) => values.get(key) ?? null) };
}

const fetch = (source: ReturnType<typeof staged>, floats = 4) =>
  fetchSamples(source, 'j', task, table, new Float32Array(floats));

describe('fetchSamples', () => {
  it('puts the parts together and normalises', async () => {
    const { x, labels, ids: found, digest } = await fetch(staged());
    expect([...x]).toEqual([table[0], table[51], table[255], table[102]]);
    expect([...labels]).toEqual([9, 4]);
    expect([...found]).toEqual([...ids]);
    expect(digest).toBe(crc32(new Uint8Array(ids.buffer)));
  });

  it('says when a part is missing, and when Redis is', async () => {
    const source = staged();
    source.values.delete(batchKey('j', 'train', 5, 1, 1));
    const missing = { reason: TaskFailure_Reason.REASON_BATCH_MISSING };
    await expect(fetch(source)).rejects.toMatchObject(missing);
    const away = { ...source, mgetBuffer: () => Promise.reject(new Error('connection lost')) };
    await expect(fetch(away)).rejects.toMatchObject({
      ...missing,
      message: expect.stringMatching(/connection lost/),
    });
  });

  it.each([
    ['a flipped bit', encodeFrame(header, payload).map((byte, index) => (index === 60 ? byte ^ 4 : byte))],
    ['another step', encodeFrame({ ...header, step: 6 }, payload)],
    [
      'another kind of frame',
      encodeFrame({ kind: 'parameters', job: 'j', version: 1, partition: 0, offset: 0, total: 4 }, payload),
    ],
    ['samples of another size', encodeFrame({ ...header, sampleBytes: 3 }, payload)],
    ['a payload that is too short', encodeFrame(header, payload.subarray(1))],
  ])('refuses %s', async (_, frame) => {
    await expect(fetch(staged(frame))).rejects.toMatchObject({
      reason: TaskFailure_Reason.REASON_BATCH_DAMAGED,
    });
  });

  it('refuses samples that the model does not take', async () => {
    await expect(fetch(staged(), 8)).rejects.toMatchObject({
      reason: TaskFailure_Reason.REASON_BATCH_DAMAGED,
    });
  });
});

describe('SampleBuffers', () => {
  it('lends a buffer again, by its length, and never one that is out', () => {
    const buffers = new SampleBuffers();
    const first = buffers.take(4);
    expect(buffers.take(4)).not.toBe(first);
    buffers.give(first);
    expect(buffers.take(5)).not.toBe(first);
    expect(buffers.take(4)).toBe(first);
  });
});
