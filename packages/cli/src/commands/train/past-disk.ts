/**
 * What `kasane train` does while the disk of its cluster refuses to keep the training: it says where, which nobody here has chosen, and
 * writes finished weights to where they were asked for.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Unkept } from '@kasane/coordinator/internal/run/saved-state';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import type { Job as JobMessage } from '@kasane/protocol/gen/kasane/v1/jobs';
import { sentenceOf } from '@kasane/protocol/reasons';
import { meaningOf } from '@kasane/tensor/internal/node/system-errors';
import { placeWeights, whyUnwritable } from '../../files/output-file.ts';

export interface PastDiskOptions {
  readonly cluster: {
    readonly directory: string | undefined;
    unkept(job: string): Unkept | undefined;
  };
  /** Where the weights go. */
  readonly out: string;
  /** What was there before the training. */
  readonly version: string;
  readonly say: (line: string) => void;
}

export class PastDisk {
  readonly #options: PastDiskOptions;
  #isSaid = false;
  #hasTried = false;
  /** The job as it ended here, while its cluster still waits for the disk; undefined where that has not been needed. */
  ended: JobMessage | undefined;

  constructor(options: PastDiskOptions) {
    this.#options = options;
  }

  /** Hears each state of the job. True: its weights are written, and nothing more is to come. */
  async isEnough(job: JobMessage): Promise<boolean> {
    const { cluster, out, version, say } = this.#options;
    const unkept = cluster.unkept(job.id);
    if (!unkept) return false;
    if (!this.#isSaid) say(this.#note(unkept));
    this.#isSaid = true;
    if (!unkept.isTrained || this.#hasTried) return false;
    this.#hasTried = true;
    const weights = await unkept.model();
    let model: string;
    try {
      model = placeWeights({ out, version, say }, (partial) =>
        writeFileSync(partial, weights, { flag: 'wx' }),
      );
    } catch (error) {
      say(
        `The weights cannot be written to ${out} either: ${whyUnwritable(error)}. They are kept in memory until ${cluster.directory} can be written again`,
      );
      return false;
    }
    this.ended = {
      ...job,
      state: JobState.JOB_STATE_SUCCEEDED,
      history: [...unkept.epochs],
      digest: createHash('sha256').update(weights).digest('hex'),
      model,
      endedAt: Date.now(),
    };
    return true;
  }

  #note({ why, hasBegun }: Unkept): string {
    const { cluster, out } = this.#options;
    const words = wordsOf(why);
    const goesOn = hasBegun
      ? `Training continues, and the weights will be written to ${out}`
      : 'Training begins when it can be written';
    return `Note: the state of this training cannot be written to ${cluster.directory}: ${words}. ${goesOn}. Free up space there, or set TMPDIR to a folder on another disk and start again`;
  }
}

const wordsOf = (why: Unkept['why']) =>
  why.code === 'disk' ? meaningOf(why.args.cause).words : sentenceOf(why);

/** Milliseconds between two looks at the trials of a sweep: while the disk refuses, nothing changes that would be told. */
const LOOK_MS = 1_000;

/**
 * Says once where the state of a sweep cannot be written, which nobody here has chosen.
 * @param trials IDs of the jobs that it has begun
 * @returns ends the looking
 */
export function watchDisk(
  cluster: PastDiskOptions['cluster'],
  trials: () => readonly string[],
  say: (line: string) => void,
): () => void {
  const timer = setInterval(() => {
    const [unkept] = trials().flatMap((id) => cluster.unkept(id) ?? []);
    if (!unkept) return;
    clearInterval(timer);
    say(
      `Note: the state of this sweep cannot be written to ${cluster.directory}: ${wordsOf(unkept.why)}. Free up space there, or set TMPDIR to a folder on another disk and start again`,
    );
  }, LOOK_MS);
  return () => clearInterval(timer);
}
