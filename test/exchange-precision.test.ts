/** Gradients and updates of fewer bits: the weights depend on the job alone, not on the way that they take. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PeerMesh } from '@kasane/coordinator/internal/peers/mesh';
import { RelayedChunks } from '@kasane/coordinator/internal/peers/relayed-chunks';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { type ExchangeCluster, ExchangeClusters, runExchange, ways } from './support/exchange-cluster.ts';
import { faultsOfLedger } from './support/ledger.ts';

const DONE = JobState.JOB_STATE_SUCCEEDED;
const WAITED = { timeout: 300_000, interval: 100 };
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** Statistics, frozen layers, averages, shards that are added in groups. */
const jobOf = (precision: 'f32' | 'bf16' | 'int8', training: object = {}) => ({
  name: `exchange-${precision}`,
  model: {
    input: [28, 28, 1],
    classes: 10,
    layers: [
      { type: 'flatten' },
      { type: 'dense', units: 100, name: 'first' },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'dropout', rate: 0.2 },
      { type: 'dense', units: 20, name: 'kept' },
      { type: 'dense', units: 10 },
    ],
  },
  data: { path: images },
  exchange: { precision },
  training: {
    ...{ epochs: 2, batch: 25, shards: 5, seed: 7 },
    optimizer: { type: 'adamw', weightDecay: 0.01, decayBiasAndNorm: false },
    ema: { decay: 0.99 },
    schedule: { type: 'cosine', warmupSteps: 20 },
    freeze: ['kept'],
    ...training,
  },
  checkpoint: { everySteps: 7 },
});
let images = '';
const digests = new Map<string, string>();

beforeAll(async () => {
  images = smallMnist(temporaryDirectory(cleanUp), 1000, 100);
  // One worker, through shared memory.
  const cluster = new TestCluster(cleanUp);
  await cluster.start();
  await cluster.worker(1);
  for (const precision of ['f32', 'bf16', 'int8'] as const) {
    const { now, routes } = await runExchange({ cluster }, jobOf(precision));
    expect(routes).toEqual([]);
    digests.set(precision, now.digest);
  }
  expect(new Set(digests.values()).size).toBe(3);
  await cluster.stopCoordinator();
});

const clusters = new ExchangeClusters(cleanUp);

async function run(
  precision: 'bf16' | 'int8',
  workers: number,
  exchange: 'coordinator' | 'workers',
  act: (started: ExchangeCluster) => unknown = () => {},
) {
  const started = await clusters.of(workers, exchange);
  const { now, routes, ledger } = await runExchange(started, jobOf(precision), workers, () => act(started));
  expect(now).toMatchObject({ state: DONE, digest: digests.get(precision) });
  expect(faultsOfLedger(ledger, { samples: 1000, epochs: 2, seed: 7 })).toEqual([]);
  expect(routes.includes('exchange-workers')).toBe(exchange === 'workers');
  return { routes, ledger };
}

