/** Versions that are sent as what they add to the one before: only to those who have that one. */
import { Exchange } from '@kasane/coordinator/internal/params/exchange';
import { ParameterServer } from '@kasane/coordinator/internal/params/parameter-server';
import type { ConnectedWorker } from '@kasane/coordinator/internal/workers';
import { decodeFrame } from '@kasane/protocol/internal/wire/frame';
import { floatCodec } from '@kasane/protocol/internal/wire/rounded-floats';
import { checkJob } from '@kasane/protocol/job';
import { expect, it } from 'vitest';

const job = checkJob({
  name: 'test',
  model: { input: [40], classes: 30, layers: [{ type: 'dense', units: 30 }] },
  data: { path: 'anywhere' },
  exchange: { precision: 'int8' },
  training: { epochs: 1, batch: 2, shards: 1, optimizer: { type: 'sgd' }, learningRate: 0.5 },
});
const floats = job.model.parameterCount;
const codec = floatCodec(job.model.parameters, 'int8');

async function opened() {
  const server = await ParameterServer.open(job, { total: 100, shardsOf: () => 1 });
  await server.reset(new Float32Array(floats).fill(1));
  server.begin(0);
  const exchange = new Exchange('j', job, server, codec);
  /** What a worker has by what it was sent. */
  const workerOf = (id: string, isSent = true) => {
    const values = new Float32Array(floats);
    const kinds: string[] = [];
    const worker = {
      id,
      publish: (_, whole, changes) => {
        for (const frame of (isSent && changes ? changes : whole()).frames) {
          const { header, payload } = decodeFrame(frame);
          kinds.push(header.kind);
          if (header.kind === 'changes') codec.add(payload, header.offset, values);
          else values.set(new Float32Array(Uint8Array.from(payload).buffer));
        }
      },
      publishMore: () => {},
    } as Partial<ConnectedWorker> as ConnectedWorker;
    return { worker, values, kinds };
  };
  const step = () => {
    server.takeSum(
      0,
      Float32Array.from({ length: floats }, (_, i) => Math.sin(i + server.version)),
    );
    server.useSums(0.5);
    exchange.begin(server.version + 1, []);
    server.commit((...part) => exchange.part(...part));
  };
  return { server, exchange, workerOf, step };
}

it('as changes to those who have the one before, whole to others', async () => {
  const { server, exchange, workerOf, step } = await opened();
  const [a, b, late, full] = [workerOf('a'), workerOf('b'), workerOf('late'), workerOf('full', false)];
  exchange.publish([a.worker, b.worker, full.worker]);
  step();
  exchange.publish([a.worker, full.worker, late.worker]);
  step();
  // One has been told that it lacks the version; another was left out of the one before.
  exchange.publish([a.worker, b.worker, late.worker], [a.worker]);
  for (const { values } of [a, b, late]) expect(values).toEqual(server.parameters);
  expect(a.kinds).toEqual(['parameters', 'changes', 'parameters']);
  expect(b.kinds).toEqual(['parameters', 'parameters']);
  expect(late.kinds).toEqual(['parameters', 'changes']);
  expect(full.kinds).toEqual(['parameters', 'parameters']);
  // The same version again is for those who lack it.
  exchange.publish([b.worker]);
  expect(b.kinds.at(-1)).toBe('parameters');
  exchange.close();
});

it('whole, where a step was left out, or training goes on from a checkpoint', async () => {
  const { server, exchange, workerOf } = await opened();
  const a = workerOf('a');
  exchange.publish([a.worker]);
  server.skip();
  exchange.publish([a.worker]);
  server.begin(2);
  exchange.publish([a.worker]);
  expect(a.kinds).toEqual(['parameters', 'parameters', 'parameters']);
  exchange.close();
});
