/** Asking a thread: what it answers, or why it never will. */
import type { Worker } from 'node:worker_threads';

/** Why no answer comes. memory: it ran out of it. ended: it has ended without one. */
export type NoAnswer = 'memory' | 'ended';

/**
 * The next message of a thread, which is asked one thing at a time.
 * @param refuse the error for whoever waits. What else the thread throws is its own
 */
export function answerOf<Answer>(
  thread: Worker,
  refuse: (why: NoAnswer) => Error,
  signal?: AbortSignal,
): Promise<Answer> {
  return new Promise((done, reject) => {
    const stop = () => void thread.terminate();
    const settled = () => {
      signal?.removeEventListener('abort', stop);
      thread.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    const onMessage = (answer: Answer) => {
      settled();
      done(answer);
    };
    const onError = (error: unknown) => {
      settled();
      reject(isOutOfMemory(error) ? refuse('memory') : error);
    };
    const onExit = () => {
      settled();
      reject(refuse('ended'));
    };
    thread.on('message', onMessage).on('error', onError).on('exit', onExit);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/** What is said where the system gives no more threads: limits of a user, or of a container. */
export const NO_THREADS = {
  words: 'the system allows no more threads',
  todo: 'raise the limit (ulimit -u, or that of the container), or use fewer --threads and --slots',
};

/** Whether it is why a thread did not start. Errors of threads have Node's code, or its message alone: EAGAIN. */
export const isOutOfThreads = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_INIT_FAILED'
    ? /EAGAIN/.test(error.message)
    : error instanceof Error && error.message === 'EAGAIN';

/** The heap of a thread has a limit of its own; large arrays lie outside of it, and are refused one by one. */
function isOutOfMemory(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') return true;
  return error instanceof RangeError && /allocation failed|Invalid typed array length/i.test(error.message);
}
