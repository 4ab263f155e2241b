/** What owners of parts send one another when a layout begins: the coordinator has sent each only its own chunks. */
import { TaskKind } from '@kasane/protocol/gen/kasane/v1/common';
import { bytesOf, decodeFrame } from '@kasane/protocol/internal/wire/frame';
import { floatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import { buildModel } from '@kasane/tensor/nn/model';
import { expect, it, vi } from 'vitest';
import { PartExchange } from '../src/peers/part-exchange.ts';

// Six floats.
const exchanged = buildModel({ input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] }).parameters;

/** Worker b of three, whose chunks have two floats; what it has taken of versions, and what it has sent to whom. */
function exchange(left: () => Promise<void> = async () => {}) {
  const taken: number[][] = [];
  const sent: string[] = [];
  const one = new PartExchange({
    ...{ job: 'j', worker: 'b', exchanged, codec: floatCodec(exchanged, 'f32'), rounding: undefined },
    stream: {
      sendPaced: async (frame) => {
        sent.push(decodeFrame(frame).header.kind);
      },
    },
    links: {
      send: (to, { kind }) => {
        sent.push(`${kind} to ${to}`);
        return left();
      },
      sendEncoded: (to, frame) => {
        const { header } = decodeFrame(frame);
        sent.push(`${header.kind} to ${to}`);
        return left();
      },
    },
    onChunk: (version, offset, payload) => {
      taken.push([version, offset, ...new Float32Array(Uint8Array.from(payload).buffer)]);
    },
    onFailed: (error) => {
      throw error;
    },
  });
  const begin = (layout: number, passOn: boolean, relays = false, owners = ['a', 'b', 'c']) => {
    const optimizer = JSON.stringify({ type: 'sgd' });
    one.begin({
      job: 'j',
      layout,
      step: 4,
      chunkFloats: 2,
      owners,
      shards: 1,
      optimizer,
      passOn,
      sumsFirst: false,
      relays,
    });
    one.takeEarly();
  };
  const state = (layout: number) =>
    one.state({ kind: 'partState', job: 'j', layout, name: 'parameters', offset: 2 }, floats(3, 4));
  /** The gradients of a step's only shard, and the coordinator's word that it counts. */
  const step = (layout: number, number: number, publish = true) => {
    const header = { kind: 'partGradient', job: 'j', layout, step: number, shard: 0, attempt: 1 } as const;
    one.gradient({ ...header, offset: 2 }, Float32Array.of(1, 1), 'b');
    const about = { job: 'j', layout, step: number, factor: 1, learningRate: 1, nextShards: 1 };
    one.commit({ ...about, publish });
  };
  /** Part of a gradient of its own, for a. */
  const send = () => {
    const layout = one.layoutOf(4)!;
    const task = { job: 'j', kind: TaskKind.TASK_KIND_TRAIN, step: 4, shard: 0, attempt: 1 };
    void one.send(layout, task, new Float32Array(6), 0, 2);
  };
  const chunk = (layout: number, from: string, offset: number, ...values: number[]) =>
    one.parameters({ kind: 'partParameters', job: 'j', layout, version: 4, offset }, floats(...values), from);
  return { begin, state, step, send, chunk, taken, sent };
}

const floats = (...values: number[]) => bytesOf(Float32Array.from(values));

it('passes its chunks of the first version on to the other owners, where it is told to', () => {
  const { begin, state, taken, sent } = exchange();
  begin(1, true);
  state(1);
  expect(taken).toEqual([[4, 2, 3, 4]]);
  expect(sent).toEqual(['partParameters to a', 'partParameters to c']);
});

it('sends nothing where the coordinator sends the version whole', () => {
  const { begin, state, taken, sent } = exchange();
  begin(1, false);
  state(1);
  expect([taken, sent]).toEqual([[], []]);
});

it('sends no more than the sum of a chunk that the coordinator passes on, but for the first version', async () => {
  const { begin, state, step, chunk, taken, sent } = exchange();
  // Of three owners' chunks every second one: not b's. Of two owners' every one.
  begin(1, true, true);
  state(1);
  expect(() => chunk(1, '', 2, 5, 6)).toThrow('the coordinator does not pass on');
  chunk(1, '', 0, 5, 6);
  begin(2, true, true, ['a', 'b']);
  sent.length = 0;
  state(2);
  expect(sent).toEqual(['partParameters to a']);
  taken.length = 0;
  await vi.waitFor(() => {
    step(2, 4);
    expect(taken).toEqual([[5, 2, 2, 3]]);
  });
  expect(sent).toEqual(['partParameters to a', 'partSum']);
});

it.each([
  [true, ['partGradient to a', 'partParameters to a', 'partParameters to c', 'partSum']],
  [false, ['partGradient to a', 'partParameters to a', 'partParameters to c']],
])(
  'sums need not wait for what others wait for where the coordinator passes on: %s',
  async (relays, expected) => {
    // Nothing leaves over links to others for a while.
    const { begin, state, step, send, sent } = exchange(() => new Promise(() => {}));
    begin(1, false, relays);
    state(1);
    send();
    await vi.waitFor(() => {
      step(1, 4);
      expect(sent).toContain('partParameters to c');
    });
    await new Promise(setImmediate);
    expect(sent).toEqual(expected);
  },
);

it('takes chunks that come before the coordinator has told of the layout, of that layout alone', () => {
  const { begin, state, chunk, taken } = exchange();
  chunk(2, 'a', 0, 1, 2);
  chunk(3, 'c', 4, 7, 7);
  expect(taken).toEqual([]);
  begin(2, true);
  expect(taken).toEqual([[4, 0, 1, 2]]);
  state(2);
  chunk(2, 'c', 4, 5, 6);
  expect(taken.slice(1)).toEqual([
    [4, 2, 3, 4],
    [4, 4, 5, 6],
  ]);
  // Who is not its owner is at fault.
  expect(() => chunk(2, 'a', 4, 5, 6)).toThrow('does not own');
});

it('keeps no more than a version of what comes too early', () => {
  const { begin, chunk, taken } = exchange();
  for (let times = 0; times < 100; times++) chunk(2, 'a', 0, 1, 2);
  begin(2, true);
  expect(taken).toHaveLength(3);
});

it('keeps no more pieces than a version has of what comes too early, whatever their size', () => {
  const { begin, chunk, taken } = exchange();
  for (let times = 0; times < 5_000; times++) chunk(2, 'a', 0);
  begin(2, true);
  expect(taken).toHaveLength(2048);
});
