/**
 * Holds a coordinator under load: many synthetic workers, many who watch, many jobs. The coordinator is in this process, so that
 * its CPU time, its memory and the delay of its event loop are this process's; Redis, workers and watchers have their own.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { CoordinatorClient } from '@kasane/protocol/client';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { CleanUp, temporaryDirectory } from '../support/cluster.ts';
import { LoadChild, ownUse, Tally, type Told } from './child.ts';

export interface LoadOptions {
  readonly workers: number;
  /** That the workers are spread over. */
  readonly processes: number;
  readonly watchers: number;
  /** Jobs that wait or run at any time; when one ends another is submitted, if `seconds` is given. */
  readonly jobs: number;
  /** What each of them is. */
  readonly job: object;
  /** Ends after so long; without it, when all jobs have ended. */
  readonly seconds?: number;
  readonly sharedMemory: boolean;
  readonly say: (line: string) => void;
}

/** Of one process, from the beginning of the measurement to its end. */
export interface Use {
  /** Parts of one core. */
  readonly cores: number;
  readonly startBytes: number;
  readonly endBytes: number;
}

export interface LoadFigures {
  readonly seconds: number;
  readonly steps: number;
  /** Milliseconds of a step, in the median and the 99th of a hundred. */
  readonly stepMs: { readonly median: number; readonly p99: number };
  readonly coordinator: Use;
  readonly redis: Use & { readonly connections: number };
  readonly workers: Use;
  readonly watchers: Use;
  /** Milliseconds beyond which a timer is late. */
  readonly eventLoopMs: { readonly median: number; readonly p99: number; readonly max: number };
  /** What the watchers received and asked. */
  readonly seen: Readonly<Record<string, number>>;
  /** How jobs ended: digests and how many have each. */
  readonly digests: ReadonlyMap<string, number>;
  readonly ended: number;
  /** Refused, failed, handed out again: by sentence, of all processes, in those `seconds`. */
  readonly complaints: Readonly<Record<string, number>>;
  /** Before: while all of them came at once. */
  readonly earlier: Readonly<Record<string, number>>;
}

/** Time in which caches and buffers fill before anything is measured, in milliseconds. */
const WARM_MS = 10_000;

export async function holdLoad(options: LoadOptions): Promise<LoadFigures> {
  const cleanUp = new CleanUp();
  try {
    return await hold(options, cleanUp);
  } finally {
    await cleanUp.run();
  }
}

async function hold(options: LoadOptions, cleanUp: CleanUp): Promise<LoadFigures> {
  const { workers, processes, watchers, jobs, job, seconds, sharedMemory, say } = options;
  const complaints = new Tally();
  const redis = await startRedis();
  cleanUp.add(() => redis.close());
  const stateDirectory = temporaryDirectory(cleanUp);
  let ended = 0;
  let allEnded = () => {};
  const end = new Promise<void>((resolve) => (allEnded = resolve));
  const submit = async () => {
    await client.submit(JSON.stringify(job));
  };
  const heard = (line: string) => {
    const { level, msg } = JSON.parse(line) as { level: number; msg: string };
    if (level > 30 || /reissuing tasks|disconnected/.test(msg)) complaints.add(msg);
    if (!/^job \S+ (succeeded|failed|cancelled)$/.test(msg)) return;
    ended++;
    if (seconds !== undefined) submit().catch((error: Error) => complaints.add(error.message));
    else if (ended === jobs) allEnded();
  };
  const times: number[] = [];
  const coordinator = await startCoordinator({
    host: '127.0.0.1',
    port: 0,
    redisUrl: redis.url,
    stateDirectory,
    log: pino({ level: 'info' }, { write: heard }),
    onStep: ({ stepMs }) => times.push(stepMs),
  });
  cleanUp.add(() => coordinator.close());
  const client = new CoordinatorClient({ coordinator: coordinator.address });
  cleanUp.add(() => client.close());

  const child = (script: string, more: object) => {
    const made = new LoadChild(script, { coordinator: coordinator.address, ...more });
    cleanUp.add(() => made.end());
    return made;
  };
  const began = performance.now();
  const shares = Array.from(
    { length: processes },
    (_, index) => Math.floor(((index + 1) * workers) / processes) - Math.floor((index * workers) / processes),
  );
  const working = shares.map((share) => child('./workers.ts', { workers: share, sharedMemory }));
  await Promise.all(working.map((one) => one.ready()));
  say(`${workers} workers joined in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const before = performance.now();
  for (let index = 0; index < jobs; index++) await submit();
  say(`${jobs} jobs submitted in ${((performance.now() - before) / 1000).toFixed(1)} s`);
  const watching = child('./watchers.ts', { watchers });
  await watching.ready();
  say(`${watchers} watchers watch`);

  if (seconds !== undefined) await sleep(WARM_MS);
  const asked = new Redis(redis.url);
  cleanUp.add(() => asked.disconnect());
  const look = async () => ({
    at: performance.now(),
    steps: times.length,
    own: ownUse(),
    redis: await redisUse(asked),
    workers: total(await Promise.all(working.map((one) => one.ask()))),
    watchers: await watching.ask(),
  });
  const complained = (at: Awaited<ReturnType<typeof look>>) => {
    const all = new Tally();
    for (const told of [complaints.counts, at.workers.complaints, at.watchers.complaints]) all.addAll(told);
    return all;
  };
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const first = await look();
  const earlier = complained(first);
  if (seconds === undefined) await end;
  else await sleep(1000 * seconds);
  const last = await look();
  delay.disable();
  const took = (last.at - first.at) / 1000;
  const use = (from: Taken, to: Taken): Use => ({
    cores: (to.cpuSeconds - from.cpuSeconds) / took,
    startBytes: from.residentBytes,
    endBytes: to.residentBytes,
  });
  const digests = new Map<string, number>();
  for (const { digest } of await client.list())
    if (digest !== '') digests.set(digest, (digests.get(digest) ?? 0) + 1);
  const sorted = times.slice(first.steps, last.steps).sort((a, b) => a - b);
  const part = (of: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(of * sorted.length))] ?? Number.NaN;
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  return {
    seconds: took,
    steps: last.steps - first.steps,
    stepMs: { median: part(0.5), p99: part(0.99) },
    coordinator: use(first.own, last.own),
    redis: { ...use(first.redis, last.redis), connections: last.redis.connections },
    workers: use(first.workers, last.workers),
    watchers: use(first.watchers, last.watchers),
    eventLoopMs: {
      median: late(delay.percentile(50)),
      p99: late(delay.percentile(99)),
      max: late(delay.max),
    },
    seen: last.watchers.counts,
    digests,
    ended,
    complaints: complained(last).since(earlier),
    earlier: earlier.counts,
  };
}

/** Milliseconds between two looks at the event loop. */
const RESOLUTION_MS = 10;

type Taken = Pick<Told, 'cpuSeconds' | 'residentBytes'>;

function total(told: readonly Told[]): Told {
  const complaints = new Tally();
  for (const one of told) complaints.addAll(one.complaints);
  return {
    cpuSeconds: told.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    residentBytes: told.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
    complaints: complaints.counts,
    counts: {},
  };
}

/** Of Redis the memory is that of its data. */
async function redisUse(redis: Redis): Promise<Taken & { readonly connections: number }> {
  const info = await redis.info();
  const number = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return {
    cpuSeconds: number('used_cpu_sys') + number('used_cpu_user'),
    residentBytes: number('used_memory'),
    connections: number('connected_clients'),
  };
}
