/**
 * A worker as a child process of an embedded cluster. Options come as JSON in KASANE_WORKER_OPTIONS; SIGTERM drains;
 * when the parent dies, and with it the IPC channel, so does this process.
 */
import { messageOf } from '@kasane/protocol/errors';
import { readClientTls, type TlsFiles } from '@kasane/protocol/tls';
import { tracing } from '@kasane/protocol/tracing';
import { pino } from 'pino';
import type { Backend, GpuStorage } from './gpu.ts';
import { startWorker } from './worker.ts';

export interface WorkerProcessOptions extends TlsFiles {
  readonly coordinator: string;
  readonly slots: number;
  readonly backend?: Backend;
  readonly gpuStorage?: GpuStorage;
  readonly profile?: string;
  readonly redisUrl?: string;
  readonly token?: string;
  readonly sharedMemory?: boolean;
  /** pino level. Default warn. */
  readonly logLevel?: string;
}

const { logLevel = 'warn', ...options } = JSON.parse(
  process.env.KASANE_WORKER_OPTIONS ?? '{}',
) as WorkerProcessOptions;
const log = pino({ level: logLevel }, pino.destination({ fd: 2, sync: true }));

// Ctrl-C reaches the whole process group; the parent decides what it means.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
try {
  const worker = await startWorker({ ...options, tls: readClientTls(options), log });
  process.once('SIGTERM', () => void worker.drain());
  void worker.connected.then(() => process.send?.({ type: 'ready', id: worker.id }));
  await worker.done;
  await tracing()?.stop();
  process.exit(0);
} catch (error) {
  log.fatal(messageOf(error));
  process.exit(1);
}
