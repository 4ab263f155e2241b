/** A coordinator with its page in a process of its own, that says what it holds. Started by `memory.test.ts`. */
import { startCoordinator } from '@kasane/coordinator/coordinator';
import { startDashboard } from '@kasane/dashboard/server';
import { pino } from 'pino';

/** As JSON in KASANE_COORDINATOR_PROCESS. */
export interface ProcessOptions {
  readonly redisUrl: string;
  readonly stateDirectory: string;
}

/** First message. */
export interface ProcessStarted {
  readonly address: string;
  readonly page: string;
}

/** Answer to any message. Nothing is collected for it. */
export interface Held {
  /** Bytes of objects and buffers, without the room V8 keeps for new objects: that grows with how fast they come. */
  readonly bytes: number;
  /** Bytes of memory of the process. */
  readonly rss: number;
}

const options = JSON.parse(process.env.KASANE_COORDINATOR_PROCESS ?? '') as ProcessOptions;
const { address } = await startCoordinator({
  ...{ ...options, host: '127.0.0.1', port: 0 },
  log: pino({ level: process.env.KASANE_TEST_LOG ?? 'silent' }),
});
const page = await startDashboard({ port: 0, coordinator: address });
process.on('disconnect', () => process.exit(0));
process.on('message', () => {
  const { heapUsed, external, rss } = process.memoryUsage();
  process.send?.({ bytes: heapUsed + external, rss } satisfies Held);
});
process.send?.({ address, page: page.url } satisfies ProcessStarted);
