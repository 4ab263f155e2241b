/** A cluster for benchmarks: the coordinator in this process, Redis and workers as processes of their own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type StartedRedis, startRedis } from '@kasane/cli/internal/redis/start';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import type { StepTimes } from '@kasane/coordinator/internal/run/run-options';
import { anywhere } from '@kasane/data/internal/files/access';
import { CoordinatorClient } from '@kasane/protocol/client';
import { pino } from 'pino';
import { type CpuRole, cpuBetween, cpuRoles, readCpu } from './cpu.ts';

export interface MeasureOptions {
  readonly job: object;
  /** Steps that are measured, after `warmUp` steps that are not. */
  readonly steps: number;
  readonly warmUp: number;
  /** Starts the workers; returns what ends them. */
  readonly workers: (coordinator: string, redisUrl: string) => Promise<() => unknown>;
  /** Where the cluster is, and who may call it. Default: on loopback, without a token. */
  readonly host?: string;
  readonly token?: string;
  /** Default: one that is on loopback. */
  readonly redis?: () => Promise<Pick<StartedRedis, 'url' | 'close'>>;
  /** Called when the first of the steps that are measured begins, and when the last has ended. */
  readonly onEdge?: () => void;
}

export interface MeasuredSteps {
  readonly times: readonly StepTimes[];
  /** Milliseconds of a step that all of a role's threads computed; 0 where there is no /proc. */
  readonly cpu: Readonly<Record<CpuRole, number>>;
}

/** Processes with one slot each. @param sharedMemory whether tensors go through it, or over links */
export function singleSlots(count: number, sharedMemory = true): MeasureOptions['workers'] {
  return async (coordinator) => {
    const children: ChildProcess[] = [];
    for (let index = 0; index < count; index++) {
      const options = JSON.stringify({ coordinator, slots: 1, logLevel: 'silent', sharedMemory });
      const child = fork(new URL(import.meta.resolve('@kasane/worker/internal/process')), {
        env: { ...process.env, KASANE_WORKER_OPTIONS: options },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      children.push(child);
      await once(child, 'message');
    }
    return () => {
      for (const child of children) child.kill('SIGKILL');
    };
  };
}

/** Trains a job on a new cluster for so many steps and returns where the time of each went. */
export async function measureSteps({
  job,
  steps,
  warmUp,
  workers,
  host = '127.0.0.1',
  token,
  redis: openRedis = () => startRedis({ log: () => {} }),
  onEdge = () => {},
}: MeasureOptions): Promise<MeasuredSteps> {
  const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));
  const redis = await openRedis();
  const times: StepTimes[] = [];
  let before = readCpu();
  let used: Record<CpuRole, number> | undefined;
  let full = () => {};
  const enough = new Promise<void>((resolve) => {
    full = resolve;
  });
  const coordinator = await startCoordinator({
    host,
    token,
    access: anywhere,
    port: 0,
    redisUrl: redis.url,
    stateDirectory: directory,
    log: pino({ level: process.env.KASANE_TEST_LOG ?? 'silent' }),
    onStep: (step) => {
      times.push(step);
      if (times.length === warmUp) {
        before = readCpu();
        onEdge();
      }
      if (times.length !== steps + warmUp) return;
      onEdge();
      used = cpuBetween(before, readCpu());
      full();
    },
  });
  const end = await workers(coordinator.address, redis.url);
  const client = new CoordinatorClient({ coordinator: coordinator.address, token });
  const id = await client.submit(JSON.stringify(job));
  const failed = (async () => {
    for await (const _ of client.watch(id));
    const { error } = await client.get(id);
    throw new Error(error === '' ? `the job had fewer than ${steps + warmUp} steps` : error);
  })();
  // When there are enough, nobody listens any more.
  failed.catch(() => {});
  try {
    await Promise.race([enough, failed]);
  } finally {
    client.close();
    await coordinator.close();
    await end();
    await redis.close();
    rmSync(directory, { recursive: true, force: true });
  }
  const cpu = Object.fromEntries(cpuRoles.map((role) => [role, used![role] / steps]));
  return { times: times.slice(warmUp, warmUp + steps), cpu: cpu as Record<CpuRole, number> };
}
