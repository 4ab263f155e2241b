/**
 * A coordinator with its page in a process of its own, to be sent anything: says where it is, and when asked what it has used since it
 * was last asked. Started by `network.test.ts`.
 */
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { startDashboard } from '@kasane/dashboard/server';
import { pino } from 'pino';
import { slowness } from './yardstick.ts';

/** What the process that starts this one says, as JSON in KASANE_VICTIM. */
export interface VictimOptions {
  readonly redisUrl: string;
  readonly stateDirectory: string;
  /** Jobs may name data in here alone. */
  readonly dataRoot: string;
}

/** First message. */
export interface VictimStarted {
  readonly address: string;
  readonly page: string;
}

/** What it is asked: what it uses, after a garbage collection or as it is, and how slow its machine is. */
export type VictimQuestion = 'usage' | 'turns' | 'slowness';

/** Answer to each. */
export interface VictimUsage {
  /** Most CPU time of the main thread between two turns of its event loop, in microseconds, since the last answer. */
  readonly longestTurnUs: number;
  /** Bytes that are held. */
  readonly heldBytes: number;
  /** Most bytes of memory that the process has ever had. */
  readonly peakBytes: number;
  /** By `slowness()`; 1 unless it was asked for. */
  readonly slowness: number;
}

const options = JSON.parse(process.env.KASANE_VICTIM ?? '') as VictimOptions;
const { redisUrl, stateDirectory, dataRoot } = options;
const unbounded = 1_000_000_000;
const coordinator = await startCoordinator({
  ...{ host: '127.0.0.1', port: 0, redisUrl, stateDirectory },
  access: { roots: [dataRoot], hosts: ['localhost'] },
  // What is sent comes from one caller, and fast.
  limits: { requestsPerSecond: unbounded, jobs: 20, connectionsPerClient: 4096 },
  log: pino({ level: process.env.KASANE_TEST_LOG ?? 'silent' }),
});
const page = await startDashboard({ port: 0, coordinator: coordinator.address });

let longestTurnUs = 0;
let before = process.threadCpuUsage();
setInterval(() => {
  const now = process.threadCpuUsage();
  longestTurnUs = Math.max(longestTurnUs, now.user + now.system - before.user - before.system);
  before = now;
}, 5);

process.on('disconnect', () => process.exit(0));
process.on('message', (what: VictimQuestion) => {
  if (what === 'usage') globalThis.gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  const usage: VictimUsage = {
    longestTurnUs,
    heldBytes: heapUsed + external + arrayBuffers,
    // Kilobytes, as getrusage has it on Linux.
    peakBytes: process.resourceUsage().maxRSS * 1024,
    slowness: what === 'slowness' ? slowness() : 1,
  };
  longestTurnUs = 0;
  before = process.threadCpuUsage();
  process.send?.(usage);
});
process.send?.({ address: coordinator.address, page: page.url } satisfies VictimStarted);
