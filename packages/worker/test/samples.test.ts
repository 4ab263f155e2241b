import { crc32 } from 'node:zlib';
import { normalizationTable } from '@kasane/data/internal/normalize';
import { TaskFailure_Reason } from '@kasane/protocol/gen/kasane/v1/training';
import { batchKey, type TaskData } from '@kasane/protocol/internal/queue/queue';
import { digestOfBatch } from '@kasane/protocol/internal/queue/task-signature';
import { encodeFrame } from '@kasane/protocol/internal/wire/frame';
import type { Field } from '@kasane/tensor/internal/field';
import { SampleBuffers, sharedFloats } from '@kasane/worker/internal/samples/sample-buffers';
import { sampleReader } from '@kasane/worker/internal/samples/sample-reader';
import { fetchSamples } from '@kasane/worker/internal/samples/samples';
import { describe, expect, it } from 'vitest';

const table = normalizationTable(0.5, 0.5);
const pair = { dtype: 'u8', shape: [2] } as const;
const one = { dtype: 'u8', shape: [] } as const;
const readerOf = () =>
  sampleReader(
    {
      input: { dtype: 'u8', shape: [2] },
      target: { dtype: 'u8', shape: [] },
      mean: [0.5],
      std: [0.5],
      augment: [],
    },
    1,
  );
const ids = Uint32Array.of(70_000, 3);
const task: TaskData = {
  kind: 'train',
  step: 5,
  shard: 1,
  attempt: 1,
  epoch: 0,
  first: 0,
  samples: 2,
  parts: 2,
};
const payload = Uint8Array.of(...new Uint8Array(ids.buffer), 9, 4, 0, 51, 255, 102);
const header = {
  kind: 'batch',
  job: 'j',
  step: 5,
  shard: 1,
  epoch: 0,
  samples: 2,
  input: pair,
  target: one,
} as const;

const keys = { job: 'j', prefix: 'p' };
const nothing = { read: () => Promise.reject(new Error('out of reach here')) };

/** What is staged, cut in the middle. */
function staged(frame: Uint8Array = encodeFrame(header, payload)) {
  const half = frame.length >> 1;
  const values = new Map([
    [batchKey('p', 'train', 5, 1, 0), Buffer.from(frame.subarray(0, half))],
    [batchKey('p', 'train', 5, 1, 1), Buffer.from(frame.subarray(half))],
  ]);
  return {
    frame,
    values,
    mgetBuffer: async (...keys: string[]) => keys.map((key) => values.get(key) ?? null),
  };
}

/** The task, as the coordinator queues it. */
const signed = (frame: Uint8Array): TaskData => ({ ...task, digest: digestOfBatch(frame) });

const fetch = (source: ReturnType<typeof staged>, reader = readerOf()) =>
  fetchSamples(
    source,
    keys,
    { ...task, digest: digestOfBatch(source.frame) },
    reader,
    new Float32Array(4),
    nothing,
  );

