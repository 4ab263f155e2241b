/** Several machines, as the README has them, each command a process of its own: coordinator, workers, submit, watch, predict. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openIdx } from '@kasane/data/idx';
import { mnistDirectory } from '@kasane/data/mnist';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { runCommand, startCommand } from './support/commands.ts';
import { smallTableJob } from './support/small-table.ts';

const cleanUp = new CleanUp();
const folder = temporaryDirectory(cleanUp);
let coordinator: ChildProcess;
let address = '';

const start = (args: readonly string[], said: RegExp) => startCommand(cleanUp, args, said);

/** Runs a command to its end and returns its standard output. */
async function kasane(...args: readonly string[]): Promise<string> {
  return (await runCommand([...args, '--coordinator', address])).stdout;
}

beforeAll(async () => {
  const args = ['coordinator', '--port', '0', '--dashboard-port', '0', '--state', join(folder, 'state')];
  const [child, match] = await start(args, /^Coordinator at (\S+),/);
  coordinator = child;
  address = match[1]!;
});
afterAll(() => cleanUp.run());

it('trains on workers that come and go, and predicts with what was learned', async () => {
  const [first] = await start(
    ['worker', '--coordinator', address, '--slots', '1'],
    /connected|joined|coordinator/i,
  );
  const data = smallMnist(temporaryDirectory(cleanUp), 4000, 500);
  const file = join(folder, 'job.yaml');
  writeFileSync(
    file,
    `name: by-hand\ndescription: As the README has it.\ntags: [baseline, 手書き]\nmodel: { preset: mnist-mlp }\ndata: { path: ${data} }\ntraining: { epochs: 6, batch: 100, shards: 4, learningRate: 0.003 }\n`,
  );
  const plan = { name: 'by-hand', parameters: 109386, trainingSamples: 4000, testSamples: 500 };
  const checked = await kasane('submit', file, '--dry-run', '--json', '--epochs', '2', '--batch', '200');
  expect(JSON.parse(checked)).toEqual({ ...plan, stepsPerEpoch: 20, steps: 40, notes: [] });
  await expect(kasane('submit', file, '--dry-run', '--data', join(folder, 'none'))).rejects.toThrow(/none/);
  expect(JSON.parse(await kasane('jobs', '--json'))).toEqual([]);
  const id = await kasane('submit', file);
  // Until there is another worker: on a busy machine the commands take longer than the training.
  await kasane('pause', id);
  const tagged = JSON.parse(await kasane('jobs', '--tag', '手書き', '--json')) as object[];
  const about = { description: 'As the README has it.', tags: ['baseline', '手書き'] };
  expect(tagged).toEqual([expect.objectContaining({ job: id, ...about })]);
  expect(await kasane('jobs', '--tag', 'other')).toBe('');
  expect(id).toMatch(/^by-hand-[0-9a-f]{8}$/);

  const [second] = await start(
    ['worker', '--coordinator', address, '--slots', '1'],
    /connected|joined|coordinator/i,
  );
  const workers = JSON.parse(await kasane('workers', '--json')) as { id: string; slots: number }[];
  expect(workers.map(({ slots }) => slots)).toEqual([1, 1]);
  expect(await kasane('workers')).toContain(workers[1]!.id);
  await kasane('resume', id);
  // One leaves as it should: it finishes what it computes.
  first.kill('SIGTERM');
  expect(await once(first, 'exit')).toEqual([0, null]);

  expect(await kasane('watch', id)).toMatch(
    new RegExp(`^${id} succeeded, test accuracy 9\\d\\.\\d\\d %\nSHA-256 {2}[0-9a-f]{64}$`),
  );
  const [record] = JSON.parse(await kasane('jobs', '--json')) as Record<string, unknown>[];
  expect(record).toMatchObject({ job: id, state: 'succeeded' });
  expect(await kasane('jobs')).toContain(id);

  const events = await kasane('logs', id);
  for (const event of [
    'submitted as by-hand',
    'started: 6 epochs',
    'epoch 6/6: loss ',
    'succeeded after step ',
    'worker ',
  ])
    expect(events).toContain(`  ${event}`);
  expect(JSON.parse(await kasane('status', '--json'))).toMatchObject({
    workers: 1,
    slots: 1,
    jobs: [],
    ended: 1,
  });
  const exported = join(folder, 'model.onnx');
  expect(await kasane('export', id, '-o', exported)).toMatch(/^Wrote {4}\S+model\.onnx \([\d,]+ bytes\)/);
  expect(statSync(exported).size).toBeGreaterThan(4 * 109_386);
  // The job knows where its data is.
  const evaluated = JSON.parse(await kasane('eval', id, '--json')) as { value: number };
  expect(evaluated.value).toBe(record!.testAccuracy);

  const { test } = openIdx(mnistDirectory());
  const [pixels, labels] = [new Uint8Array(784), new Uint8Array(1)];
  test.gather(Uint32Array.of(0), pixels, labels);
  const image = join(folder, 'seven.png');
  await sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } })
    .png()
    .toFile(image);
  const [prediction] = (await kasane('predict', id, image, '--json')).split('\n');
  expect(JSON.parse(prediction!)).toMatchObject({ class: labels[0] });

  const long = await kasane('submit', 'mnist-mlp');
  await kasane('cancel', long);
  await expect(kasane('watch', long)).rejects.toThrow(/cancelled/);
  second.kill('SIGTERM');
  await once(second, 'exit');

  // Nobody computes. Who stops looking leaves the job alone.
  const held = await kasane('submit', 'mnist-mlp');
  const [watching] = await start(['watch', held, '--coordinator', address], /^waiting: /);
  watching.kill('SIGINT');
  expect(await once(watching, 'exit')).toEqual([130, null]);
  expect(await kasane('jobs')).toMatch(new RegExp(`^${held} +running `, 'm'));
  await expect(kasane('predict', 'digit', image)).rejects.toThrow(
    /digit: file not found, and there is no job 'digit'/,
  );
  // A terminal and npm both pass Ctrl-C on: that is one request, and it is closed as it should be.
  coordinator.kill('SIGINT');
  coordinator.kill('SIGINT');
  expect(await once(coordinator, 'exit')).toEqual([0, null]);
  await expect(kasane('jobs')).rejects.toThrow(/no coordinator answers/);
});

it('a training that is stopped by a signal ends with the code of that signal', async () => {
  const own = temporaryDirectory(cleanUp);
  const job = smallTableJob(own, 100_000);
  const out = join(own, 'out.safetensors');
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const [training] = await start(['train', job, '--workers', '1', '--out', out], /^epoch +1\//);
    training.kill(signal);
    expect(await once(training, 'exit')).toEqual([code, null]);
  }
});
