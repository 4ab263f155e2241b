/** The sweeps of a coordinator: submitted, shown, cancelled, and gone on with after a restart. How one goes is for `sweep-run.ts` to say. */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { KasaneError } from '@kasane/protocol/errors';
import type { Source } from '@kasane/protocol/gen/kasane/v1/jobs';
import {
  type Sweep as SweepMessage,
  SweepState,
  type SweepsListResponse,
  type SweepsSubmitResponse,
  type Trial as TrialMessage,
} from '@kasane/protocol/gen/kasane/v1/sweeps';
import { jobOfTrial, type Sweep } from '@kasane/protocol/internal/job/job-search';
import { sweepStates } from '@kasane/protocol/internal/job/sweep-state';
import { checkJob } from '@kasane/protocol/job';
import { hasEnded } from '@kasane/protocol/job-state';
import { JOBS_PAGE, MOST_JOBS_PAGE, RUNNING_SWEEPS } from '@kasane/protocol/limits';
import type { Reason } from '@kasane/protocol/reasons';
import { written } from '../jobs/patience.ts';
import { checkPriority } from '../jobs/priority.ts';
import { initsOf } from '../jobs/starts.ts';
import { pinnedSweep } from '../models/pinned.ts';
import { nextAction } from '../search/next-action.ts';
import { pageSize, placeOfToken, placeToken } from '../store/pages.ts';
import type { Decision, SweepRecord } from '../store/sweep-store.ts';
import type { Asker } from '../submit/caller-turns.ts';
import { keptSource } from '../submit/source.ts';
import { keptSpec } from '../submit/submitted-job.ts';
import { SweepRun, type SweepRunOptions } from './sweep-run.ts';
import { markFront, viewSweep, viewTrials } from './views.ts';

export type SweepsOptions = Omit<SweepRunOptions, 'onChange' | 'onEnd'>;

/** A sweep with its trials, as they are shown. */
export interface ShownSweep {
  readonly sweep: SweepMessage;
  readonly trials: readonly TrialMessage[];
}

export class Sweeps {
  readonly #options: SweepsOptions;
  readonly #running = new Map<string, SweepRun>();
  /** Sweeps that have ended, as lists show them: so thousands of trials are not counted again whenever somebody looks. */
  readonly #ended = new Map<string, SweepMessage>();
  /** Emits a sweep's id when that sweep may have changed. */
  readonly #changes = new EventEmitter<Record<string, []>>().setMaxListeners(0);

  constructor(options: SweepsOptions) {
    this.#options = options;
  }

