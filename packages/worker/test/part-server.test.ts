/** The owners of parts, together, make what one parameter server makes of the same gradients: the same bits. */
import { bytesOf } from '@kasane/protocol/internal/wire/frame';
import { chunkFloatsFor, PartLayout } from '@kasane/protocol/internal/wire/parts';
import { floatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import { openUpdater } from '@kasane/tensor/backends/wasm/updater';
import { openRounder } from '@kasane/tensor/internal/backends/wasm/rounding';
import type { Precision } from '@kasane/tensor/internal/optim/rounding';
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

const roundingTo = (precision: Precision) => (precision === 'f32' ? undefined : { precision, seed: 5 });
/** What parameters and state begin with. */
const startOf = (name: string, seed: number) => {
  const values = numbers(seed);
  return name === 'square' ? values.map(Math.abs) : name === 'residual' ? values.map((x) => x / 1e4) : values;
};
/** The gradient of a shard, as its worker computes it. */
function gradientOf(step: number, shard: number, precision: Precision): Float32Array {
  const gradient = numbers(10 * step + shard);
  const rounding = roundingTo(precision);
  if (rounding)
    openRounder(model.parameters, rounding).round(gradient, 0, floats, { step, first: shard, count: 1 });
  return gradient;
}

/** What of each step's sums and versions owners have said. */
async function together(
  owners: readonly string[],
  shards: number,
  steps: number,
  { clip, precision = 'f32' }: { clip?: number | undefined; precision?: Precision | undefined },
) {
  const [codec, rounding] = [floatCodec(model.parameters, precision), roundingTo(precision)];
  const layout = new PartLayout({
    ...{ number: 1, step: 3, floats, owners },
    chunkFloats: chunkFloatsFor(floats, owners.length, false),
  });
  const sums = new Float32Array(floats);
  const version = numbers(0);
  const servers = owners.map(
    (owner) =>
      new PartServer({
        ...{ layout, owner, parameters: model.parameters, optimizer, shards, codec, rounding },
        onSum: (_, start, sum) =>
          codec.decode(codec.encode(sum, start), start, sums.subarray(start, start + sum.length)),
        onUpdated: (_, start, news) =>
          codec.add(codec.encode(news, start), start, version.subarray(start, start + news.length)),
      }),
  );
  await Promise.all(servers.map((server) => server.open()));
  for (const [index, server] of servers.entries())
    for (const { start, end } of layout.chunksOf(owners[index]!))
      for (const [name, seed] of [
        ['parameters', 0],
        ['mean', 101],
        ['square', 102],
        ...(rounding ? ([['residual', 103]] as const) : []),
      ] as const) {
        const values = startOf(name, seed).subarray(start, end);
        server.state(name, start, bytesOf(values));
      }
  const seen: [Float32Array, Float32Array][] = [];
  for (let step = 3; step < 3 + steps; step++) {
    for (let shard = shards - 1; shard >= 0; shard--) {
      const gradient = gradientOf(step, shard, precision);
      for (const piece of layout.pieces({ start: 0, end: floats })) {
        const server = servers[owners.indexOf(piece.owner)]!;
        const middle = Math.ceil((piece.start + piece.end) / 2048) * 1024;
        for (const [start, end] of [
          [Math.min(middle, piece.end), piece.end],
          [piece.start, Math.min(middle, piece.end)],
        ] as const)
          if (start < end)
            server.gradient(step, shard, 'w:1', start, codec.encode(gradient.subarray(start, end), start));
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
  { owners: ['a', 'b'], shards: 5, precision: 'bf16' },
  { owners: ['a', 'b', 'c'], shards: 4, clip: Math.fround(0.3), precision: 'int8' },
  { owners: ['a', 'b', 'c', 'd', 'e'], shards: 1, precision: 'int8' },
] as { owners: string[]; shards: number; clip?: number; precision?: Precision }[])(
  '$owners.length owners, $shards shards, clipped by $clip, $precision',
  async ({ owners, shards, clip, precision = 'f32' }) => {
    const rounding = roundingTo(precision);
    const updater = await openUpdater(model.parameters, optimizer, { rounding });
    updater.parameters.set(numbers(0));
    updater.state.get('mean')!.set(numbers(101));
    updater.state.get('square')!.set(startOf('square', 102));
    updater.state.get('residual')?.set(startOf('residual', 103));
    const seen = await together(owners, shards, 4, { clip, precision });
    for (const [index, [sums, version]] of seen.entries()) {
      const step = 3 + index;
      const gradients = Array.from({ length: shards }, (_, shard) => gradientOf(step, shard, precision));
      expect(updater.sum(gradients, 0, { step })).toBe(true);
      expect(sums).toEqual(updater.gradient);
      if (clip === undefined) updater.apply(step, 0.01, { factor: Math.fround(1 / 37) });
      else {
        updater.scale(Math.fround(1 / 37));
        updater.clipBy(clip, 0, floats);
        updater.apply(step, 0.01);
      }
      expect(version).toEqual(updater.parameters);
    }
  },
);
