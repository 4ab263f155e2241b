/** Workers that exchange gradients among themselves: the weights are those of the way through the coordinator, whatever happens to owners. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PeerMesh } from '@kasane/coordinator/internal/peers/mesh';
import { RelayedChunks } from '@kasane/coordinator/internal/peers/relayed-chunks';
import type { CoordinatorClient } from '@kasane/protocol/client';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  type MockInstance,
  vi,
} from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { type ExchangeCluster, ExchangeClusters, runExchange, ways } from './support/exchange-cluster.ts';
import { faultsOfLedger } from './support/ledger.ts';

const DONE = JobState.JOB_STATE_SUCCEEDED;
const WAITED = { timeout: 300_000, interval: 100 };
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

const job = {
  name: 'peers',
  // Statistics, weights that decay and such that do not, and a part of a chunk at the end.
  model: {
    input: [28, 28, 1],
    classes: 10,
    layers: [
      { type: 'flatten' },
      { type: 'dense', units: 100, name: 'first' },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'dropout', rate: 0.2 },
      { type: 'dense', units: 10 },
    ],
  },
  data: { path: '' },
  training: {
    ...{ epochs: 5, batch: 25, shards: 5, seed: 7 },
    optimizer: { type: 'adamw', weightDecay: 0.01, decayBiasAndNorm: false },
    ema: { decay: 0.99 },
    schedule: { type: 'cosine', warmupSteps: 20 },
  },
};

/** The same, clipped by the norm of the whole gradient, which no owner of a part has. */
const clipped = { ...job, training: { ...job.training, epochs: 2, clipNorm: 0.5 } };

let digest = '';
let clippedDigest = '';
const clusters = new ExchangeClusters(cleanUp);
/** Runs the job, or another one; see runExchange. */
const run = (
  cluster: ExchangeCluster,
  owners = 2,
  act: (client: CoordinatorClient) => unknown = () => {},
  what: object = job,
) => runExchange(cluster, what, owners, act);

beforeAll(async () => {
  job.data.path = smallMnist(temporaryDirectory(cleanUp), 1000, 100);
  const cluster = await clusters.of(2, 'coordinator');
  const { now, routes: taken } = await run(cluster);
  expect(taken).toEqual([]);
  digest = now.digest;
  const other = await run(cluster, 2, () => {}, clipped);
  clippedDigest = other.now.digest;
  expect(clippedDigest).not.toBe(digest);
});

/** What counts, once each. */
const counted = { samples: 1000, epochs: 5, seed: 7 };

const noticed = ['owner-left', 'peers-parted', 'sums-late'];

describe('the same weights, each sample once', () => {
  it.each([2, 3])('with %i owners', async (workers) => {
    const { now, routes: taken, ledger } = await run(await clusters.of(workers, 'workers'));
    expect(now).toMatchObject({ state: DONE, digest });
    expect(taken).toContain('exchange-workers');
    expect(faultsOfLedger(ledger, counted)).toEqual([]);
  });

  it('clipped by the norm of all gradients', async () => {
    const { now, routes: taken } = await run(await clusters.of(2, 'workers'), 2, () => {}, clipped);
    expect(now).toMatchObject({ state: DONE, digest: clippedDigest });
    expect(taken).toContain('exchange-workers');
  });

  it('when an owner is killed', async () => {
    const cluster = await clusters.of(3, 'workers');
    const { now, routes: taken } = await run(cluster, 3, async () => {
      // By then owners send versions to one another, and it may go in the middle of one.
      await sleep(300);
      cluster.children[1]!.kill('SIGKILL');
    });
    expect(now).toMatchObject({ state: DONE, digest });
    // Whoever notices first: the coordinator, the others, or whoever waits for its sums.
    expect(taken).toSatisfy((codes: string[]) => codes.some((code) => noticed.includes(code)), taken.join());
  });

  it('when an owner stands still, and goes on', async () => {
    const cluster = await clusters.of(3, 'workers');
    const { now, routes: taken } = await run(cluster, 3, async () => {
      cluster.children[2]!.kill('SIGSTOP');
      await sleep(3_000);
      cluster.children[2]!.kill('SIGCONT');
    });
    // Links that broke meanwhile are tried again much later: the next test has another one.
    cluster.children[2]!.kill('SIGKILL');
    expect(now).toMatchObject({ state: DONE, digest });
    expect(taken).toContain('exchange-workers');
  });

  it('with one that reaches the coordinator alone', async () => {
    const cluster = await clusters.of(2, 'workers');
    await cluster.visit({ peers: false });
    const codes = new Set<string>();
    const {
      now,
      routes: taken,
      ledger,
    } = await run(cluster, 2, async (client) => {
      const { workers } = await client.status();
      for (const { code } of workers.flatMap(({ routes }) => routes)) codes.add(code);
    });
    expect([...codes].sort()).toEqual(['route-unreached', 'route-workers']);
    expect(now).toMatchObject({ state: DONE, digest });
    expect(taken).toContain('exchange-workers');
    expect(new Set(ledger.map(({ worker }) => worker)).size).toBe(3);
  });

  it('when the coordinator starts again', async () => {
    const { cluster } = await clusters.of(2, 'workers');
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job));
    await vi.waitFor(async () => expect(ways(await client.events(id))).toContain('exchange-workers'), WAITED);
    await cluster.stopCoordinator();
    await cluster.startCoordinator();
    await vi.waitFor(async () => expect((await client.get(id)).state).toBe(DONE), WAITED);
    expect(await client.get(id)).toMatchObject({ digest });
    expect(faultsOfLedger(cluster.ledger(id), counted)).toEqual([]);
    client.close();
  });

  it('with one that joins late', async () => {
    const cluster = await clusters.of(2, 'workers');
    const { now, routes: taken } = await run(cluster, 2, () => cluster.visit());
    expect(now).toMatchObject({ state: DONE, digest });
    expect(taken).toContain('exchange-workers');
  });
});