  /** Takes up the sweeps that an earlier coordinator left. */
  start(): void {
    for (const record of this.#options.store.sweeps.inState(SweepState.SWEEP_STATE_RUNNING))
      this.#begin(record);
  }

  /** Leaves them to the next coordinator. */
  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((run) => run.close()));
  }

  /**
   * Checks a sweep file and its first trial, and begins it. Returns the sweep's id and notes.
   * @param source where the file came from
   * @throws KasaneError JOB_INVALID, DATA_INVALID, USAGE or LIMIT; UNREACHABLE when the client is gone before its turn
   */
  async submit(file: string, priority: number, asker: Asker, source?: Source): Promise<SweepsSubmitResponse> {
    const { manager, store, log } = this.#options;
    checkPriority(priority);
    if (this.#running.size >= RUNNING_SWEEPS)
      throw new KasaneError(
        'LIMIT',
        `${RUNNING_SWEEPS} sweeps are running, which is the limit: cancel one, or wait for one to end`,
      );
    const sweep = pinnedSweep(await manager.files.sweep(file, asker), store);
    const spec = keptSpec('sweep', sweep);
    const id = `${sweep.name}-${randomBytes(4).toString('hex')}`;
    const record: SweepRecord = {
      ...{ id, name: sweep.name, spec, priority, isCancelled: false, source: keptSource(source) },
      ...{ state: SweepState.SWEEP_STATE_RUNNING, error: '', submittedAt: Date.now(), endedAt: 0 },
    };
    let notes: readonly string[];
    try {
      notes = await manager.submissions.during(`sweep ${id}`, initsOf(sweep), async () => {
        const said = await this.#checkFirst(sweep, asker, id);
        await written({ writing: 'job', of: id }, () => store.sweeps.add(record));
        return said;
      });
    } catch (error) {
      manager.opened.forget(id);
      throw error;
    }
    log.info({ sweep: id }, `sweep ${id} submitted`);
    this.#begin(record);
    return { sweep: id, notes: [...notes] };
  }

  /** What is wrong with the data, and what is worth knowing of it, is said to whoever submits it. */
  async #checkFirst({ search, base, epochs }: Sweep, asker: Asker, id: string): Promise<readonly string[]> {
    const first = nextAction(search, epochs, []);
    if (typeof first === 'string') return [];
    const trial = checkJob(jobOfTrial(base, first.assignment));
    return (await this.#options.manager.checked(trial, asker, id)).notes;
  }

  /** @throws KasaneError SWEEP_NOT_FOUND */
  get(id: string): ShownSweep {
    return this.#view(this.#options.store.sweeps.require(id));
  }

  /** A page of all sweeps, newest first. @throws KasaneError USAGE */
  list(size: number, token: string): SweepsListResponse {
    const most = pageSize(size, JOBS_PAGE, MOST_JOBS_PAGE);
    const { sweeps, last } = this.#options.store.sweeps.list(most, placeOfToken(token));
    return {
      sweeps: sweeps.map((record) => this.#listed(record)),
      nextPageToken: last ? placeToken(last) : '',
    };
  }

  /** @throws KasaneError SWEEP_NOT_FOUND, JOB_STATE when it has ended, STATE_UNUSABLE or STATE_IN_USE */
  async cancel(id: string): Promise<SweepMessage> {
    const { state } = this.#options.store.sweeps.require(id);
    const run = this.#running.get(id);
    if (!run) throw new KasaneError('JOB_STATE', `sweep ${id} has already ended (${sweepStates[state]})`);
    await written({ writing: 'cancellation' }, () => this.#options.store.sweeps.cancel(id));
    await run.cancel();
    return this.get(id).sweep;
  }

  /** Calls `listener` when a sweep may have changed until the returned function is called. */
  onChange(id: string, listener: () => void): () => void {
    this.#changes.on(id, listener);
    return () => this.#changes.off(id, listener);
  }

  /** Why a job is paused, if it is a sweep that holds it. */
  whyPaused(job: string): Reason | undefined {
    const { sweep = '', trial = 0 } = this.#options.store.get(job) ?? {};
    if (!this.#running.get(sweep)?.isHeld(trial - 1)) return undefined;
    return { code: 'awaits-promotion', args: { sweep } };
  }

  /** While a sweep goes on it is its own business which trials do. @throws KasaneError JOB_STATE */
  requireResumable(job: string): void {
    const record = this.#options.store.get(job);
    const run = this.#running.get(record?.sweep ?? '');
    if (!record || !run || (!hasEnded(record.state) && !run.isHeld(record.trial - 1))) return;
    throw new KasaneError(
      'JOB_STATE',
      `job ${job} is trial ${record.trial} of sweep ${record.sweep}, which decides whether it continues; wait until the sweep ends (\`kasane sweeps ${record.sweep}\`)`,
    );
  }

  /** While a sweep goes on it reads what its trials have reached. @throws KasaneError JOB_STATE */
  requireDeletable(job: string): void {
    const { sweep = '', trial } = this.#options.store.get(job) ?? {};
    if (!this.#running.has(sweep)) return;
    throw new KasaneError(
      'JOB_STATE',
      `job ${job} is trial ${trial} of sweep ${sweep}, which is still running; delete it once the sweep has ended (\`kasane sweeps ${sweep}\`)`,
    );
  }

  #begin(record: SweepRecord): void {
    const { id } = record;
    const run = new SweepRun(record, {
      ...this.#options,
      onChange: () => this.#changes.emit(id),
      onEnd: () => {
        this.#running.delete(id);
        this.#options.manager.opened.forget(id);
      },
    });
    this.#running.set(id, run);
    run.kick();
  }

  /** @returns what `#view` says of the sweep */
  #listed(record: SweepRecord): SweepMessage {
    const known = this.#ended.get(record.id);
    // Of an ended sweep nothing changes, unless the job of its best trial is deleted.
    if (known && (!known.best?.job || this.#options.store.get(known.best.job))) return known;
    const { sweep } = this.#view(record);
    if (sweep.state !== SweepState.SWEEP_STATE_RUNNING) this.#ended.set(record.id, sweep);
    return sweep;
  }

  #view(record: SweepRecord): ShownSweep {
    const { sweeps } = this.#options.store;
    const run = this.#running.get(record.id);
    const decisions: readonly Decision[] = run?.decisions ?? sweeps.decisions(record.id);
    const sweep = run?.sweep ?? (JSON.parse(record.spec) as Sweep);
    const trials = viewTrials(decisions, sweeps.trials(record.id), sweep.epochs, run === undefined);
    markFront(trials, sweep.search, decisions);
    return { sweep: viewSweep(record, sweep, decisions, trials, run?.why), trials };
  }
}
