/** The parameter server by itself: parts that arrive in any order, twice, or of attempts that come to nothing. */
import type { GradientSource } from '@kasane/coordinator/internal/params/attempts';
import { ParameterServer } from '@kasane/coordinator/internal/params/parameter-server';
import { bytesOf } from '@kasane/protocol/internal/wire/frame';
import { checkJob } from '@kasane/protocol/job';
import { ARRIVING_BYTES } from '@kasane/protocol/limits';
import { openUpdater } from '@kasane/tensor/backends/wasm/updater';
import { describe, expect, it } from 'vitest';

const PART = ARRIVING_BYTES / 4;
/** More than one part. */
const wide = {
  input: [1200],
  classes: 10,
  layers: [
    { type: 'dense', units: 300 },
    { type: 'dense', units: 10 },
  ],
};
const jobOf = (training: object) =>
  checkJob({
    name: 'test',
    model: wide,
    data: { path: 'anywhere' },
    training: { epochs: 1, batch: 30, shards: 3, ...training },
  });

/** @param shards of a step */
async function opened(training: object = {}, shards = 3) {
  const job = jobOf(training);
  const server = await ParameterServer.open(job, { total: 100, shardsOf: () => shards });
  await server.reset(noise(job.model.parameterCount, 1));
  server.begin(0);
  return { job, server };
}

/** Numbers of all sizes, the same in every run. */
function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state * 2 ** -31) ** 3;
  });
}

const gradientsOf = (floats: number, step: number) =>
  [1, 2, 3].map((shard) => noise(floats, 10 * step + shard));

/** One attempt's floats [start, end) of a shard. */
function send(
  server: ParameterServer,
  gradient: Float32Array,
  shard: number,
  [start, end]: readonly [number, number] = [0, gradient.length],
  worker = `worker-${shard}`,
): void {
  const header = { job: 'j', step: server.version, shard, attempt: 0, partition: 0, offset: start };
  server.receive(worker, header, end - start, bytesOf(gradient.subarray(start, end)));
}

/** The same, from a place where the worker has put it. */
function announce(
  server: ParameterServer,
  place: GradientSource,
  shard: number,
  [start, end]: readonly [number, number],
  worker = `worker-${shard}`,
): void {
  const header = { job: 'j', step: server.version, shard, attempt: 0, partition: 0, offset: start };
  server.receive(worker, header, end - start, place);
}

/** A place that holds a gradient. */
const placeOf = (gradient: Float32Array) => ({
  read: (offset: number, into: Float32Array) => into.set(gradient.subarray(offset, offset + into.length)),
});

/** The definition: all shards along their tree, divided, one update of everything. */
async function plain(job: ReturnType<typeof jobOf>, steps: number, samples: number): Promise<Float32Array> {
  const floats = job.model.parameterCount;
  const updater = await openUpdater(job.model.parameters, job.spec.training.optimizer);
  updater.parameters.set(noise(floats, 1));
  const { learningRate, clipNorm } = job.spec.training;
  for (let step = 0; step < steps; step++) {
    updater.sum(gradientsOf(floats, step), 0);
    updater.scale(Math.fround(1 / samples));
    if (clipNorm !== undefined) updater.clip(clipNorm);
    updater.apply(step, learningRate);
  }
  return updater.parameters;
}

