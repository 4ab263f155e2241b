/** Reads data in a thread of its own: whoever opens data has heartbeats to send, and other jobs. */
import { Worker } from 'node:worker_threads';
import { answerOf, type NoAnswer } from '@kasane/tensor/internal/node/thread-answer';
import { DataError } from './dataset.ts';
import type { Access } from './files/access.ts';
import type { Readers } from './read-thread.ts';

/** What the thread is given. */
export interface ToRead<What = unknown> {
  readonly what: What;
  readonly roots: Access['roots'];
}

export type ReadAnswer =
  | { readonly read: unknown }
  /** What is wrong with the data, as a sentence; and the code of the system's error behind it, such as ENOENT. */
  | { readonly refused: string; readonly code: string | undefined };

/**
 * @param what its format says which of the readers in read-thread.ts gets it
 * @param access what may be read, links in folders followed; its signal ends it
 * @param handedOver memory in `what` that is not copied
 * @throws DataError, with the system's error as its cause where one is behind it
 */
export async function readApart<Format extends keyof Readers>(
  what: { readonly format: Format } & Parameters<Readers[Format]>[0],
  { roots, signal }: Pick<Access, 'roots' | 'signal'>,
  handedOver: readonly ArrayBuffer[] = [],
): Promise<Awaited<ReturnType<Readers[Format]>>> {
  const { path } = what;
  const stopped = () => new DataError(`${path}: reading was stopped`);
  if (signal?.aborted) throw stopped();
  const file = import.meta.url.endsWith('.ts') ? './read-thread.ts' : './read-thread.js';
  const thread = new Worker(new URL(file, import.meta.url), {
    workerData: { what, roots } satisfies ToRead,
    transferList: [...handedOver],
  });
  const refuse = (why: NoAnswer) => {
    if (signal?.aborted) return stopped();
    return new DataError(
      why === 'memory'
        ? `${path}: there is not enough memory to read it. Split it, or pack it on another machine`
        : `${path}: the process that read it was terminated`,
    );
  };
  const answer = await answerOf<ReadAnswer>(thread, refuse, signal);
  if ('refused' in answer) {
    const { refused, code } = answer;
    throw new DataError(refused, { cause: code && Object.assign(new Error(refused), { code }) });
  }
  return answer.read as Awaited<ReturnType<Readers[Format]>>;
}
