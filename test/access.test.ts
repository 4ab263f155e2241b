/**
 * Every road to data is judged by what the coordinator's present options allow: a job of a time when more was allowed is not read
 * any more, and what is allowed now is read on each of them.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { packData } from '@kasane/data/pack';
import type { CoordinatorClient } from '@kasane/protocol/client';
import { checkData } from '@kasane/protocol/job-data';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CleanUp, TestCluster, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let server: Server;
const ids = {} as Record<'path' | 'url', string>;
let files: Readonly<Record<'path' | 'url', string>>;
let roots: readonly string[];

beforeAll(async () => {
  const folder = temporaryDirectory(cleanUp);
  roots = [join(folder, 'allowed')];
  mkdirSync(roots[0]!);
  vi.stubEnv('KASANE_CACHE', join(folder, 'cache'));
  cleanUp.add(() => vi.unstubAllEnvs());
  const rows = Array.from({ length: 40 }, (_, i) => `${i},${i % 3},c${i % 2}`);
  const path = join(roots[0]!, 'table.csv');
  writeFileSync(path, `a,b,class\n${rows.join('\n')}\n`);
  const csv = { format: 'csv', path, target: 'class', validation: 0.25 };
  const packed = join(folder, 'packed');
  await packData(await openData(checkData(csv), anywhere), packed);
  server = createServer((request, response) => response.end(readFileSync(join(packed, request.url!))));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp.add(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const job = (data: object) => ({
    name: 'of-data',
    model: { input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] },
    data,
    training: { epochs: 1, batch: 10 },
  });
  files = {
    path: JSON.stringify(job(csv)),
    url: JSON.stringify(job({ format: 'packed', path: url, route: 'staged' })),
  };
  await cluster.start();
  await cluster.stopCoordinator();
  await cluster.startCoordinator(undefined, { access: { hosts: ['127.0.0.1'] } });
  await cluster.worker();
  for (const kind of ['path', 'url'] as const) {
    const ended = await cluster.run(JSON.parse(files[kind]) as object);
    expect(ended.error).toBe('');
    ids[kind] = ended.id;
  }
});
afterAll(() => cleanUp.run());

type Road = (client: CoordinatorClient, kind: 'path' | 'url') => Promise<unknown>;
const ended = async (client: CoordinatorClient, id: string) => {
  for await (const job of client.watch(id)) if (job.error) throw new Error(job.error);
};
/** Roads by which data is read, or what it is made ready by. */
const roads: Readonly<Record<string, Road>> = {
  Submit: async (client, kind) => ended(client, await client.submit(files[kind])),
  Retry: async (client, kind) => ended(client, await client.retry(ids[kind])),
  ReadSamples: (client, kind) => client.samples(ids[kind], 0, 2),
  'DownloadModel of a checkpoint': async (client, kind) => {
    const [newest] = await client.checkpoints(ids[kind]);
    return client.model(ids[kind], newest!.step);
  },
  Resume: async (client, kind) => ended(client, (await client.resume(ids[kind], 1)).id),
};

describe.each(Object.entries(roads))('%s', (_, road) => {
  const with_ = async (access: object, body: (client: CoordinatorClient) => Promise<void>) => {
    await cluster.stopCoordinator();
    await cluster.startCoordinator(undefined, { access });
    const { client } = cluster;
    try {
      await body(client);
    } finally {
      client.close();
    }
  };

  it('reads nothing that is not allowed any more', () =>
    with_({ roots: [], hosts: ['example.org'] }, async (client) => {
      await expect(road(client, 'path')).rejects.toThrow(/--data-root/);
      await expect(road(client, 'url')).rejects.toThrow(/--url-host/);
    }));

  it('reads what is allowed now, hosts of private addresses too', () =>
    with_({ roots, hosts: ['127.0.0.1'] }, async (client) => {
      await expect(road(client, 'path')).resolves.not.toThrow();
      await expect(road(client, 'url')).resolves.not.toThrow();
    }));
});