describe('fetchSamples', () => {
  it('puts the parts together and normalises', async () => {
    const { x, target, ids: found, digest } = await fetch(staged());
    expect([...x]).toEqual([table[0], table[51], table[255], table[102]]);
    expect(target).toEqual(Int32Array.of(9, 4));
    expect([...found]).toEqual([...ids]);
    expect(digest).toBe(crc32(new Uint8Array(ids.buffer)));
  });

  it('refuses a batch that somebody has replaced, though it is a whole one', async () => {
    const other = staged(encodeFrame(header, Uint8Array.of(...payload.subarray(0, -1), 7)));
    await expect(fetch({ ...other, frame: staged().frame })).rejects.toMatchObject({
      reason: TaskFailure_Reason.REASON_BATCH_DAMAGED,
      message: expect.stringContaining('another program has replaced it'),
    });
  });

  it('says when a part is missing, and when Redis is', async () => {
    const source = staged();
    source.values.delete(batchKey('p', 'train', 5, 1, 1));
    const missing = { reason: TaskFailure_Reason.REASON_BATCH_MISSING };
    await expect(fetch(source)).rejects.toMatchObject(missing);
    const away = { ...source, mgetBuffer: () => Promise.reject(new Error('connection lost')) };
    await expect(fetch(away)).rejects.toMatchObject({
      ...missing,
      message: expect.stringMatching(/connection lost/),
    });
  });

  it.each([
    ['a number', 1],
    ['nothing', null],
    ['too few parts', [Buffer.from('x')]],
    ['other types', [1, [Buffer.from('x')]]],
  ])('has not failed to compute where Redis answers %s', async (_, answer) => {
    const odd = { ...staged(), mgetBuffer: async () => answer as Buffer<ArrayBuffer>[] };
    await expect(fetch(odd)).rejects.toMatchObject({
      reason: TaskFailure_Reason.REASON_BATCH_MISSING,
      message: expect.stringContaining('Redis answered something else'),
    });
  });

  it.each([
    ['a flipped bit', encodeFrame(header, payload).map((byte, index) => (index === 60 ? byte ^ 4 : byte))],
    ['another step', encodeFrame({ ...header, step: 6 }, payload)],
    [
      'another kind of frame',
      encodeFrame(
        { kind: 'parameters', job: 'j', version: 1, partition: 0, offset: 0, total: 4, digest: 0 },
        payload,
      ),
    ],
    ['samples of another size', encodeFrame({ ...header, input: { dtype: 'u8', shape: [3] } }, payload)],
    ['a payload that is too short', encodeFrame(header, payload.subarray(1))],
  ])('refuses %s', async (_, frame) => {
    await expect(fetch(staged(frame))).rejects.toMatchObject({
      reason: TaskFailure_Reason.REASON_BATCH_DAMAGED,
    });
  });

  it('reads what is not staged itself, or says why not', async () => {
    const own = { ...task, parts: 0 };
    const [targets, inputs] = [Uint8Array.of(9, 4), Uint8Array.of(0, 51, 255, 102)];
    const untouched = { mgetBuffer: () => Promise.reject(new Error('asked')) };
    const read = (from: Parameters<typeof fetchSamples>[5]) =>
      fetchSamples(untouched, keys, own, readerOf(), new Float32Array(4), from);
    const { x, target, digest } = await read({ read: async () => ({ ids, inputs, targets }) });
    expect([...x]).toEqual([table[0], table[51], table[255], table[102]]);
    expect(target).toEqual(Int32Array.of(9, 4));
    expect(digest).toBe(crc32(new Uint8Array(ids.buffer)));
    await expect(read(nothing)).rejects.toMatchObject({
      reason: TaskFailure_Reason.REASON_BATCH_MISSING,
      message: 'out of reach here',
    });
  });

  it('reads tokens, numbers and their targets, wherever the frame begins', async () => {
    const [tokens, numbers] = [
      { dtype: 'i32', shape: [3] },
      { dtype: 'f32', shape: [2] },
    ] as const;
    const bytes = (array: Int32Array | Float32Array) => new Uint8Array(array.buffer);
    const read = async (
      input: Field,
      target: Field,
      inputs: Int32Array | Float32Array,
      targets: typeof inputs,
    ) => {
      const body = Buffer.concat([bytes(new Int32Array(ids.buffer)), bytes(targets), bytes(inputs)]);
      const frame = encodeFrame({ ...header, input, target }, body);
      const format = { input: plain(input), target: plain(target), mean: [0], std: [1], augment: [] };
      const x = new Float32Array(inputs.length);
      const samples = await fetchSamples(
        staged(frame),
        keys,
        signed(frame),
        sampleReader(format, 1),
        x,
        nothing,
      );
      return [[...x], samples.target];
    };
    const plain = ({ dtype, shape }: Field) => ({ dtype, shape: [...shape] });
    const text = Int32Array.of(1, 70_000, 3, 4, 5, 6);
    expect(
      await read(
        tokens,
        tokens,
        text,
        text.map((t) => -t),
      ),
    ).toEqual([[...text], text.map((t) => -t)]);
    const [rows, goals] = [Float32Array.of(0.5, -1, 2, 1e-9), Float32Array.of(0.25, 3)];
    const one = { dtype: 'f32', shape: [1] } as const;
    expect(await read(numbers, one, rows, goals)).toEqual([[...rows], goals]);
  });
});

