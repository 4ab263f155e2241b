/** Gradients that lie in the shared memory of workers, which may go before they are added. */
import { readdirSync } from 'node:fs';
import { Exchange } from '@kasane/coordinator/internal/params/exchange';
import { ParameterServer } from '@kasane/coordinator/internal/params/parameter-server';
import { bytesOf } from '@kasane/protocol/internal/wire/frame';
import { floatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import { SharedGradients } from '@kasane/protocol/internal/wire/shared-memory';
import { checkJob } from '@kasane/protocol/job';
import { describe, expect, it } from 'vitest';

const job = checkJob({
  name: 'test',
  model: { input: [4], classes: 3, layers: [{ type: 'dense', units: 3 }] },
  data: { path: 'anywhere' },
  training: { epochs: 1, batch: 2, shards: 2, optimizer: { type: 'sgd' }, learningRate: 0.5 },
});
const floats = job.model.parameterCount;
const gradientOf = (shard: number) =>
  Float32Array.from({ length: floats }, (_, i) => (shard + 1) * (i - 7.5));
const header = (shard: number) => ({ job: 'j', step: 0, shard, attempt: 0, partition: 0, offset: 0 });

async function open() {
  const server = await ParameterServer.open(job, { total: 10, shardsOf: () => 2 });
  return { server, exchange: new Exchange('j', job, server, floatCodec(job.model.parameters, 'f32')) };
}

describe.runIf(process.platform === 'linux')('Exchange', () => {
  it('adds the gradient of a worker that has left since', async () => {
    const { server, exchange } = await open();
    const { gradientsMemory } = exchange.offer('gone');
    const memory = SharedGradients.open(gradientsMemory!, floats);
    exchange.opened('gone');
    memory.places[1]!.write(0, gradientOf(0));
    exchange.receive('gone', { kind: 'sharedGradient', ...header(0), floats, place: 1 }, new Uint8Array(0));
    expect(server.complete('gone', 0, 0)).toBe('whole');
    memory.close();
    exchange.leave('gone');
    exchange.receive('other', { kind: 'gradient', ...header(1) }, bytesOf(gradientOf(1)));
    expect(server.complete('other', 1, 0)).toBe('whole');
    expect(server.reduce(2, 2)).toEqual([]);
    server.commit();
    // Minus half of (1 + 2) / 2 of what the first gradient has.
    expect([...server.parameters]).toEqual([...gradientOf(0)].map((value) => -0.75 * value));
    exchange.close();
  });

  it('keeps nothing of workers that come and go while a step stands still', async () => {
    const { server, exchange } = await open();
    exchange.offer('there');
    const before = readdirSync('/proc/self/fd').length;
    for (let round = 0; round < 100; round++) {
      const name = `passing-${round}`;
      const { gradientsMemory } = exchange.offer(name);
      const memory = SharedGradients.open(gradientsMemory!, floats);
      exchange.opened(name);
      // Some have sent a part, which they do not complete; one a whole, which is refused afterwards.
      const shared = { kind: 'sharedGradient', ...header(0), attempt: round, floats, place: 0 } as const;
      if (round % 2 === 0) exchange.receive(name, shared, new Uint8Array(0));
      if (round === 50) expect(server.complete(name, 0, round)).toBe('whole');
      memory.close();
      server.drop(name);
      exchange.leave(name);
      if (round === 50) {
        expect(readdirSync('/proc/self/fd')).toHaveLength(before + 1);
        server.withdraw(0);
      }
    }
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
    exchange.close();
  });

  it('refuses a gradient in shared memory that was not opened, or in a place that is not there', async () => {
    const { exchange } = await open();
    const shared = { kind: 'sharedGradient', ...header(0), floats, place: 2 } as const;
    exchange.offer('a');
    expect(() => exchange.receive('a', shared, new Uint8Array(0))).toThrow(/not opened/);
    exchange.opened('a');
    expect(() => exchange.receive('a', shared, new Uint8Array(0))).toThrow(
      /slot 2 of the shared memory, which does not exist/,
    );
    exchange.close();
  });
});
