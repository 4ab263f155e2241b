/**
 * Every gRPC method with extreme values in each field, one after the other: each call ends with a typed status in bounded time, nothing
 * keeps the coordinator's event loop busy for long, and a job of an honest worker beside it ends with the digest that it has alone.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { CoordinatorClient } from '@kasane/protocol/client';
import { encodeFrame } from '@kasane/protocol/internal/wire/frame';
import { methodScopes } from '@kasane/protocol/scopes';
import { afterAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from '../support/cluster.ts';
import { extremesOf, requestOf } from './extremes.ts';
import { type Jobs, methods, sweepOf } from './requests.ts';
import { Victim } from './victim-process.ts';
import { Caller, framed, overLink, untyped } from './wire.ts';

const GOES = 5;
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());
const redis = await startRedis({ url: process.env.REDIS_URL });
cleanUp.add(() => redis.close());
const dataRoot = smallMnist(temporaryDirectory(cleanUp), 200, 20);
const victim = await Victim.start({
  ...{ redisUrl: redis.url, dataRoot, stateDirectory: temporaryDirectory(cleanUp) },
});
cleanUp.add(() => victim.kill());
const { address } = victim.started;
const client = new CoordinatorClient({ coordinator: address });
const caller = new Caller(address);
cleanUp.add(() => {
  client.close();
  caller.close();
});
const jobFile = (epochs: number) => `name: honest
model: { input: [784], classes: 10, layers: [{ type: dense, units: 8 }, { type: relu }, { type: dense, units: 10 }] }
data: { path: ${dataRoot} }
training: { epochs: ${epochs}, batch: 50, shards: 2 }
`;

const worker: ChildProcess = fork(new URL(import.meta.resolve('@kasane/worker/internal/process')), {
  env: {
    ...process.env,
    KASANE_WORKER_OPTIONS: JSON.stringify({ coordinator: address, slots: 1, logLevel: 'silent' }),
  },
  stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
});
cleanUp.add(() => worker.kill('SIGKILL'));

async function digest(id: string): Promise<string> {
  for await (const _ of client.watch(id));
  const { error, digest: found } = await client.get(id);
  expect(error).toBe('');
  return found;
}
const trained = await client.submit(jobFile(30));
const alone = await digest(trained);
const jobs: Jobs = {
  trained,
  running: await client.submit(jobFile(100_000), -5),
  other: await client.submit(jobFile(100_000), -9),
  sweep: await client.sweeps.submit(sweepOf(jobFile(100_000), 2), -20),
};
const honest = await client.submit(jobFile(30), 10);

const all = methods(jobFile(1), jobs).filter(({ path }) => requestOf.has(path));

it('has every method of ours', () => {
  expect(all.map(({ path }) => path).sort()).toEqual(
    [...methodScopes.keys()].filter((path) => path.startsWith('/kasane.')).sort(),
  );
});

/** Asks for something until no turn of the main thread is long meanwhile, a few times at most. */
async function expectQuick(what: string, ask: () => Promise<void>): Promise<void> {
  expect(await victim.complaintOf(GOES, ask), what).toBe('');
}

describe.each(all)('$path', ({ path, valid, streams }) => {
  it('answers each extreme of each field', { timeout: 600_000 }, async () => {
    for (const { name, bytes } of extremesOf(requestOf.get(path)!)) {
      // Of the training stream a hello comes first; what follows it is an extreme.
      const request = Buffer.concat([valid[0] ?? Buffer.alloc(0), bytes]);
      await expectQuick(`${path} ${name}`, async () => {
        const wrong = untyped(await caller.call(path, framed(request), streams), false);
        expect(wrong, name).toBe('');
      });
    }
  });
});

it('takes each extreme over a data link', { timeout: 600_000 }, async () => {
  for (const { name, bytes } of extremesOf('kasane.v1.ConnectRequest')) {
    if (bytes.length > 1 << 20) continue;
    await expectQuick(`data link: ${name}`, async () => {
      await overLink(address, encodeFrame({ kind: 'messages' }, bytes));
    });
  }
});

it('and the honest job is not disturbed', { timeout: 120_000 }, async () => {
  expect(await digest(honest)).toBe(alone);
  await client.cancel(jobs.running).catch(() => {});
  await client.cancel(jobs.other).catch(() => {});
  await client.sweeps.cancel(jobs.sweep).catch(() => {});
  const again = await client.submit(jobFile(30), 10);
  expect(await digest(again)).toBe(alone);
});
