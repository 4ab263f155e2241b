/** Jobs leave nothing behind in the processes that trained them: each worker and the coordinator may run for months. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { CoordinatorClient } from '@kasane/protocol/client';
import sharp from 'sharp';
import { afterAll, expect, it, vi } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import type { Held, ProcessStarted } from './support/coordinator-process.ts';

const JOBS = 8;
/** V8 reserves about so much address space for a WebAssembly memory, whose pages come as they are used. */
const RESERVED_GIB = 8;
/** A process may be so many times as large as when it was fresh, */
const GROWN = 1.25;
/** so many milliseconds after its last job: a minute, and what a busy machine adds. */
const SETTLED_MS = 90_000;
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** Of a process, from which memories that nobody uses any more can be counted. */
function addressSpaceGiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmSize:\s+(\d+)/.exec(status)![1]) / 2 ** 20;
}

it.skipIf(process.platform !== 'linux')(
  'a job that has ended gives its memory back',
  async () => {
    const cluster = new TestCluster(cleanUp);
    await cluster.start();
    const worker = await cluster.worker(1);
    const data = { path: smallMnist(temporaryDirectory(cleanUp), 400, 100) };
    const training = { epochs: 1, batch: 50, shards: 2 };
    const job = { name: 'short', model: { preset: 'mnist-mlp' }, data, training };
    const sizes: number[] = [];
    for (let count = 0; count < JOBS; count++) {
      expect((await cluster.run(job)).error).toBe('');
      // What follows an end waits half a second for company.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      sizes.push(addressSpaceGiB(worker.pid!));
    }
    // One too many may be there at any moment, but not one a job.
    expect(sizes.at(-1)! - sizes[1]!, `GiB after each job: ${sizes}`).toBeLessThan(3 * RESERVED_GIB);
  },
  120_000,
);

/** Files of several kinds. */
async function writeData(folder: string): Promise<void> {
  const lines = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => line(index)).join('\n');
  const word = (index: number) => ((index * 7919) % 1009).toString(36);
  const words = (count: number, from: number) =>
    Array.from({ length: count }, (_, index) => word(from * 31 + index * index)).join(' ');
  writeFileSync(
    join(folder, 'table.csv'),
    `a,b,class\n${lines(20_000, (i) => `${i % 97},${i % 89},c${i % 3}`)}\n`,
  );
  writeFileSync(join(folder, 'series.csv'), `time,x,y\n${lines(3_000, (i) => `${i},${i % 24},${i % 7}`)}\n`);
  writeFileSync(join(folder, 'book.txt'), words(20_000, 1));
  writeFileSync(
    join(folder, 'mail.csv'),
    `text,label\n${lines(1_000, (i) => `${words(60, i)},m${i % 2}`)}\n`,
  );
  for (const kind of ['a', 'b']) {
    mkdirSync(join(folder, 'images', kind), { recursive: true });
    for (let index = 0; index < 30; index++) {
      const color = { r: index * 8, g: kind === 'a' ? 0 : 255, b: 9 };
      const image = sharp({ create: { width: 64, height: 64, channels: 3, background: color } });
      await image.jpeg().toFile(join(folder, 'images', kind, `${index}.jpg`));
    }
  }
}

