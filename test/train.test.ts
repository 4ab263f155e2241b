/** What a newcomer meets: `kasane train`, as a process, from nothing to weights and back to a prediction. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';

const run = promisify(execFile);
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it('the default job reaches 98 % on MNIST, prints one JSON object, and leaves nothing but its weights', async () => {
  const temporary = temporaryDirectory(cleanUp);
  const out = join(temporaryDirectory(cleanUp), 'model.safetensors');
  const env = { ...process.env, TMPDIR: temporary };
  const { stdout } = await run(process.execPath, [main, 'train', '--json', '--out', out], { env });
  const record = JSON.parse(stdout) as Record<string, unknown>;
  const keys = [
    'job',
    'metric',
    'testMetric',
    'testAccuracy',
    'testLoss',
    'testMetrics',
    'epochs',
    'steps',
    'seconds',
    'samplesPerSecond',
    'workers',
    'digest',
    'model',
  ];
  expect(Object.keys(record)).toEqual(keys);
  expect(stdout.trim().split('\n')).toHaveLength(1);
  expect(record.testAccuracy).toBeGreaterThanOrEqual(0.98);
  expect(record.model).toBe(out);
  expect(record.digest).toBe(createHash('sha256').update(readFileSync(out)).digest('hex'));
  expect(readdirSync(temporary)).toEqual([]);

  // The file alone is enough to find the same figures again.
  const again = await run(process.execPath, [main, 'eval', out, '--json'], { env });
  const evaluated = JSON.parse(again.stdout) as Record<string, number>;
  expect(evaluated).toMatchObject({ samples: 10_000, counted: 10_000, metric: 'accuracy' });
  expect(evaluated.value).toBe(record.testAccuracy);
  expect(evaluated.loss).toBeCloseTo(record.testLoss as number, 6);
  expect(evaluated.metrics).toEqual(record.testMetrics);
});
