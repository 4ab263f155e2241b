/** A job's progress, on the terminal and in TensorBoard's files, until it ends. */
import { constants } from 'node:os';
import type { CoordinatorClient } from '@kasane/protocol/client';
import type { Job as JobMessage } from '@kasane/protocol/gen/kasane/v1/jobs';
import { err } from '../../output/say.ts';
import { type ProgressView, progressView } from '../../render/progress.ts';
import { recordJob } from '../../tensorboard/record.ts';

export interface FollowOptions {
  /** Folder in which progress is written down for TensorBoard. */
  readonly tensorboard?: string | undefined;
  /** Said when Ctrl-C ends this process while it looks; without it that is left to the caller. */
  readonly left?: string;
  /** Called with each state of the job; true: it need not be followed further. */
  readonly isEnough?: (job: JobMessage) => Promise<boolean>;
  /** Default: one of its own. */
  readonly view?: ProgressView;
}

/** Shows a job's progress until it ends. */
export async function follow(
  client: CoordinatorClient,
  id: string,
  { tensorboard, left, isEnough, view = progressView() }: FollowOptions = {},
): Promise<JobMessage> {
  const say = (line: string) => view.write(`${line}\n`);
  const recording = tensorboard === undefined ? undefined : recordJob(client, id, tensorboard, say);
  let last: JobMessage | undefined;
  let hasEnded = true;
  const leave = () => {
    view.stop();
    err.lines(left ?? '');
    process.exit(128 + constants.signals.SIGINT);
  };
  if (left !== undefined) process.once('SIGINT', leave);
  try {
    for await (const job of client.watch(id)) {
      last = job;
      // Of a cluster that this process has just started that is no news.
      const starting = left === undefined && job.step === 0 && job.workers === 0;
      view.update(starting ? { ...job, waitingFor: undefined } : job);
      recording?.update(job);
      hasEnded = !(await isEnough?.(job));
      if (!hasEnded) break;
    }
  } finally {
    process.off('SIGINT', leave);
    view.stop();
    await recording?.close(hasEnded);
  }
  return last ?? client.get(id);
}
