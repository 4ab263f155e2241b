/**
 * Checks of a submitted job before it is queued: its data, and whether it can be trained. Each reads data in a thread with its own memory
 * and open files, and hundreds at once would starve running jobs, so callers take turns.
 */

import type { DataParts } from '@kasane/data/dataset';
import type { Access } from '@kasane/data/internal/files/access';
import { shortened } from '@kasane/protocol/internal/events/plain-text';
import type { Job } from '@kasane/protocol/job';
import { CHECKED_AT_ONCE, CHECKING, CHECKING_PER_CALLER } from '@kasane/protocol/limits';
import { counted } from '@kasane/tensor/internal/counted';
import type { WorkerRegistry } from '../workers.ts';
import { type Asker, CallerTurns } from './caller-turns.ts';
import { checkTraining } from './check-training.ts';
import type { OpenedData } from './opened-data.ts';
import { type StartingModels, startingWeights } from './starting-weights.ts';

export interface CheckedJob {
  readonly data: DataParts;
  /** Digest of the weights it starts from; empty if there are none. */
  readonly init: string;
  /** Notes about both, for users. */
  readonly notes: readonly string[];
}

/**
 * All checks of a job whose data is open.
 * @param access what it may read
 * @param backends of the connected workers
 * @param models that it may start from by name
 * @throws KasaneError JOB_INVALID, DATA_INVALID, LIMIT
 */
export async function checkWhole(
  job: Job,
  data: DataParts,
  access: Access,
  backends: readonly string[],
  models?: StartingModels,
): Promise<CheckedJob> {
  await checkTraining(job, data, backends, access.signal);
  const start = job.spec.init === undefined ? undefined : await startingWeights(job, '', access, models);
  const notes = [...(data.notes ?? []), ...(start?.what ? [`starting from ${start.what}`] : [])];
  return { data, init: start?.digest ?? '', notes: boundedNotes(notes) };
}

/** Notes quote names and values from the data: they may be many and long. */
const [MOST_NOTES, NOTE_CHARACTERS] = [20, 2_000];

function boundedNotes(notes: readonly string[]): string[] {
  const kept = notes.slice(0, MOST_NOTES).map((note) => shortened(note, NOTE_CHARACTERS));
  const more = notes.length - kept.length;
  return more > 0 ? [...kept, `and ${counted(more, 'more note')}; \`kasane data inspect\` shows all`] : kept;
}

export class JobChecks {
  readonly #access: Access;
  readonly #workers: Pick<WorkerRegistry, 'all'>;
  readonly #turns = new CallerTurns({
    what: 'jobs',
    atOnce: CHECKED_AT_ONCE,
    perCaller: CHECKING_PER_CALLER,
    all: CHECKING,
  });

  readonly #data: OpenedData;
  readonly #models: StartingModels;

  /** @param access what jobs may read @param models that they may start from by name */
  constructor(
    access: Access,
    workers: Pick<WorkerRegistry, 'all'>,
    data: OpenedData,
    models: StartingModels,
  ) {
    this.#models = models;
    this.#access = access;
    this.#data = data;
    this.#workers = workers;
  }

  /**
   * Checks a job when its caller's turn has come.
   * @param sweep the sweep it is a trial of, if any
   * @throws KasaneError JOB_INVALID, DATA_INVALID, LIMIT; UNREACHABLE if the client has disconnected by then
   */
  check(job: Job, asker: Asker, sweep = ''): Promise<CheckedJob> {
    return this.#turns.run(asker, async () => {
      // The client may disconnect meanwhile.
      const access = { ...this.#access, signal: asker.signal };
      const backends = this.#workers.all().map(({ backend }) => backend);
      return checkWhole(job, await this.#data.load(job, access, sweep), access, backends, this.#models);
    });
  }
}
