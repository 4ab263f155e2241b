/** Event files of a real run, read by another program: Python's protobuf, and TensorBoard's own reader where it is installed. */
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { crc32c } from '@kasane/cli/internal/tensorboard/event-file';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';
import { needing, PYTHON } from './support/needs.ts';

const run = promisify(execFile);
const reader = fileURLToPath(new URL('support/read-events.py', import.meta.url));
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it('CRC-32C has its known answer', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
});

it('a run is there, curve by curve', needing(['protobuf']), async () => {
  const folder = temporaryDirectory(cleanUp);
  const mlp = jobPresets['mnist-mlp']!;
  const job = join(folder, 'job.json');
  const training = { ...mlp.training, batch: 100, shards: 2, epochs: 3 };
  writeFileSync(job, JSON.stringify({ ...mlp, training }));
  const data = smallMnist(temporaryDirectory(cleanUp), 1000, 200);
  const logs = join(folder, 'logs');
  const options = ['--data', data, '--tensorboard', logs, '--json', '--out', join(folder, 'out.safetensors')];
  const { stdout } = await run(process.execPath, [main, 'train', job, ...options]);
  const result = JSON.parse(stdout);
  expect(readdirSync(logs)).toEqual([result.job]);
  const [file, ...others] = readdirSync(join(logs, result.job));
  expect(file).toMatch(/^events\.out\.tfevents\.\d{10}\./);
  expect(others).toEqual([]);

  const read = await run(PYTHON, [reader, join(logs, result.job, file!)]);
  const { scalars, versions } = JSON.parse(read.stdout) as {
    versions: string[];
    scalars: Record<string, [step: number, value: number][]>;
  };
  expect(versions).toEqual(['brain.Event:2']);
  expect(scalars['test/accuracy']!.map(([step]) => step)).toEqual([10, 20, 30]);
  expect(scalars['test/accuracy']!.at(-1)![1]).toBeCloseTo(result.testAccuracy, 6);
  expect(scalars['test/f1']!.at(-1)![1]).toBeCloseTo(result.testMetrics.f1, 6);
  expect(Object.keys(scalars)).not.toContain('test/rmse');
  expect(scalars['test/loss']!.at(-1)![1]).toBeCloseTo(result.testLoss, 5);
  const steps = scalars['train/loss']!.map(([step]) => step);
  expect(steps.length).toBeGreaterThan(0);
  expect([...steps].sort((a, b) => a - b)).toEqual(steps);
  expect(new Set(steps).size).toBe(steps.length);
  const layers = Object.keys(scalars).filter((tag) => tag.startsWith('gradient_norm/'));
  expect(layers.length).toBe(3);
});