describe('ParameterServer', () => {
  it.each([{}, { clipNorm: 0.5 }])(
    'updates by the sum along the tree of shards, whatever comes first (%j)',
    async (options) => {
      const { job, server } = await opened(options);
      const floats = job.model.parameterCount;
      const cuts = [0, 100_000, 262_144, 300_000, floats];
      for (const step of [0, 1, 2]) {
        const gradients = gradientsOf(floats, step);
        const pieces = gradients.flatMap((_, shard) =>
          cuts.slice(1).map((end, index) => ({ shard, range: [cuts[index]!, end] as const })),
        );
        // Backwards, forwards, and shards in turns.
        if (step === 0) pieces.reverse();
        if (step === 2) pieces.sort((a, b) => a.range[0] - b.range[0] || b.shard - a.shard);
        for (const { shard, range } of pieces) send(server, gradients[shard]!, shard, range);
        for (const shard of [2, 0, 1]) expect(server.complete(`worker-${shard}`, shard, 0)).toBe('whole');
        expect(server.reduce(3, 30)).toEqual([]);
        const parts: number[] = [];
        server.commit((start, end) => parts.push(start, end));
        const starts = Array.from({ length: Math.ceil(floats / PART) }, (_, part) => part * PART);
        expect(parts).toEqual(starts.flatMap((start) => [start, Math.min(start + PART, floats)]));
        expect(server.version).toBe(step + 1);
      }
      expect(server.parameters).toEqual(await plain(job, 3, 30));
    },
  );

  it('takes nothing of an attempt that came to nothing, though it was added already', async () => {
    const { job, server } = await opened();
    const floats = job.model.parameterCount;
    const gradients = gradientsOf(floats, 0);
    send(server, gradients[0]!, 0);
    send(server, gradients[1]!, 1);
    // Another's numbers, most of them: the first part has been added when it is lost.
    send(server, noise(floats, 99), 2, [0, 300_000], 'lost');
    server.drop('lost');
    send(server, noise(floats, 98), 2, [0, 300_000], 'short');
    expect(server.complete('short', 2, 0)).toBe('missing');
    send(server, gradients[2]!, 2);
    for (const shard of [0, 1, 2]) expect(server.complete(`worker-${shard}`, shard, 0)).toBe('whole');
    expect(server.reduce(3, 30)).toEqual([]);
    server.commit();
    expect(server.parameters).toEqual(await plain(job, 1, 30));
  });

  it('adds anew what is sent twice, and what was withdrawn', async () => {
    const { job, server } = await opened();
    const floats = job.model.parameterCount;
    const gradients = gradientsOf(floats, 0);
    for (const shard of [0, 1]) send(server, gradients[shard]!, shard);
    send(server, noise(floats, 99), 2, [0, 262_144]);
    const bad = gradients[0]!.slice();
    bad[floats - 1] = Number.NaN;
    expect(server.complete('worker-0', 0, 0)).toBe('whole');
    server.withdraw(0);
    send(server, bad, 0, undefined, 'bad');
    for (const range of [
      [0, 262_144],
      [262_144, floats],
    ] as const)
      send(server, gradients[2]!, 2, range);
    expect(server.complete('bad', 0, 0)).toBe('whole');
    expect(server.complete('worker-1', 1, 0)).toBe('whole');
    // It has more floats than there are: what was sent twice is no gradient.
    expect(server.complete('worker-2', 2, 0)).toBe('missing');
    send(server, gradients[2]!, 2);
    expect(server.complete('worker-2', 2, 0)).toBe('whole');
    expect(server.reduce(3, 30)).toEqual([{ shard: 0, layer: 'dense2' }]);
    server.withdraw(0);
    send(server, gradients[0]!, 0, undefined, 'good');
    expect(server.complete('good', 0, 0)).toBe('whole');
    expect(server.reduce(3, 30)).toEqual([]);
    server.commit();
    expect(server.parameters).toEqual(await plain(job, 1, 30));
  });

  it('reads a place when it adds, and goes on in a buffer where the rest comes as bytes', async () => {
    const { job, server } = await opened();
    const floats = job.model.parameterCount;
    const gradients = gradientsOf(floats, 0);
    const places = gradients.map((gradient) => placeOf(gradient.slice()));
    for (const shard of [0, 2]) announce(server, places[shard]!, shard, [0, floats]);
    announce(server, places[1]!, 1, [0, 100_000]);
    announce(server, places[1]!, 1, [100_000, 300_000]);
    send(server, gradients[1]!, 1, [300_000, floats - 5]);
    // There was room again.
    announce(server, places[1]!, 1, [floats - 5, floats]);
    for (const shard of [0, 1, 2]) expect(server.complete(`worker-${shard}`, shard, 0)).toBe('whole');
    expect(server.reduce(3, 30)).toEqual([]);
    server.commit();
    expect(server.parameters).toEqual(await plain(job, 1, 30));
  });

  it('finds a number that is not finite in a place, and refuses a gradient in two', async () => {
    const { job, server } = await opened();
    const floats = job.model.parameterCount;
    const [first, second, third] = gradientsOf(floats, 0);
    second![3] = Number.POSITIVE_INFINITY;
    for (const [shard, gradient] of [first!, second!, third!].entries()) {
      announce(server, placeOf(gradient), shard, [0, floats]);
      expect(server.complete(`worker-${shard}`, shard, 0)).toBe('whole');
    }
    expect(server.reduce(3, 30)).toEqual([{ shard: 1, layer: 'dense1' }]);
    server.withdraw(1);
    announce(server, placeOf(first!), 1, [0, 10], 'other');
    expect(() => announce(server, placeOf(first!), 1, [10, 20], 'other')).toThrow(/in two places/);
  });

  it('lays a sum that overflows to the last shard, and can leave the step out', async () => {
    const { job, server } = await opened();
    const before = server.parameters.slice();
    const large = new Float32Array(job.model.parameterCount).fill(3e38);
    for (const shard of [0, 1, 2]) {
      send(server, large, shard);
      server.complete(`worker-${shard}`, shard, 0);
    }
    expect(server.reduce(3, 30)).toEqual([{ shard: 2, layer: 'dense1' }]);
    server.skip();
    expect(server.version).toBe(1);
    expect(server.parameters).toEqual(before);
  });

  it('has room for two attempts more than there are shards', async () => {
    const { job, server } = await opened({}, 1);
    const floats = job.model.parameterCount;
    for (const worker of ['a', 'b', 'c', 'd', 'e', 'f'])
      send(server, noise(floats, 5), 0, [0, floats], worker);
    expect(server.complete('f', 0, 0)).toBe('no room');
    expect(server.complete('e', 0, 0)).toBe('whole');
  });

  it('takes a buffer from who has most of them, and lays its loss to nobody', async () => {
    const { job, server } = await opened();
    const floats = job.model.parameterCount;
    const gradients = gradientsOf(floats, 0);
    // Four bytes of everything: all five buffers.
    for (const [shard, worker] of [
      [0, 'x'],
      [1, 'x'],
      [2, 'x'],
      [0, 'y'],
      [1, 'y'],
    ] as const)
      send(server, gradients[shard]!, shard, [0, 1], worker);
    for (const shard of [0, 1, 2]) {
      send(server, gradients[shard]!, shard);
      expect(server.complete(`worker-${shard}`, shard, 0)).toBe('whole');
    }
    expect(server.complete('x', 0, 0)).not.toBe('whole');
    expect(server.reduce(3, 30)).toEqual([]);
    server.commit();
    expect(server.parameters).toEqual(await plain(job, 1, 30));
  });

  it('an attempt that lost its buffer has no room, until the next step', async () => {
    const { job, server } = await opened({}, 1);
    const all = noise(job.model.parameterCount, 5);
    // Two shards of another step size: one worker with five attempts under way.
    for (const attempt of [0, 1, 2, 3, 4]) {
      const header = { job: 'j', step: 0, shard: 0, attempt, partition: 0, offset: 0 };
      server.receive('x', header, 1, bytesOf(all.subarray(0, 1)));
    }
    send(server, all, 0, [0, all.length], 'honest');
    const ended = [0, 1, 2, 3, 4].map((attempt) => server.complete('x', 0, attempt));
    expect(ended.filter((how) => how === 'no room')).toHaveLength(1);
    expect(server.complete('honest', 0, 0)).toBe('whole');
    server.skip();
    send(server, all, 0, [0, all.length], 'x');
    expect(server.complete('x', 0, 0)).toBe('whole');
  });

  it('goes by sums that others have made, each once, whatever their order', async () => {
    const [{ server }, { server: whole }] = [await opened(), await opened()];
    const floats = server.parameters.length;
    for (const step of [0, 1]) {
      const gradients = gradientsOf(floats, step);
      for (const [shard, gradient] of gradients.entries()) {
        send(whole, gradient, shard);
        whole.complete(`worker-${shard}`, shard, 0);
      }
      expect(whole.reduce(3, 30)).toEqual([]);
      const sum = Float32Array.from(gradients[0]!, (first, i) =>
        Math.fround(Math.fround(first + gradients[1]![i]!) + gradients[2]![i]!),
      );
      // An odd cut, the last piece first, one twice: the second counts for nothing.
      const cuts = [0, 777, PART + 5, floats];
      for (let cut = cuts.length - 1; cut > 0; cut--) {
        const [start, end] = [cuts[cut - 1]!, cuts[cut]!];
        expect(server.isSummed).toBe(false);
        server.takeSum(start, sum.subarray(start, end));
        server.takeSum(start, new Float32Array(end - start).fill(9));
        expect(server.hasSum(start)).toBe(true);
      }
      expect(server.isSummed).toBe(true);
      expect(server.useSums(Math.fround(1 / 30))).toBe(true);
      for (const each of [server, whole]) each.commit();
      expect(server.parameters).toEqual(whole.parameters);
      expect(server.isSummed).toBe(false);
    }
  });

  it('does not go by sums that are not finite, and forgets them when the step is computed again', async () => {
    const { server } = await opened();
    const floats = server.parameters.length;
    const sum = new Float32Array(floats);
    sum[floats - 1] = Number.NaN;
    server.takeSum(0, sum);
    expect(server.useSums(1)).toBe(false);
    server.forget();
    expect(server.isSummed).toBe(false);
    server.takeSum(0, new Float32Array(floats));
    expect(server.useSums(1)).toBe(true);
  });

  it('tells what happened to each layer when it is asked', async () => {
    const { job, server } = await opened();
    const gradients = gradientsOf(job.model.parameterCount, 0);
    for (const [shard, gradient] of gradients.entries()) {
      send(server, gradient, shard);
      server.complete(`worker-${shard}`, shard, 0);
    }
    server.reduce(3, 30);
    const before = server.parameters.slice();
    const seen = server.commit(undefined, true).changes!;
    expect(seen.map(({ layer }) => layer)).toEqual(['dense1', 'dense2']);
    const { offset, size } = job.model.parameters[0]!;
    let square = 0;
    for (let i = offset; i < offset + size; i++) square += (server.parameters[i]! - before[i]!) ** 2;
    expect(seen[0]!.updateRatio * seen[0]!.weightNorm).toBeGreaterThan(0.99 * Math.sqrt(square));
  });
});