describe('a sample reader', () => {
  const image = { dtype: 'u8', shape: [6, 6, 3] } as const;
  const bytes = Uint8Array.from({ length: 2 * 108 }, (_, i) => (i * 37) % 256);
  const reader = sampleReader(
    {
      input: { dtype: 'u8', shape: [...image.shape] },
      target: { dtype: 'i32', shape: [] },
      mean: [0.4, 0.5, 0.6],
      std: [0.2, 0.2, 0.2],
      augment: [
        { type: 'crop', padding: 2 },
        { type: 'flip', axis: 'horizontal', probability: 0.5 },
      ],
    },
    5,
  );
  const read = (kind: 'train' | 'evaluate', samples: number[], epoch: number) => {
    const x = new Float32Array(108 * samples.length);
    const inputs = Buffer.concat(samples.map((id) => bytes.subarray(id * 108, (id + 1) * 108)));
    const before = Buffer.from(inputs);
    reader.read(inputs, new Uint8Array(4 * samples.length), x, {
      kind,
      epoch,
      ids: Uint32Array.from(samples),
    });
    expect(inputs).toEqual(before);
    return x;
  };

  it('changes training images by epoch and sample, in whatever batch, and never those of an evaluation', () => {
    const both = read('train', [0, 1], 3);
    expect(read('train', [1], 3)).toEqual(both.slice(108));
    const epochs = [0, 1, 2, 3].map((epoch) => read('train', [1], epoch).join());
    expect(new Set(epochs).size).toBeGreaterThan(2);
    expect(read('evaluate', [0, 1], 1)).toEqual(read('evaluate', [0, 1], 2));
    expect(read('evaluate', [0], 1)[0]).toBe(Math.fround((0 - 0.4) / 0.2));
  });

  it('hides the same tokens in every evaluation, others in every epoch', () => {
    const text = { dtype: 'i32' as const, shape: [64] };
    const masking = { rate: 0.2, vocabulary: 50 };
    const tokens = Int32Array.from({ length: 64 }, (_, i) => 3 + (i % 47));
    const draw = (kind: 'train' | 'evaluate', epoch: number) => {
      const format = { input: text, target: text, mean: [0], std: [1], augment: [], masking };
      const [x, raw] = [new Float32Array(64), new Uint8Array(tokens.buffer)];
      return sampleReader(format, 1).read(raw, raw, x, { kind, epoch, ids: Uint32Array.of(9) });
    };
    expect(draw('evaluate', 1)).toEqual(draw('evaluate', 2));
    expect(draw('train', 1)).not.toEqual(draw('train', 2));
    expect(draw('train', 1).filter((token) => token >= 0).length).toBeGreaterThan(3);
  });
});

describe('SampleBuffers', () => {
  it('lends a buffer again, by its length, and never one that is out', () => {
    const buffers = new SampleBuffers(sharedFloats);
    const first = buffers.take(4);
    expect(buffers.take(4)).not.toBe(first);
    buffers.give(first);
    expect(buffers.take(5)).not.toBe(first);
    expect(buffers.take(4)).toBe(first);
  });
});

it('samples are mixed with others of their shard alone, however many shards a task has', () => {
  const samples = 5;
  const reader = sampleReader(
    {
      input: { dtype: 'u8', shape: [2] },
      target: { dtype: 'u8', shape: [] },
      mean: [0.5],
      std: [0.5],
      augment: [],
      mixup: { alpha: 1, classes: true },
    },
    1,
  );
  const inputs = Uint8Array.from({ length: 2 * samples }, (_, index) => 25 * index);
  const goals = Uint8Array.of(0, 1, 2, 3, 4);
  const ids = Uint32Array.of(7, 70_000, 3, 12, 5);
  const read = (start: number, end: number, shards?: readonly number[]) => {
    const x = new Float32Array(2 * (end - start));
    const occasion = { kind: 'train', epoch: 1, ids: ids.subarray(start, end), shards } as const;
    const targets = reader.read(inputs.subarray(2 * start, 2 * end), goals.subarray(start, end), x, occasion);
    return [...x, ...targets];
  };
  const [first, second] = [read(0, 3), read(3, 5)];
  expect(read(0, 5, [3, 2])).toEqual([
    ...[...first.slice(0, 6), ...second.slice(0, 4)],
    ...[...first.slice(6), ...second.slice(4)],
  ]);
  expect(read(0, 5)).not.toEqual(read(0, 5, [3, 2]));
});
