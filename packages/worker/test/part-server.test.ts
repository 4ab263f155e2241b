/** The owners of parts, together, make what one parameter server makes of the same gradients: the same bits. */
import { bytesOf } from '@kasane/protocol/internal/wire/frame';
import { chunkFloatsFor, PartLayout } from '@kasane/protocol/internal/wire/parts';
import { openUpdater } from '@kasane/tensor/backends/wasm/updater';
import { buildModel } from '@kasane/tensor/nn/model';
import { expect, it } from 'vitest';
import { PartServer } from '../src/peers/part-server.ts';

const model = buildModel({
  input: [70],
  classes: 10,
  layers: [{ type: 'dense', units: 61 }, { type: 'batchNorm' }, { type: 'dense', units: 10 }],
} as Parameters<typeof buildModel>[0]);
const floats = model.parameterCount;
const optimizer = { type: 'adamw', weightDecay: 0.01, decayBiasAndNorm: false } as const;
/** Numbers that depend on where they are, and look like nothing. */
const numbers = (seed: number, length = floats) =>
  Float32Array.from({ length }, (_, i) => Math.sin(1 + seed * 7919 + i * 1.618));

/** What of each step's sums and versions owners have said. */
async function together(owners: readonly string[], shards: number, steps: number, clip?: number) {
  const layout = new PartLayout({
    ...{ number: 1, step: 3, floats, owners },
    chunkFloats: chunkFloatsFor(floats, owners.length),
  });
  const sums = new Float32Array(floats);
  const version = numbers(0);
  const servers = owners.map(
    (owner) =>
      new PartServer({
        ...{ layout, owner, parameters: model.parameters, optimizer, shards },
        onSum: (_, start, sum) => sums.set(sum, start),
        onUpdated: (_, start, values) => version.set(values, start),
      }),
  );
  await Promise.all(servers.map((server) => server.open()));
  for (const [index, server] of servers.entries())
    for (const { start, end } of layout.chunksOf(owners[index]!))
      for (const [name, seed] of [
        ['parameters', 0],
        ['mean', 101],
        ['square', 102],
      ] as const) {
        const values = numbers(seed).subarray(start, end);
        server.state(name, start, bytesOf(name === 'square' ? values.map(Math.abs) : values));
      }
  const seen: [Float32Array, Float32Array][] = [];
  for (let step = 3; step < 3 + steps; step++) {
    for (let shard = shards - 1; shard >= 0; shard--) {
      const gradient = numbers(10 * step + shard);
      for (const piece of layout.pieces({ start: 0, end: floats })) {
        const server = servers[owners.indexOf(piece.owner)]!;
        const middle = Math.floor((piece.start + piece.end) / 2);
        for (const [start, end] of [
          [middle, piece.end],
          [piece.start, middle],
        ] as const)
          server.gradient(step, shard, 'w:1', start, bytesOf(gradient.subarray(start, end)));
      }
    }
    const commit = {
      step,
      factor: Math.fround(1 / 37),
      learningRate: 0.01,
      publish: true,
      nextShards: shards,
      clip,
    };
    for (const server of servers) server.commit(commit);
    seen.push([sums.slice(), version.slice()]);
  }
  return seen;
}

it.each([
  { owners: ['a'], shards: 1 },
  { owners: ['a', 'b'], shards: 5 },
  { owners: ['a', 'b', 'c', 'd', 'e'], shards: 8 },
  { owners: ['a', 'b', 'c'], shards: 4, clip: Math.fround(0.3) },
  { owners: ['a', 'b', 'c'], shards: 4, clip: 1 },
])('$owners.length owners, $shards shards, clipped by $clip', async ({ owners, shards, clip }) => {
  const updater = await openUpdater(model.parameters, optimizer);
  updater.parameters.set(numbers(0));
  updater.state.get('mean')!.set(numbers(101));
  updater.state.get('square')!.set(numbers(102).map(Math.abs));
  const seen = await together(owners, shards, 4, clip);
  for (const [index, [sums, version]] of seen.entries()) {
    const step = 3 + index;
    const gradients = Array.from({ length: shards }, (_, shard) => numbers(10 * step + shard));
    expect(updater.sum(gradients, 0)).toBe(true);
    expect(sums).toEqual(updater.gradient);
    if (clip === undefined) updater.apply(step, 0.01, { factor: Math.fround(1 / 37) });
    else {
      updater.scale(Math.fround(1 / 37));
      updater.clipBy(clip, 0, floats);
      updater.apply(step, 0.01);
    }
    expect(version).toEqual(updater.parameters);
  }
});
