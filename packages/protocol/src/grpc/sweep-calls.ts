/** Calls to a coordinator about its sweeps: the part of `client.ts` for them. */
import { KasaneError } from '../errors.ts';
import type { Source } from '../gen/kasane/v1/jobs.ts';
import { type Sweep, SweepsService, type Trial } from '../gen/kasane/v1/sweeps.ts';
import { MOST_JOBS_PAGE, SHOWN_JOBS } from '../limits.ts';
import { type Calls, pagesOf, READING_DEADLINE_MS } from './calls.ts';

/** A sweep with all of its trials, by their numbers. */
export interface SweepWithTrials {
  readonly sweep: Sweep;
  readonly trials: readonly Trial[];
}

export class SweepCalls {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /**
   * Starts the sweep of a file's text and returns the sweep's id.
   * @param priority of its trials
   * @param source where the file comes from
   * @param onNote told each note about the data and starting weights of its first trial
   */
  async submit(
    sweepFile: string,
    priority = 0,
    source?: Source,
    onNote: (note: string) => void = () => {},
  ): Promise<string> {
    const { sweep, notes } = await this.#calls.one(
      SweepsService.submit,
      { sweepFile, priority, source },
      READING_DEADLINE_MS,
    );
    notes.forEach(onNote);
    return sweep;
  }

  /** A sweep with its trials. */
  async get(sweep: string): Promise<SweepWithTrials> {
    for await (const now of this.watch(sweep)) return now;
    throw new KasaneError('PROTOCOL', `the coordinator sent nothing about sweep ${sweep}`);
  }

  /** Newest first, page by page, without their trials. @param most how many at most */
  async list(most = SHOWN_JOBS): Promise<Sweep[]> {
    const sweeps: Sweep[] = [];
    const ask = (pageToken: string) => {
      const pageSize = Math.min(MOST_JOBS_PAGE, most - sweeps.length);
      return this.#calls.one(SweepsService.list, { pageSize, pageToken });
    };
    for await (const page of pagesOf(ask)) {
      sweeps.push(...page.sweeps);
      if (sweeps.length >= most) break;
    }
    return sweeps;
  }

  /** Ends a sweep and its trials. */
  async cancel(id: string): Promise<Sweep> {
    const { sweep } = await this.#calls.one(SweepsService.cancel, { sweep: id }, READING_DEADLINE_MS);
    return sweep!;
  }

  /** The sweep with its trials now and after each change, until it ends. @param signal ends the call */
  async *watch(id: string, signal?: AbortSignal): AsyncGenerator<SweepWithTrials> {
    const trials: Trial[] = [];
    const answers = this.#calls.many(SweepsService.watch, { sweep: id }, signal);
    for await (const { sweep, trials: changed, more } of answers) {
      for (const trial of changed) trials[trial.number - 1] = trial;
      if (sweep && !more) yield { sweep, trials: [...trials] };
    }
  }
}
