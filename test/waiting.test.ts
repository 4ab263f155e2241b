/** What a job waits for is said at once, though nothing else of it changes: by the stream, `kasane watch` and `kasane logs -f`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { readArgs } from '@kasane/protocol/internal/events/forms';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
afterAll(() => cleanUp.run());

const stepOf = ({ waitingFor }: Job): unknown =>
  waitingFor?.code === 'no-worker' ? readArgs(waitingFor.args).step : undefined;

it('without a worker, with one, and without it again', async () => {
  await cluster.start();
  const { client } = cluster;
  const file = {
    name: 'waits',
    model: { preset: 'mnist-mlp' },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 2000, 100) },
    training: { epochs: 100_000, batch: 100, shards: 2 },
  };
  const id = await client.submit(JSON.stringify(file));
  const texts = ['watch', 'logs'].map((command) => {
    const args = [main, command, id, '--coordinator', cluster.address, ...(command === 'logs' ? ['-f'] : [])];
    const child = spawn(process.execPath, args, {
      env: { ...process.env, KASANE_CONFIG: '/nowhere/config.json' },
    });
    cleanUp.add(() => child.kill('SIGKILL'));
    const said = { text: '', ended: once(child, 'exit') };
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (said.text += text));
    return said;
  });
  const says = (index: number, what: RegExp) =>
    expect.poll(() => texts[index]!.text, { timeout: 60_000 }).toMatch(what);

  const seen = client.watch(id);
  const until = async (fits: (job: Job) => boolean) => {
    for (;;) {
      const { value, done } = await seen.next();
      if (done) throw new Error('the job has ended');
      if (fits(value)) return value;
    }
  };
  await until((job) => stepOf(job) === 1);
  await says(0, /waiting: step 1: no worker is connected\n/);
  await says(1, / {2}waiting: step 1: no worker is connected\n/);
  const worker = await cluster.worker();
  await until(({ step }) => step >= 5);
  worker.kill('SIGKILL');
  const last = await until((job) => stepOf(job) !== undefined);
  expect(stepOf(last)).toBe(last.step + 1);
  await says(0, /waiting: step 1: .*\n[\s\S]*waiting: step \d+: no worker is connected\n/);
  await says(1, / {2}continuing after step \d+\n[\s\S]* {2}waiting: step \d+: no worker/);
  await client.cancel(id);
  expect((await Promise.all(texts.map(({ ended }) => ended))).map(([code]) => code)).not.toContain(0);
  client.close();
});
