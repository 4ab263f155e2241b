/** What a cluster tells those who look after it: Prometheus, Grafana's dashboard, structured logs, health. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { CoordinatorClient } from '@kasane/protocol/client';
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { jobPresets } from '@kasane/protocol/internal/job/presets';
import { startMetricsServer } from '@kasane/protocol/internal/ports/metrics-server';
import { startWorker } from '@kasane/worker/worker';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { checkout } from './support/image.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

const entries: Record<string, unknown>[] = [];
const log = pino({ level: 'debug' }, { write: (line: string) => entries.push(JSON.parse(line)) });
/** So many that the job still runs when it is looked at. */
const EPOCHS = 40;
/** Where metrics are served, as the log says it. */
const pages = () => entries.flatMap(({ msg }) => /^metrics at (\S+)\/metrics$/.exec(String(msg))?.[1] ?? []);
let job: Job;
let coordinatorPage: string;
let workerPage: string;

beforeAll(async () => {
  const redis = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => redis.close());
  const metrics = { port: 0 };
  const coordinator = await startCoordinator({
    host: '127.0.0.1',
    port: 0,
    redisUrl: redis.url,
    stateDirectory: temporaryDirectory(cleanUp),
    metrics,
    log,
  });
  cleanUp.add(() => coordinator.close());
  const worker = await startWorker({
    coordinator: coordinator.address,
    slots: 1,
    id: 'tester',
    metrics,
    log,
  });
  cleanUp.add(() => worker.close());
  const client = new CoordinatorClient({ coordinator: coordinator.address });
  cleanUp.add(() => client.close());
  const data = { format: 'idx', path: smallMnist(temporaryDirectory(cleanUp), 1000, 200) };
  const mlp = jobPresets['mnist-mlp']!;
  const spec = { ...mlp, data, training: { ...mlp.training, batch: 100, shards: 2, epochs: EPOCHS } };
  const id = await client.submit(JSON.stringify(spec));
  let looked = '';
  for await (const now of client.watch(id))
    if (now.step > 0 && !looked) looked = await (await fetch(`${pages()[0]}/metrics`)).text();
  job = await client.get(id);
  expect(job.error).toBe('');
  // Looked at while it ran: what is told of running jobs, of which there is none any more, comes from there.
  const after = await (await fetch(`${pages()[0]}/metrics`)).text();
  coordinatorPage = `${looked}\n${after}`;
  workerPage = await (await fetch(`${pages()[1]}/metrics`)).text();
});

/** Samples of a page; of those that are there twice the last counts. */
function parse(page: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of page.split('\n').filter((text) => text !== '' && !text.startsWith('#'))) {
    const found = /^([a-z_\d]+(?:\{.*\})?) (\S+)$/.exec(line);
    if (!found) throw new Error(`not a sample: ${line}`);
    samples.set(found[1]!, Number(found[2]));
  }
  return samples;
}

describe('metrics', () => {
  it('of a coordinator are what happened', () => {
    const samples = parse(coordinatorPage);
    expect(samples.get('kasane_steps_total')).toBe(10 * EPOCHS);
    expect(samples.get('kasane_step_seconds_count{phase="compute"}')).toBe(10 * EPOCHS);
    expect(samples.get('kasane_workers')).toBe(1);
    expect(samples.get('kasane_redis_up')).toBe(1);
    expect(samples.get('kasane_jobs{state="succeeded"}')).toBe(1);
    expect(samples.get('kasane_jobs{state="running"}')).toBe(0);
    expect(samples.get(`kasane_job_steps{job_id="${job.id}"}`)).toBe(10 * EPOCHS);
    expect(samples.get('process_resident_memory_bytes')).toBeGreaterThan(1e7);
  });

  it('of a worker are what it did', () => {
    const samples = parse(workerPage);
    expect(samples.get('kasane_worker_samples_total')).toBe(EPOCHS * (1000 + 200));
    expect(samples.get('kasane_worker_tasks_total{outcome="done"}')).toBeGreaterThan(10 * EPOCHS);
    expect(samples.get('kasane_worker_compute_seconds_count')).toBe(
      samples.get('kasane_worker_tasks_total{outcome="done"}'),
    );
    expect(samples.get('kasane_worker_connected')).toBe(1);
  });

  it("are all that Grafana's dashboard asks for, and the documentation lists them", () => {
    const file = readFileSync(join(checkout, 'examples/monitoring/grafana-dashboard.json'), 'utf8');
    const dashboard = JSON.parse(file) as { panels: { targets: { expr: string }[] }[] };
    const asked = dashboard.panels.flatMap(({ targets }) =>
      targets.flatMap(({ expr }) => expr.match(/\b(kasane|process|nodejs)_\w+/g) ?? []),
    );
    expect(asked.length).toBeGreaterThan(20);
    const told = new Set(
      [...`${coordinatorPage}\n${workerPage}`.matchAll(/^([a-z_\d]+)[{ ]/gm)].map(([, name]) => name!),
    );
    expect(asked.filter((name) => !told.has(name))).toEqual([]);
    const page = readFileSync(join(checkout, 'docs/monitoring.md'), 'utf8');
    const own = [...told]
      .filter((name) => name.startsWith('kasane_'))
      .map((name) => name.replace(/_(bucket|sum|count)$/, ''));
    expect([...new Set(own)].filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
    const documented = [...page.matchAll(/`(kasane_\w+)`/g)].map(([, name]) => name!);
    expect(documented.filter((name) => !own.includes(name))).toEqual([]);
  });

  it('beyond loopback want a token, health does not', async () => {
    const told = { metrics: async () => 'a_metric 1\n', health: () => undefined };
    await expect(startMetricsServer({ port: 0, host: '0.0.0.0' }, told)).rejects.toThrow(/--metrics-token/);
    const server = await startMetricsServer({ port: 0, host: '0.0.0.0', token: 'secret' }, told);
    const ask = (path: string, authorization?: string) =>
      fetch(`${server.url}${path}`, authorization ? { headers: { authorization } } : {}).then(
        (r) => r.status,
      );
    try {
      expect(await ask('/metrics')).toBe(401);
      expect(await ask('/metrics', 'Bearer other')).toBe(401);
      expect(await ask('/metrics', 'Bearer secret')).toBe(200);
      expect(await ask('/health')).toBe(200);
      expect(await ask('/other')).toBe(404);
    } finally {
      await server.close();
    }
  });
});

it('health is what a container engine asks for', async () => {
  for (const page of pages()) expect((await fetch(`${page}/health`)).status).toBe(200);
});

it('logs say of which job and worker they speak', () => {
  const told = (text: RegExp) => entries.find(({ msg }) => text.test(String(msg)));
  expect(told(/^worker tester joined/)).toMatchObject({ worker: 'tester' });
  expect(told(/^connected to/)).toMatchObject({ worker: 'tester' });
  expect(told(/submitted$/)).toMatchObject({ job: job.id });
  expect(told(/^epoch 40:/)).toMatchObject({ job: job.id });
  expect(told(/succeeded$/)).toMatchObject({ job: job.id });
});
