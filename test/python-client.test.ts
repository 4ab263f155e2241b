/** Another language: examples/client.py, with Debian's grpcio and the reflection service. KASANE_REQUIRE_PYTHON=1 forbids to leave it out. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';

const PYTHON = '/usr/bin/python3';
const script = fileURLToPath(new URL('../examples/client.py', import.meta.url));
const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);

const there = spawnSync(PYTHON, ['-c', 'import grpc, google.protobuf']).status === 0;
if (!there && process.env.KASANE_REQUIRE_PYTHON === '1')
  throw new Error(`${PYTHON} has no grpc: apt-get install python3-grpcio python3-protobuf`);
if (!there) process.stderr.write(`left out: ${PYTHON} has no grpc\n`);

let folder = '';
beforeAll(async () => {
  if (!there) return;
  await cluster.start();
  await cluster.worker();
  folder = temporaryDirectory(cleanUp);
});
afterAll(() => cleanUp.run());

it.runIf(there)('submits a job, watches it and reads its result', async () => {
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

it.runIf(there)('hears what is wrong with a job file', async () => {
  const job = join(folder, 'wrong.yaml');
  writeFileSync(job, 'name: x\nmodel: { preset: mnist-mpl }\n');
  const ended = promisify(execFile)(PYTHON, [script, cluster.address, job, join(folder, 'none')]);
  await expect(ended).rejects.toMatchObject({
    stderr: expect.stringMatching(/^INVALID_ARGUMENT: .*mnist-mpl.*mnist-mlp/),
  });
});