describe('the same where links seem to be slow, and the coordinator sends owners part of each version', () => {
  let commits: MockInstance;
  beforeEach(() => {
    vi.spyOn(PeerMesh.prototype, 'rateOf').mockReturnValue(1e6);
    vi.spyOn(PeerMesh.prototype, 'ownRateOf').mockReturnValue(1e6);
    commits = vi.spyOn(RelayedChunks.prototype, 'commit');
  });
  afterEach(() => {
    // It was so in this test, from its first steps on.
    expect(commits.mock.calls.length).toBeGreaterThan(5);
    vi.restoreAllMocks();
  });

  it.each([2, 3])('with %i owners', async (workers) => {
    const { now, routes: taken, ledger } = await run(await clusters.of(workers, 'workers'));
    expect(now).toMatchObject({ state: DONE, digest });
    expect(taken).toContain('exchange-workers');
    expect(faultsOfLedger(ledger, counted)).toEqual([]);
  });

  it('when an owner is killed', async () => {
    const cluster = await clusters.of(3, 'workers');
    const {
      now,
      routes: taken,
      ledger,
    } = await run(cluster, 3, async () => {
      await sleep(300);
      cluster.children[1]!.kill('SIGKILL');
    });
    expect(now).toMatchObject({ state: DONE, digest });
    expect(taken).toSatisfy((codes: string[]) => codes.some((code) => noticed.includes(code)), taken.join());
    expect(faultsOfLedger(ledger, counted)).toEqual([]);
  });

  it('when an owner stands still, and goes on', async () => {
    const cluster = await clusters.of(3, 'workers');
    const { now } = await run(cluster, 3, async () => {
      cluster.children[2]!.kill('SIGSTOP');
      await sleep(3_000);
      cluster.children[2]!.kill('SIGCONT');
    });
    cluster.children[2]!.kill('SIGKILL');
    expect(now).toMatchObject({ state: DONE, digest });
  });

  it('when the coordinator starts again', async () => {
    const { cluster } = await clusters.of(2, 'workers');
    const { client } = cluster;
    const id = await client.submit(JSON.stringify(job));
    await vi.waitFor(() => expect(commits.mock.calls.length).toBeGreaterThan(5), WAITED);
    await cluster.stopCoordinator();
    await cluster.startCoordinator();
    await vi.waitFor(async () => expect((await client.get(id)).state).toBe(DONE), WAITED);
    expect(await client.get(id)).toMatchObject({ digest });
    expect(faultsOfLedger(cluster.ledger(id), counted)).toEqual([]);
    client.close();
  });

  it('with one that joins late', async () => {
    const cluster = await clusters.of(2, 'workers');
    const { now } = await run(cluster, 2, () => cluster.visit());
    expect(now).toMatchObject({ state: DONE, digest });
  });
});
