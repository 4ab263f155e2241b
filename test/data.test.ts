/** Data of every kind through a whole cluster: the same weights by every route, and memory that does not grow with the data. */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import { packData } from '@kasane/data/pack';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { checkData } from '@kasane/protocol/job-data';
import { Redis } from 'ioredis';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { bytesInUse } from './support/in-use.ts';

const cleanUp = new CleanUp();
const WINDOW = 8 << 20;
const cluster = new TestCluster(cleanUp, { limits: { stagedBytes: WINDOW } });
const folder = temporaryDirectory(cleanUp);
let redis: Redis;
let workers: ChildProcess[] = [];

async function employ(...environments: Readonly<Record<string, string>>[]): Promise<void> {
  await dismiss();
  workers = await Promise.all(environments.map((env) => cluster.worker(1, {}, env)));
}
async function dismiss(): Promise<void> {
  const exits = workers.map((worker) => once(worker, 'exit'));
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(exits);
  workers = [];
}

beforeAll(async () => {
  await cluster.start();
  redis = new Redis(cluster.redisUrl);
});
afterAll(async () => {
  redis.disconnect();
  await dismiss();
  await cleanUp.run();
});

/** Bytes that a worker with `report-memory.ts` in it uses, without its garbage. */
async function askInUse(worker: ChildProcess): Promise<number> {
  const answer = once(worker, 'message');
  worker.send('inUse');
  const [{ inUse }] = (await answer) as [{ inUse: number }];
  return inUse;
}

/** Bytes of each batch that is staged now. */
async function stagedBytes(): Promise<number[]> {
  const keys = await redis.keys('*:batch:train:*');
  return Promise.all(keys.map((key) => redis.strlen(key)));
}

describe('routes', () => {
  let plain: object;
  let digest: string;
  const images = join(folder, 'images');
  const jobOf = (data: object) => ({
    name: 'routes',
    model: {
      input: [12, 12, 3],
      classes: 2,
      layers: [
        { type: 'conv2d', filters: 4, size: 3 },
        { type: 'relu' },
        { type: 'flatten' },
        { type: 'dense', units: 2 },
      ],
    },
    data,
    training: { epochs: 10, batch: 20, shards: 2, seed: 3 },
    evaluation: { shardSamples: 10 },
  });
  const augment = [{ type: 'crop', padding: 2 }, { type: 'flip' }, { type: 'rotate', degrees: 10 }];

  beforeAll(async () => {
    for (const [label, red] of [
      ['blue', 60],
      ['red', 190],
    ] as const) {
      mkdirSync(join(images, label), { recursive: true });
      for (let i = 0; i < 60; i++) {
        const background = { r: red, g: (i * 37) % 256, b: 250 - red };
        const image = sharp({ create: { width: 16, height: 16, channels: 3, background } });
        await image.jpeg().toFile(join(images, label, `${i}.jpg`));
      }
    }
    plain = { format: 'imagefolder', path: images, size: 12, augment };
    await packData(await openData(checkData(plain), anywhere), join(folder, 'packed'));
  });

  it('an image folder trains, and augmentation does not depend on who computes', async () => {
    await employ({});
    const alone = await cluster.run(jobOf(plain));
    expect(alone.error).toBe('');
    expect(alone.history.at(-1)!.testMetric).toBeGreaterThan(0.9);
    digest = await weightsOf(alone.id);
    await employ({}, {});
    expect(await weightsOf((await cluster.run(jobOf(plain))).id)).toBe(digest);
    const { augment: _, ...unchanged } = plain as { augment: object };
    expect(await weightsOf((await cluster.run(jobOf(unchanged))).id)).not.toBe(digest);
  });

  const observe = async (data: object) => {
    const seen: Promise<number[]>[] = [];
    const ended = await cluster.run(jobOf(data), (step) => {
      if (step > 20) seen.push(stagedBytes());
    });
    expect(ended.error).toBe('');
    expect(seen.length).toBeGreaterThan(0);
    return { weights: await weightsOf(ended.id), largest: Math.max(0, ...(await Promise.all(seen)).flat()) };
  };

  it('packed data gives the same weights, staged or read by the workers', async () => {
    const path = join(folder, 'packed');
    const staged = await observe({ format: 'packed', path, route: 'staged', augment });
    expect(staged.weights).toBe(digest);
    expect(staged.largest).toBeGreaterThan(10 * 432);
    const direct = await observe({ format: 'packed', path, route: 'direct', augment });
    expect(direct.weights).toBe(digest);
    expect(direct.largest).toBe(0);
  });

  it('a worker that does not reach the data trains as well as one that does', async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url!);
      response.end(readFileSync(join(folder, 'packed', request.url!)));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanUp.add(() => server.close());
    const path = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    // The coordinator runs in this process.
    process.env.KASANE_ALLOW_LOCAL_URLS = '1';
    process.env.KASANE_CACHE = join(folder, 'cache');
    await employ({ KASANE_ALLOW_LOCAL_URLS: '1' }, { KASANE_ALLOW_LOCAL_URLS: '' });
    const mixed = await observe({ format: 'packed', path, route: 'direct', augment });
    expect(mixed.weights).toBe(digest);
    expect(mixed.largest).toBeGreaterThan(10 * 432);
    await employ(
      { KASANE_ALLOW_LOCAL_URLS: '1' },
      { KASANE_ALLOW_LOCAL_URLS: '1', KASANE_CACHE: join(folder, 'other') },
    );
    asked.length = 0;
    const direct = await observe({ format: 'packed', path, augment });
    expect(direct.weights).toBe(digest);
    expect(direct.largest).toBe(0);
    // The worker with an empty cache fetched the chunks; those of the other were there.
    const fetched = asked.filter((url) => url.startsWith('/chunks'));
    expect(fetched).toHaveLength(new Set(fetched).size);
    expect(fetched).toHaveLength(2);
    delete process.env.KASANE_ALLOW_LOCAL_URLS;
    delete process.env.KASANE_CACHE;
  });

  /** The weights alone: a model file also says what the data section said. */
  async function weightsOf(job: string): Promise<string> {
    const { client } = cluster;
    const bytes = Buffer.from(await client.model(job));
    client.close();
    return bytes.subarray(8 + Number(bytes.readBigUInt64LE(0))).toString('base64');
  }
});

