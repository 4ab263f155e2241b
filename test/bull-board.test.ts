/** What others see of our queues: Bull Board, as examples/bull-board opens it, over the Redis of a job. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { REISSUE_QUEUE, TASK_QUEUES, type TaskData } from '@kasane/protocol/internal/queue/queue';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { checkout } from './support/image.ts';
import { runPrefix } from './support/task-queue.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
let page = '';

interface Entry {
  readonly id: string;
  readonly name: string;
  readonly data: { readonly tasks: readonly TaskData[] };
}

interface Board {
  readonly queues: readonly {
    readonly name: string;
    readonly counts: Readonly<Record<string, number>>;
    readonly jobs: readonly Entry[];
    readonly readOnlyMode: boolean;
  }[];
}

/** What its page asks for. @param active the queue whose entries it lists */
async function board(active = ''): Promise<Board['queues']> {
  const query = `activeQueue=${encodeURIComponent(active)}&status=waiting&page=1&jobsPerPage=10`;
  const response = await fetch(`${page}/api/queues?${query}`);
  expect(response.status).toBe(200);
  return ((await response.json()) as Board).queues;
}

/** Asks until the answer is as it is to be. */
async function until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  for (let turn = 0; ; turn++) {
    const answer = await ask();
    if (fits(answer)) return answer;
    if (turn === 200) throw new Error(`still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

beforeAll(async () => {
  await cluster.start();
  const args = ['examples/bull-board/board.ts', cluster.redisUrl, '0'];
  const child = spawn(process.execPath, args, { cwd: checkout, stdio: ['ignore', 'pipe', 'inherit'] });
  cleanUp.add(() => child.kill('SIGKILL'));
  page = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the board ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) =>
      resolve(/^Bull Board at (\S+)/.exec(line)?.[1] ?? ''),
    );
  });
});
afterAll(() => cleanUp.run());

it('Bull Board lists the queues of a job with their counts, and shows tasks, while it waits, runs and has ended', async () => {
  expect((await fetch(`${page}/`)).status).toBe(200);
  expect(await board()).toEqual([]);

  const data = { format: 'idx', path: smallMnist(temporaryDirectory(cleanUp), 1000, 200) };
  const training = { batch: 100, shards: 4, epochs: 20, learningRate: 0.003 };
  const spec = { name: 'seen', model: { preset: 'mnist-mlp' }, data, training };
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const job = await client.submit(JSON.stringify(spec));
  // Nobody computes yet: what is in the queues is what the coordinator has put there.
  const redis = new Redis(cluster.redisUrl);
  cleanUp.add(() => redis.disconnect());
  const prefix = await runPrefix(redis, job);
  const lengths = () =>
    Promise.all([...TASK_QUEUES, REISSUE_QUEUE].map((name) => redis.llen(`${prefix}:${name}:wait`)));
  const run = prefix.slice('{kasane:'.length, -1);
  const names = [...TASK_QUEUES, REISSUE_QUEUE].map((name) => `${run}/${name}`);
  const [even, odd, again] = names;
  const waiting = (queues: Board['queues']) =>
    // A queue is there once it has held something: that of tasks handed out again may not be.
    names.map((name) => queues.find((queue) => queue.name === name)?.counts.waiting ?? 0);
  await until(
    async () => [waiting(await board()), await lengths()] as const,
    ([seen, there]) => there[0]! > 0 && there[1]! > 0 && seen.every((count, index) => count === there[index]),
  );
  const queues = await board(even);
  expect(queues.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual([]);
  expect(queues.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
  const { jobs } = queues.find(({ name }) => name === even)!;
  expect(jobs.length).toBeGreaterThan(0);
  const [first] = jobs;
  const shown = await fetch(`${page}/api/queues/${encodeURIComponent(even!)}/${first!.id}`);
  expect(shown.status).toBe(200);
  const { job: entry } = (await shown.json()) as { job: Entry };
  expect(entry).toMatchObject({ name: 'train', data: { tasks: [{ kind: 'train', samples: 25 }] } });
  expect(entry.id).toMatch(/^train-\d+-\d+-1$/);
  expect(entry.data.tasks[0]!.step % 2).toBe(0);

  // While it runs every question is answered; what is asked for may have been done meanwhile.
  await cluster.worker();
  for await (const now of client.watch(job)) {
    for (const name of [even, odd, again]) {
      for (const { id } of (await board(name)).find((queue) => queue.name === name)?.jobs ?? []) {
        const { status } = await fetch(`${page}/api/queues/${encodeURIComponent(name!)}/${id}`);
        expect([200, 404]).toContain(status);
      }
    }
    if (now.step > 0) break;
  }
  for await (const _ of client.watch(job)); // to its end
  expect((await client.get(job)).error).toBe('');
  // Nothing of it is left in Redis, and the board has not made anything anew.
  await until(board, (left) => left.length === 0);
  expect(await redis.keys(`{kasane:${job}*`)).toEqual([]);
});