/** A small job of each kind of data and network. */
const kinds = (folder: string) => ({
  table: {
    model: { preset: 'tabular', features: 2, outputs: 3, hidden: [16] },
    data: { format: 'csv', path: join(folder, 'table.csv'), target: 'class' },
    training: { batch: 500 },
  },
  digits: { model: { preset: 'mnist-mlp' }, data: {}, training: { batch: 2_000 } },
  series: {
    model: { preset: 'lstm-forecast', window: 12, features: 2, horizon: 1, units: 8 },
    objective: { type: 'regression', loss: 'huber' },
    data: {
      ...{ format: 'series', path: join(folder, 'series.csv'), columns: ['x', 'y'], target: 'x' },
      window: 12,
    },
    training: { batch: 200 },
  },
  gpt: {
    model: { preset: 'gpt', tokens: 96, context: 32, width: 32, depth: 2, heads: 2 },
    data: { format: 'text', path: join(folder, 'book.txt'), tokenizer: 'character', context: 32 },
    training: { batch: 200 },
  },
  texts: {
    model: { preset: 'lstm-text', tokens: 512, context: 60, embed: 16, units: 8 },
    data: {
      ...{ format: 'text', path: join(folder, 'mail.csv'), tokenizer: 'bpe', vocabulary: 512, context: 60 },
    },
    training: { batch: 100 },
  },
  pictures: {
    model: {
      ...{ input: [64, 64, 3], classes: 2 },
      layers: [
        { type: 'conv2d', filters: 4, size: 3 },
        { type: 'globalAveragePool' },
        { type: 'dense', units: 2 },
      ],
    },
    data: { format: 'imagefolder', path: join(folder, 'images'), size: 64 },
    training: { batch: 20 },
  },
});

/** Bytes that a process has to itself. */
function ownBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/RssAnon:\s+(\d+)/.exec(status)![1]) * 1024;
}

it.skipIf(process.platform !== 'linux')(
  'jobs of many kinds leave a process as small as it was, with the page open',
  async () => {
    const folder = temporaryDirectory(cleanUp);
    await writeData(folder);
    const redis = await startRedis({ url: process.env.REDIS_URL });
    cleanUp.add(() => redis.close());
    const options = { redisUrl: redis.url, stateDirectory: temporaryDirectory(cleanUp) };
    const coordinator = fork(new URL('support/coordinator-process.ts', import.meta.url), {
      env: { ...process.env, KASANE_COORDINATOR_PROCESS: JSON.stringify(options) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    cleanUp.add(() => coordinator.kill('SIGKILL'));
    const [{ address, page }] = (await once(coordinator, 'message')) as [ProcessStarted];
    const worker = fork(new URL(import.meta.resolve('@kasane/worker/internal/process')), {
      env: {
        ...process.env,
        KASANE_WORKER_OPTIONS: JSON.stringify({ coordinator: address, slots: 1, logLevel: 'silent' }),
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    cleanUp.add(() => worker.kill('SIGKILL'));
    await once(worker, 'message');
    const held = async () => {
      coordinator.send('held');
      const [answer] = (await once(coordinator, 'message')) as [Held];
      return answer;
    };
    const fresh = { coordinator: await held(), worker: ownBytes(worker.pid!) };
    const client = new CoordinatorClient({ coordinator: address });
    cleanUp.add(() => client.close());
    const closed = new AbortController();
    cleanUp.add(() => closed.abort());
    for (let round = 0; round < 2; round++) {
      for (const [name, { training, ...job }] of Object.entries(kinds(folder))) {
        const id = await client.submit(
          JSON.stringify({ name, ...job, training: { epochs: 1, ...training } }),
        );
        // Somebody looks, at each of them, and goes on looking.
        const { body } = await fetch(`${page}/events?job=${id}`, { signal: closed.signal });
        void body!.pipeTo(new WritableStream()).catch(() => {});
        for await (const _ of client.watch(id));
        expect((await client.get(id)).error, name).toBe('');
        await client.samples(id, 0, 4);
      }
    }
    // What is held may grow by a quarter of what the whole process was; a worker's tensors are in none of its figures.
    const mostHeld = fresh.coordinator.bytes + (GROWN - 1) * fresh.coordinator.rss;
    const look = { timeout: SETTLED_MS, interval: 1_000 };
    await vi.waitFor(async () => expect((await held()).bytes, 'coordinator').toBeLessThan(mostHeld), look);
    await vi.waitFor(() => expect(ownBytes(worker.pid!), 'worker').toBeLessThan(GROWN * fresh.worker), look);
  },
  400_000,
);
