/**
 * The cluster of bench/network: coordinator and Redis on the host where this process runs, a worker on each of the others. Its argument
 * says what to measure, as JSON; what it has measured is a message to its parent.
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentOf, findRedis } from '@kasane/cli/internal/redis/start';
import { rows } from '../rows.ts';
import { type MeasureOptions, measureSteps } from './cluster.ts';
import { jobOf } from './cluster-jobs.ts';
import { Hosts, type Traffic } from './hosts.ts';

export interface NetworkRequest {
  /** Of the namespaces. The cluster is on the first of the hosts. */
  readonly name: string;
  readonly hosts: number;
  /** Of bench/rows.ts. */
  readonly row: string;
  /** Of a step, for each worker. */
  readonly shards: number;
  readonly steps: number;
  readonly warmUp: number;
  /** Milliseconds that a worker waits in place of computing a shard. Undefined: it computes. */
  readonly computeMs: number | undefined;
  /** Of the job: with local steps, a step is a round. */
  readonly exchange: { readonly every: number; readonly optimizerState: string; readonly precision: string };
}

export interface NetworkAnswer {
  /** Milliseconds of each step, and of the computation of its slowest shard. */
  readonly times: readonly { readonly stepMs: number; readonly computeMs: number }[];
  /** By host, of one step. */
  readonly traffic: readonly Traffic[];
  /** Milliseconds of CPU time of one step, by role. */
  readonly cpu: Readonly<Record<string, number>>;
}

const REDIS_PORT = 6379;

const request = JSON.parse(process.argv[2]!) as NetworkRequest;
const hosts = new Hosts(request.name, request.hosts);
const workers = request.hosts - 1;
const token = randomBytes(24).toString('hex');

/** A Redis that the other hosts reach. */
async function openRedis() {
  const binary = await findRedis();
  const password = randomBytes(24).toString('hex');
  const settings = { bind: '0.0.0.0', port: REDIS_PORT, requirepass: password, save: '', appendonly: 'no' };
  const child = spawn(
    binary.path,
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    {
      cwd: tmpdir(),
      env: { ...process.env, ...environmentOf(binary) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  for await (const lines of child.stdout) if (String(lines).includes('eady to accept')) break;
  return {
    url: `redis://:${password}@${hosts.address(0)}:${REDIS_PORT}`,
    close: async () => {
      child.kill('SIGKILL');
    },
  };
}

const startWorkers: MeasureOptions['workers'] = async (coordinator) => {
  const { computeMs: pauseMs } = request;
  const options = { coordinator, token, sharedMemory: false };
  const [script, args, env] =
    pauseMs === undefined
      ? [
          new URL(import.meta.resolve('@kasane/worker/internal/process')).pathname,
          [],
          { KASANE_WORKER_OPTIONS: JSON.stringify({ ...options, slots: 1, logLevel: 'warn' }) },
        ]
      : [
          join(import.meta.dirname, '../../test/load/workers.ts'),
          [JSON.stringify({ ...options, workers: 1, pauseMs, gradual: true })],
          {},
        ];
  const children = Array.from({ length: workers }, (_, index) =>
    hosts.spawn(index + 1, process.execPath, [script, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  );
  await Promise.all(children.map((child) => once(child, 'message')));
  return () => {
    for (const child of children) child.kill('SIGKILL');
  };
};

const row = rows.find(({ name }) => name === request.row);
if (!row) throw new Error(`--row: '${request.row}'; there are ${rows.map(({ name }) => name).join(', ')}`);
const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
const edges: Traffic[][] = [];
try {
  const { steps, warmUp } = request;
  const { times, cpu } = await measureSteps({
    job: jobOf(row, directory, steps + warmUp, workers * request.shards, request.exchange),
    ...{ steps, warmUp, token, redis: openRedis, host: hosts.address(0), workers: startWorkers },
    onEdge: () => edges.push(hosts.traffic()),
  });
  const [before, after] = edges as [Traffic[], Traffic[]];
  const traffic = after.map(({ sent, received }, host) => ({
    sent: (sent - before[host]!.sent) / steps,
    received: (received - before[host]!.received) / steps,
  }));
  const answer: NetworkAnswer = {
    times: times.map(({ stepMs, computeMs }) => ({ stepMs, computeMs })),
    traffic,
    cpu,
  };
  process.send!(answer);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.disconnect();