describe('the same weights, each sample once', () => {
  it.each([
    ['bf16', 2, 'coordinator'],
    ['int8', 3, 'coordinator'],
    ['bf16', 2, 'workers'],
    ['int8', 3, 'workers'],
  ] as const)('of %s with %i workers that exchange through: %s', async (precision, workers, exchange) => {
    await run(precision, workers, exchange);
  });

  it('of rounds of local steps', async () => {
    const job = { ...jobOf('int8'), exchange: { precision: 'int8', every: 4 } };
    const near = new TestCluster(cleanUp);
    await near.start();
    const child = await near.worker(2);
    const { now } = await runExchange({ cluster: near }, job);
    child.kill('SIGKILL');
    await near.stopCoordinator();
    const other = await runExchange(await clusters.of(2, 'workers'), job);
    expect(other.routes).toContain('exchange-workers');
    expect(other.now).toMatchObject({ state: DONE, digest: now.digest });
    expect([...digests.values()]).not.toContain(now.digest);
  });

  it('when an owner is killed, and another joins', async () => {
    const { routes } = await run('int8', 3, 'workers', async ({ children, visit }) => {
      await sleep(300);
      children[1]!.kill('SIGKILL');
      await visit();
    });
    expect(routes.some((code) => code === 'owner-left' || code === 'peers-parted')).toBe(true);
  });

  it.each([
    ['bf16', 2],
    ['int8', 3],
  ] as const)(
    'of %s with %i workers, one killed, that the coordinator sends part of each version',
    async (precision, workers) => {
      vi.spyOn(PeerMesh.prototype, 'rateOf').mockReturnValue(1e6);
      vi.spyOn(PeerMesh.prototype, 'ownRateOf').mockReturnValue(1e6);
      const commits = vi.spyOn(RelayedChunks.prototype, 'commit');
      await run(precision, workers, 'workers', async ({ children }) => {
        await vi.waitFor(() => expect(commits.mock.calls.length).toBeGreaterThan(5), WAITED);
        children[1]!.kill('SIGKILL');
      });
      vi.restoreAllMocks();
    },
  );

  it('with one that reaches the coordinator alone', async () => {
    const { ledger } = await run('int8', 2, 'workers', ({ visit }) => visit({ peers: false }));
    expect(new Set(ledger.map(({ worker }) => worker)).size).toBeGreaterThanOrEqual(2);
  });

  it('when the coordinator starts again, with what rounding has lost before', async () => {
    const { cluster: started } = await clusters.of(2, 'workers');
    const { client } = started;
    const id = await client.submit(JSON.stringify(jobOf('int8')));
    await vi.waitFor(async () => expect(ways(await client.events(id))).toContain('exchange-workers'), WAITED);
    // There is a checkpoint.
    await vi.waitFor(async () => expect((await client.get(id)).step).toBeGreaterThanOrEqual(8), WAITED);
    await started.stopCoordinator();
    await started.startCoordinator();
    await vi.waitFor(async () => expect((await client.get(id)).state).toBe(DONE), WAITED);
    expect(await client.get(id)).toMatchObject({ digest: digests.get('int8') });
    const codes = (await client.events(id)).map(({ code }) => code);
    expect(codes).toContain('restored');
    expect(faultsOfLedger(started.ledger(id), { samples: 1000, epochs: 2, seed: 7 })).toEqual([]);
    client.close();
  });
});

describe('bytes', () => {
  /** What a coordinator has received and sent in a job without statistics and averages. */
  async function traffic(precision: 'f32' | 'bf16' | 'int8') {
    const cluster = new TestCluster(cleanUp, { exchange: 'coordinator' });
    await cluster.start();
    const child = await cluster.worker(1, { sharedMemory: false });
    const job = {
      ...{ name: 'bytes', data: { path: images }, exchange: { precision } },
      model: {
        ...{ input: [28, 28, 1], classes: 10 },
        layers: [
          { type: 'flatten' },
          { type: 'dense', units: 500 },
          { type: 'relu' },
          { type: 'dense', units: 10 },
        ],
      },
      training: { epochs: 2, batch: 10, shards: 1 },
    };
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job));
    for await (const _ of client.watch(id));
    const [{ bytesReceived, bytesSent } = { bytesReceived: 0, bytesSent: 0 }] = (await client.status())
      .workers;
    client.close();
    child.kill('SIGKILL');
    await cluster.stopCoordinator();
    return { bytesReceived, bytesSent };
  }

  it('are a half with bf16, and a quarter with int8', async () => {
    const whole = await traffic('f32');
    for (const [precision, part] of [
      ['bf16', 0.51],
      ['int8', 0.26],
    ] as const) {
      const { bytesReceived, bytesSent } = await traffic(precision);
      expect(bytesReceived).toBeLessThan(part * whole.bytesReceived);
      expect(bytesSent).toBeLessThan(part * whole.bytesSent);
    }
  });
});
