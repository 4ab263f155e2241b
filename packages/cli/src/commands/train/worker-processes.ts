/**
 * Worker processes of an embedded cluster, as they are forked. Loads nothing heavy: a command forks them first, and they load their
 * code while it loads its own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { PassThrough, type Readable } from 'node:stream';
import type { WorkerProcessOptions } from '@kasane/worker/internal/process';
import { spansAsked } from '../../tracing/asked.ts';

/** What a process loads at its start lives on: with V8's default of 1 MiB for young objects it is copied again and again. */
const YOUNG = '--min-semi-space-size=16';
/** glibc keeps what is freed, for each of eight arenas a core: after jobs of many kinds that is more than all that is in use. */
const ARENAS = '2';

export interface ForkedWorker {
  readonly child: ChildProcess;
  /** Resolves, if ever, when the system refuses the process or it can not be signalled. */
  readonly error: Promise<Error>;
  /** What it says, kept until somebody reads it. */
  readonly stderr: Readable;
  /** Resolves when it has ended, which may be before anybody looks after it. */
  readonly closed: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** @param options without a coordinator the worker waits for a message that names one: `tellCoordinator` */
export function forkWorker(options: WorkerProcessOptions): ForkedWorker {
  const spans = spansAsked()
    ? ['--import', import.meta.resolve('@kasane/cli/internal/tracing/worker-preload')]
    : [];
  const child = fork(new URL(import.meta.resolve('@kasane/worker/internal/process')), {
    env: { MALLOC_ARENA_MAX: ARENAS, ...process.env, KASANE_WORKER_OPTIONS: JSON.stringify(options) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: [YOUNG, ...process.execArgv, ...spans],
  });
  return {
    child,
    error: new Promise((resolve) => child.on('error', resolve)),
    // Node drops what nobody reads when a process ends.
    stderr: child.stderr?.pipe(new PassThrough()) ?? new PassThrough().end(),
    closed: new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }));
    }),
  };
}

/** To a worker that has gone it is told in vain: whoever hears of its end starts another. */
export function tellCoordinator({ child }: ForkedWorker, coordinator: string): void {
  child.send({ coordinator }, () => {});
}

/** Runs `body` beside workers that are forked before it; none of them outlives it. */
export async function withWorkers<T>(
  workers: number,
  options: WorkerProcessOptions,
  body: (forked: readonly ForkedWorker[]) => Promise<T>,
): Promise<T> {
  const forked = Array.from({ length: workers }, () => forkWorker(options));
  try {
    return await body(forked);
  } finally {
    for (const { child } of forked) child.kill('SIGKILL');
  }
}
