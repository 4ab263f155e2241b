/** `memory: low` from the job file to the kernels: convolutions are computed twice, and the weights have the same bits. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { runCommand } from './support/commands.ts';

const cleanUp = new CleanUp();
const folder = temporaryDirectory(cleanUp);
afterAll(() => cleanUp.run());

const convolution = [
  { type: 'conv2d', filters: 4, size: 3, padding: 1 },
  { type: 'batchNorm' },
  { type: 'relu' },
];
const job = {
  name: 'low-memory',
  model: {
    input: [28, 28, 1],
    classes: 10,
    layers: [
      ...Array.from({ length: 4 }, () => convolution).flat(),
      { type: 'globalAveragePool' },
      { type: 'dense', units: 10 },
    ],
  },
  data: { path: smallMnist(folder, 40, 20) },
  training: { epochs: 1, batch: 20, shards: 2 },
  evaluation: { shardSamples: 20 },
};

interface Trace {
  readonly traceEvents: readonly { readonly name: string; readonly args?: { readonly pass?: string } }[];
}

async function trained(...more: string[]) {
  const file = join(folder, 'job.json');
  writeFileSync(file, JSON.stringify(job));
  const trace = join(folder, 'trace.json');
  const out = join(folder, 'weights.safetensors');
  const options = ['--workers', '1', '--json', '--profile', trace, '--out', out];
  const { stdout } = await runCommand(['train', file, ...options, ...more]);
  const { traceEvents } = JSON.parse(readFileSync(trace, 'utf8')) as Trace;
  return {
    digest: (JSON.parse(stdout) as { digest: string }).digest,
    convolutions: traceEvents.filter(({ name }) => name === 'conv2d').length,
  };
}

it('gives the same weights for twice the forward pass', { timeout: 120_000 }, async () => {
  const plain = await trained();
  const low = await trained('--memory', 'low');
  expect(plain.digest).toMatch(/^[0-9a-f]{64}$/);
  expect(low.digest).toBe(plain.digest);
  expect(low.convolutions).toBeGreaterThan(plain.convolutions);
});
