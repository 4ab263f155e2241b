/** What the coordinator sends of new versions: what its own parameter server makes of the same sums, the same bits. */

import { roundingOf, serverUpdateOf } from '@kasane/protocol/internal/job/job-exchange';
import { decodeFrame, type Frame } from '@kasane/protocol/internal/wire/frame';
import { PartLayout } from '@kasane/protocol/internal/wire/parts';
import { floatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import { checkJob } from '@kasane/protocol/job';
import { expect, it } from 'vitest';
import { ParameterServer } from '../src/params/parameter-server.ts';
import { RelayedChunks } from '../src/peers/relayed-chunks.ts';
import type { ConnectedWorker } from '../src/workers.ts';

type Precision = 'f32' | 'bf16' | 'int8';

const jobOf = (precision: Precision) =>
  checkJob({
    name: 'test',
    model: {
      input: [64],
      classes: 10,
      layers: [{ type: 'dense', units: 128 }, { type: 'batchNorm' }, { type: 'dense', units: 10 }],
    },
    data: { path: 'anywhere' },
    exchange: { precision },
    training: {
      ...{ epochs: 1, batch: 4, shards: 1, learningRate: 0.1, ema: { decay: 0.9 } },
      optimizer: { type: 'adamw', weightDecay: 0.01, decayBiasAndNorm: false },
    },
  });

const numbers = (seed: number, length: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin(1 + seed * 7919 + i * 1.618));

/** Owners a, b and c; the frames that each was sent, and the coordinator's own parameters. */
async function opened(precision: Precision = 'f32', send: (id: string) => Promise<void> = async () => {}) {
  const job = jobOf(precision);
  const parameters = await ParameterServer.open(job, { total: 100, shardsOf: () => 1 });
  const floats = parameters.parameters.length;
  await parameters.reset(numbers(0, floats));
  parameters.begin(5);
  for (const [name, values] of parameters.state) values.set(numbers(name.length, floats).map(Math.abs));
  const layout = new PartLayout({
    ...{ number: 1, step: 5, floats, chunkFloats: 1024, owners: ['a', 'b', 'c'], relays: true },
  });
  const sent = new Map(layout.owners.map((id) => [id, [] as Frame[]]));
  const members = layout.owners.map((id) => ({
    id,
    relayPaced: (frame: Buffer) => {
      sent.get(id)!.push(decodeFrame(frame));
      return send(id);
    },
  }));
  const codec = floatCodec(job.model.parameters, precision);
  const relay = new RelayedChunks({
    ...{ job: 'j', layout, parameters: job.model.parameters, codec, rounding: roundingOf(job.spec) },
    members: members as Partial<ConnectedWorker>[] as ConnectedWorker[],
    optimizer: serverUpdateOf(job.spec).optimizer,
  });
  const open = () => relay.open(parameters);
  const commit = (publish = true) =>
    relay.commit({
      ...{ step: parameters.version, factor: 0.25, learningRate: parameters.learningRate },
      ...{ publish, nextShards: 1 },
    });
  /** Sums of all chunks, the last one first. */
  const sum = (spoil: (sum: Float32Array) => void = () => {}) => {
    const gradient = numbers(parameters.version, floats);
    for (let index = layout.chunks - 1; index >= 0; index--) {
      const { start, end } = layout.chunk(index);
      const encoded = codec.encode(gradient.subarray(start, end), start);
      const values = new Float32Array(end - start);
      codec.decode(encoded, start, values);
      spoil(values);
      relay.sum(start, values);
      parameters.takeSum(start, values);
    }
  };
  /** Ends the step in the parameter server, too. */
  const end = async () => {
    await relay.settled();
    parameters.useSums(0.25);
    parameters.commit();
  };
  return { relay, parameters, layout, codec, sent, open, commit, sum, end };
}

it.each(['f32', 'bf16', 'int8'] as const)(
  'makes and sends what the parameter server makes, as %s',
  async (precision) => {
    const { parameters, layout, codec, sent, open, commit, sum, end } = await opened(precision);
    const version = parameters.parameters.slice();
    await open();
    for (let step = 0; step < 3; step++) {
      // Sums may come before the step counts.
      if (step === 1) commit();
      sum();
      if (step !== 1) commit();
      await end();
      await new Promise(setImmediate);
      const frames = [...sent.values()].flat();
      const seen = new Set<number>();
      for (const { header, payload } of frames) {
        if (header.kind !== 'partParameters') throw new Error(header.kind);
        expect(header).toMatchObject({ job: 'j', layout: 1, version: parameters.version });
        if (seen.has(header.offset)) continue;
        seen.add(header.offset);
        const { end } = layout.chunk(header.offset / 1024);
        const into = version.subarray(header.offset, end);
        if (precision === 'f32') codec.decode(payload, header.offset, into);
        else codec.add(payload, header.offset, into);
        expect(into).toEqual(parameters.parameters.subarray(header.offset, end));
      }
      expect([...seen].sort((x, y) => x - y)).toEqual(layout.relayed.map(({ start }) => start));
      // Nobody is sent what it owns.
      for (const [id, own] of sent)
        for (const { header } of own)
          expect('offset' in header && layout.ownerOf(header.offset / 1024)).not.toBe(id);
      expect(frames).toHaveLength(2 * seen.size);
      for (const own of sent.values()) own.length = 0;
    }
  },
);

it('sends nothing of a step whose version the coordinator publishes whole, and goes on after it', async () => {
  const { sent, open, commit, sum, end } = await opened();
  await open();
  commit(false);
  sum();
  await end();
  expect([...sent.values()].flat()).toEqual([]);
  commit();
  sum();
  await end();
  expect([...sent.values()].flat()[0]?.header).toMatchObject({ version: 7 });
});

it('waits for what it begins with', async () => {
  const { relay, sent, open, commit, sum } = await opened();
  commit();
  sum();
  const settled = relay.settled();
  await new Promise(setImmediate);
  expect([...sent.values()].flat()).toEqual([]);
  await open();
  await settled;
  expect([...sent.values()].flat().length).toBeGreaterThan(0);
});

it('stops where a sum is not finite, and where its layout ends', async () => {
  for (const how of ['spoilt', 'closed']) {
    const { relay, sent, open, commit, sum } = await opened();
    await open();
    commit();
    const settled = relay.settled();
    if (how === 'closed') relay.close();
    sum((values) => values.fill(how === 'spoilt' ? Number.NaN : 1));
    await settled;
    await relay.settled();
    expect([...sent.values()].flat()).toEqual([]);
  }
});

it('keeps no more than one version for who does not take it', async () => {
  const { layout, sent, open, commit, sum, end } = await opened('f32', (id) =>
    id === 'b' ? new Promise(() => {}) : Promise.resolve(),
  );
  await open();
  for (let step = 0; step < 4; step++) {
    commit();
    sum();
    await end();
    await new Promise(setImmediate);
  }
  expect(sent.get('b')).toHaveLength(1);
  const toOthers = layout.relayed.filter(({ start }) => layout.ownerOf(start / 1024) !== 'a').length;
  expect(sent.get('a')).toHaveLength(4 * toOthers);
});
