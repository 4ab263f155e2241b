/**
 * A worker as a child process of an embedded cluster. Options come as JSON in KASANE_WORKER_OPTIONS; the coordinator's address is among
 * them or comes later in a message. SIGTERM drains it. It exits if the IPC channel closes, because the parent disconnected or died.
 */
import { once } from 'node:events';
import { messageOf } from '@kasane/protocol/errors';
import { readClientTls, type TlsFiles } from '@kasane/protocol/internal/security/tls';
import { tracing } from '@kasane/protocol/internal/tracing';
import { isOutOfThreads, NO_THREADS } from '@kasane/tensor/internal/node/thread-answer';
import { pino } from 'pino';
import type { Backend, GpuStorage } from './slots/gpu.ts';
import { startWorker } from './worker.ts';

export interface WorkerProcessOptions extends TlsFiles {
  /** host:port. Default: the parent sends `{ coordinator }` once it knows it. */
  readonly coordinator?: string;
  readonly slots: number;
  readonly threads?: number;
  readonly backend?: Backend;
  readonly gpuStorage?: GpuStorage;
  readonly profile?: string;
  readonly redisUrl?: string;
  readonly token?: string;
  readonly sharedMemory?: boolean;
  readonly peers?: boolean;
  /** pino level. Default warn. */
  readonly logLevel?: string;
}

const { logLevel = 'warn', ...options } = JSON.parse(
  process.env.KASANE_WORKER_OPTIONS ?? '{}',
) as WorkerProcessOptions;
const log = pino({ level: logLevel }, pino.destination({ fd: 2, sync: true }));

// Ctrl-C and hang-ups reach the whole process group; the parent decides what to do.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit(0));
// It may have closed while the code above was loaded.
if (process.send && !process.connected) process.exit(0);
try {
  const coordinator =
    options.coordinator ?? once(process, 'message').then(([told]): string => told.coordinator);
  const worker = await startWorker({ ...options, coordinator, tls: readClientTls(options), log });
  process.once('SIGTERM', () => void worker.drain());
  void worker.connected.then(() => process.send?.({ type: 'ready', id: worker.id }));
  await worker.done;
  await tracing()?.stop();
  process.exit(0);
} catch (error) {
  const { words, todo } = NO_THREADS;
  log.fatal(isOutOfThreads(error) ? `${words}; ${todo}` : messageOf(error));
  process.exit(1);
}
