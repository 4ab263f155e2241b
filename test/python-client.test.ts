/** Another language: examples/client.py, with Debian's grpcio and the reflection service. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { needing, PYTHON } from './support/needs.ts';

const script = fileURLToPath(new URL('../examples/client.py', import.meta.url));
const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);

const needed = needing(['grpc', 'protobuf']);
let folder = '';
beforeAll(async () => {
  if (needed.skip) return;
  await cluster.start();
  await cluster.worker();
  folder = temporaryDirectory(cleanUp);
});
afterAll(() => cleanUp.run());

it('submits a job, watches it and reads its result', needed, async () => {
  const job = join(folder, 'job.yaml');
  const weights = join(folder, 'weights.safetensors');
  writeFileSync(
    job,
    `name: from-python\nmodel: { preset: mnist-mlp }\ndata: { path: '${smallMnist(folder, 400, 100)}' }\ntraining: { epochs: 3, batch: 50, shards: 2 }\n`,
  );
  const { stdout } = await promisify(execFile)(PYTHON, [script, cluster.address, job, weights]);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const { client } = cluster;
  const result = lines.pop()!;
  const seen = await client.get(String(result.job));
  client.close();
  expect(lines).toEqual(
    seen.history.map(({ epoch, trainLoss, testMetric }) => ({ epoch, loss: trainLoss, test: testMetric })),
  );
  expect(lines).toHaveLength(3);
  const bytes = readFileSync(weights);
  const digest = createHash('sha256').update(bytes).digest('hex');
  expect(result).toEqual({
    job: seen.id,
    state: 'JOB_STATE_SUCCEEDED',
    error: '',
    digest,
    sha256: digest,
  });
  expect(seen.digest).toBe(digest);
});

it('hears what is wrong with a job file', needed, async () => {
  const job = join(folder, 'wrong.yaml');
  writeFileSync(job, 'name: x\nmodel: { preset: mnist-mpl }\n');
  const ended = promisify(execFile)(PYTHON, [script, cluster.address, job, join(folder, 'none')]);
  await expect(ended).rejects.toMatchObject({
    stderr: expect.stringMatching(/^INVALID_ARGUMENT: .*mnist-mpl.*mnist-mlp/),
  });
});
