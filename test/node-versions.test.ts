/** The same bits on every Node that Kasane runs on: coordinator, workers and command line, each on Node 22, 24 and 26. */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';

const run = promisify(execFile);
const { resolve } = createRequire(import.meta.url);
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

const nodes = {
  22: join(dirname(resolve('node-22/package.json')), 'bin/node'),
  24: process.execPath,
  26: join(dirname(resolve('node-26/package.json')), 'bin/node'),
};

it('one digest on Node 22, 24 and 26', async () => {
  const directory = temporaryDirectory(cleanUp);
  const data = join(directory, 'data');
  mkdirSync(data);
  smallMnist(data, 2000, 500);
  const job = jobPresets['mnist-mlp']!;
  const file = join(directory, 'job.json');
  // Long enough that a worker which starts late on a busy machine takes part.
  writeFileSync(file, JSON.stringify({ ...job, training: { ...job.training, batch: 100, epochs: 20 } }));

  const found: Record<string, unknown> = {};
  for (const [version, node] of Object.entries(nodes)) {
    expect((await run(node, ['--version'])).stdout).toMatch(new RegExp(`^v${version}\\.`));
    const out = join(directory, `${version}.safetensors`);
    const options = ['--json', '--workers', '2', '--data', data, '--out', out];
    const { stdout } = await run(node, [main, 'train', file, ...options]);
    const { digest, steps, workers } = JSON.parse(stdout);
    expect({ steps, workers }).toEqual({ steps: 400, workers: 2 });
    found[version] = digest;
  }
  expect(new Set(Object.values(found)).size, JSON.stringify(found)).toBe(1);
});