it('text and tables train, distributed, and damaged images end a job with their name', async () => {
  await employ({}, {});
  const rows = Array.from(
    { length: 300 },
    (_, i) => `${i % 17},${(i * 7) % 23},${i % 17 > 8 ? 'high' : 'low'}`,
  );
  writeFileSync(join(folder, 'table.csv'), `a,b,y\n${rows.join('\n')}\n`);
  const table = await cluster.run({
    name: 'table',
    model: { input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] },
    data: { format: 'csv', path: join(folder, 'table.csv'), target: 'y' },
    training: { epochs: 20, batch: 20, learningRate: 0.1 },
  });
  expect(table.error).toBe('');
  expect(table.history.at(-1)!.testMetric).toBeGreaterThan(0.9);

  const half = readFileSync(join(folder, 'images/red/0.jpg'));
  for (const label of ['a', 'b']) {
    mkdirSync(join(folder, 'broken', label), { recursive: true });
    const own = Buffer.concat([half, Buffer.from(label)]);
    for (let i = 0; i < 4; i++) writeFileSync(join(folder, 'broken', label, `${i}.jpg`), own);
  }
  // Whole by its ends: what is in between shows when it is decoded.
  const pixels = { create: { width: 64, height: 64, channels: 3, background: '#408020' } } as const;
  const damaged = await sharp(pixels).png({ compressionLevel: 0 }).toBuffer();
  writeFileSync(join(folder, 'broken/a/x.png'), damaged.fill(0xaa, 6000, 6040));
  const broken = await cluster.run({
    name: 'broken',
    model: { input: [12, 12, 3], classes: 2, layers: [{ type: 'flatten' }, { type: 'dense', units: 2 }] },
    data: { format: 'imagefolder', path: join(folder, 'broken'), size: 12 },
    training: { epochs: 2, batch: 4 },
  });
  expect(broken.state).toBe(JobState.JOB_STATE_FAILED);
  expect(broken.error).toMatch(
    /broken\/a\/x\.png: it is damaged.*Fix or remove it, or set data\.onDamaged: skip/,
  );
});

it('memory stays flat over data ten times larger than the staging window', async () => {
  // Windows of one series, each nearly the whole of it: 80 MB of samples from a file of 20 KB.
  const width = 2048;
  const [samples, batch, epochs] = [10_240, 256, 10];
  const rows = Array.from({ length: samples + width }, (_, i) => String(((i * 7919) % 1000) / 1000));
  writeFileSync(join(folder, 'series.csv'), `v\n${rows.join('\n')}\n`);
  const report = import.meta.resolve('./support/report-memory.ts');
  await employ({ NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${report}` });
  const worker = workers[0]!;
  let early: number | undefined;
  let workerEarly: Promise<number> | undefined;
  const staged: Promise<number[]>[] = [];
  let seen = 0;
  const ended = await cluster.run(
    {
      name: 'large',
      objective: { type: 'regression' },
      model: { input: [width, 1], output: [1], layers: [{ type: 'flatten' }, { type: 'dense', units: 1 }] },
      data: { format: 'series', path: join(folder, 'series.csv'), window: width, validation: 0.05 },
      training: { epochs, batch },
    },
    (step) => {
      if (step < seen + 5) return;
      seen = step;
      if (step > 100) {
        early ??= bytesInUse();
        workerEarly ??= askInUse(worker);
      }
      staged.push(stagedBytes());
    },
  );
  expect(ended.error).toBe('');
  expect((ended.step / epochs) * batch * width * 4).toBeGreaterThan(9 * WINDOW);
  const sums = (await Promise.all(staged)).map((sizes) => sizes.reduce((a, b) => a + b, 0));
  expect(Math.max(...sums)).toBeGreaterThan(0);
  expect(Math.max(...sums)).toBeLessThan(2 * WINDOW);
  // Both without their garbage, whenever that is collected: what kept the samples would grow by ten windows an epoch.
  expect(bytesInUse() - early!).toBeLessThan(2 * WINDOW);
  expect((await askInUse(worker)) - (await workerEarly!)).toBeLessThan(2 * WINDOW);
});
