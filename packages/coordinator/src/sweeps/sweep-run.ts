/**
 * A sweep that goes on. Whatever has happened, it does the same: takes down what has come of its trials, asks the search what follows, and
 * sees to it that each trial's job is where it is to be. All of it can be done again: a coordinator that ended in the middle of something
 * is followed by one that goes on.
 */
import { rm } from 'node:fs/promises';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { SweepState } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { fitsSome, jobOfTrial, type Sweep, timesHandedOn } from '@kasane/protocol/internal/job/job-search';
import { ModelCosts } from '@kasane/protocol/internal/job/model-cost';
import { initOfJob } from '@kasane/protocol/internal/job/model-name';
import { checkJob, type Job } from '@kasane/protocol/job';
import { hasEnded } from '@kasane/protocol/job-state';
import type { Reason } from '@kasane/protocol/reasons';
import type { Logger } from 'pino';
import type { JobManager } from '../jobs/manager.ts';
import { stopCriterionOf } from '../run/best-epoch.ts';
import type { Action } from '../search/actions.ts';
import { nextAction } from '../search/next-action.ts';
import { bestOf, frontNumbers } from '../search/ranking.ts';
import { clockTime, diskReason } from '../store/disk.ts';
import type { EventRecord } from '../store/event-record.ts';
import type { JobStore } from '../store/store.ts';
import { type Decision, decisionInsertion, type SweepRecord } from '../store/sweep-store.ts';
import { type Asker, Busy } from '../submit/caller-turns.ts';
import { outcomeOf } from './outcome.ts';

export interface SweepRunOptions {
  readonly store: JobStore;
  readonly manager: JobManager;
  readonly events: Pick<EventRecord, 'add'>;
  readonly limits: { readonly jobs: number };
  readonly log: Logger;
  /** Called when what is shown of it may have changed. */
  readonly onChange: () => void;
  /** Called once, when it has ended. */
  readonly onEnd: () => void;
}

/** What the disk refuses, or there is no room for, is tried again after so long, in milliseconds. */
const RETRY_MS = 1_000;
/** Characters of a trial's values in its record. */
const VALUES_TEXT = 1_000;

/** The job of a trial, by its number. */
export const jobOf = (sweep: string, trial: number): string => `${sweep}-${trial + 1}`;

export class SweepRun {
  readonly sweep: Sweep;
  readonly decisions: Decision[];
  readonly #options: SweepRunOptions;
  readonly #record: SweepRecord;
  #isCancelled: boolean;
  /** Why it cannot go on at all. */
  #failure: string | undefined;
  #isClosed = false;
  #hasEnded = false;
  /** What holds it up. */
  #why: Reason | undefined;
  /** Jobs that are listened to, with what was seen of them last. */
  readonly #heard = new Map<string, { seen: string; readonly off: () => void }>();
  #working: Promise<void> | undefined;
  #again = false;
  #retry: NodeJS.Timeout | undefined;
  readonly #abort = new AbortController();
  readonly #asker: Asker;
  readonly #costs = new ModelCosts();

  constructor(record: SweepRecord, options: SweepRunOptions) {
    this.#record = record;
    this.#options = options;
    this.#isCancelled = record.isCancelled;
    this.sweep = JSON.parse(record.spec) as Sweep;
    this.decisions = options.store.sweeps.decisions(record.id);
    this.#asker = { caller: `sweep ${record.id}`, signal: this.#abort.signal };
    for (const { trial } of this.decisions) this.#hear(trial);
  }

  /** What keeps it from going on; undefined where nothing does. */
  get why(): Reason | undefined {
    if (this.#why) return this.#why;
    const { id } = this.#record;
    const { store } = this.#options;
    const paused = this.decisions.find(
      ({ trial, outcome }) =>
        outcome === undefined && store.get(jobOf(id, trial))?.state === JobState.JOB_STATE_PAUSED,
    );
    if (!paused) return undefined;
    return { code: 'trial-paused', args: { trial: paused.trial + 1, job: jobOf(id, paused.trial) } };
  }

  /** Whether a trial has done what was decided for it: it goes on only when more is. */
  isHeld(trial: number): boolean {
    return this.decisions.findLast((decision) => decision.trial === trial)?.outcome !== undefined;
  }

  /** Something may have changed. */
  kick(): void {
    if (this.#isClosed || this.#hasEnded) return;
    clearTimeout(this.#retry);
    if (this.#working) {
      this.#again = true;
      return;
    }
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.kick();
    });
  }

  /** Ends it, and its trials. Resolves when that is done, or the disk refuses it for now. */
  async cancel(): Promise<void> {
    this.#isCancelled = true;
    this.#abort.abort();
    await this.#working;
    this.kick();
    await this.#working;
  }

  /** Leaves everything as it is, for the next coordinator. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#abort.abort();
    await this.#working;
    this.#leave();
  }

  #leave(): void {
    clearTimeout(this.#retry);
    for (const { off } of this.#heard.values()) off();
    this.#heard.clear();
  }

  async #work(): Promise<void> {
    try {
      await this.#advance();
      this.#why = undefined;
      this.#holdEvaluated(undefined);
    } catch (error) {
      this.#refused(error);
    }
    this.#options.onChange();
  }

  async #advance(): Promise<void> {
    if (this.#isCancelled) return await this.#end(SweepState.SWEEP_STATE_CANCELLED, '');
    if (this.#failure !== undefined) return await this.#end(SweepState.SWEEP_STATE_FAILED, this.#failure);
    for (;;) {
      await this.#noteOutcomes();
      const { actions, isDone } = this.#plan();
      await this.#pauseEvaluated(new Set(actions.map(({ trial }) => trial)));
      if (isDone) return await this.#finish();
      if (actions.length === 0) return;
      for (const action of actions) {
        if (this.#isClosed || this.#isCancelled) return;
        await this.#execute(action);
        this.#options.onChange();
      }
    }
  }

  /** What the search decides now, all of it: who goes on at once is not paused before. */
  #plan(): { readonly actions: readonly Action[]; readonly isDone: boolean } {
    const { search, epochs } = this.sweep;
    const actions: Action[] = [];
    for (;;) {
      const next = nextAction(search, epochs, [...this.decisions, ...actions]);
      if (typeof next === 'string') return { actions, isDone: next === 'done' && actions.length === 0 };
      actions.push(next);
    }
  }

  /** Takes down what has come of trials, before anything follows from it. */
  async #noteOutcomes(): Promise<void> {
    const { store } = this.#options;
    const { search, epochs } = this.sweep;
    for (const [index, decision] of this.decisions.entries()) {
      if (decision.outcome !== undefined) continue;
      const seen = this.#see(jobOf(this.#record.id, decision.trial));
      const outcome = seen && outcomeOf(decision, seen, search, epochs);
      if (!outcome) continue;
      await store.sweeps.setOutcome(this.#record.id, index, outcome);
      this.decisions[index] = { ...decision, ...outcome };
      this.#options.onChange();
    }
  }

  #see(id: string) {
    const { store, manager } = this.#options;
    const record = store.get(id);
    if (!record) return undefined;
    const { state, error, spec } = record;
    const history = manager.runs.get(id)?.progress.history ?? store.epochs(id);
    const cost = () => this.#costs.of(JSON.parse(spec) as Readonly<Record<string, unknown>>);
    return { state, error, history, criterion: stopCriterionOf(jobOfSpec(spec)), cost };
  }

  /** While the disk does not take down what trials have done, they do no more: they may be paused next. @param why undefined: they go on */
  #holdEvaluated(why: Reason | undefined): void {
    const lasts = new Map(this.decisions.map((decision) => [decision.trial, decision]));
    for (const [trial, { epochs }] of lasts) {
      const run = this.#options.manager.runs.get(jobOf(this.#record.id, trial));
      const isEvaluated = epochs < this.sweep.epochs && run && run.progress.history.length >= epochs;
      run?.hold(isEvaluated ? why : undefined);
    }
  }

  /** Trials that have done what was decided for them compute no further. @param but those that go on at once */
  async #pauseEvaluated(but: ReadonlySet<number>): Promise<void> {
    const { store, manager, events } = this.#options;
    // The last decision about each trial.
    const lasts = new Map(this.decisions.map((decision) => [decision.trial, decision]));
    for (const [trial, { outcome, epochs }] of lasts) {
      if (outcome === undefined || epochs >= this.sweep.epochs || but.has(trial)) continue;
      const id = jobOf(this.#record.id, trial);
      const { state } = store.get(id) ?? {};
      if (state !== JobState.JOB_STATE_QUEUED && state !== JobState.JOB_STATE_RUNNING) continue;
      events.add(id, { code: 'trial-evaluated', args: { epoch: epochs } });
      await unlessEnded(() => manager.pause(id));
    }
  }

  async #execute(action: Action): Promise<void> {
    if (!this.#options.manager.hasRoom) throw new Busy('no room for a trial');
    const decision = await (action.kind === 'start' ? this.#start(action) : this.#promote(action));
    this.decisions.push(decision);
    this.#hear(action.trial);
  }

  /** A trial that cannot be trained has failed; its reason is in the decision. */
  async #start(planned: Action): Promise<Decision> {
    const { store, manager, events } = this.#options;
    const { id: sweep, priority } = this.#record;
    const index = this.decisions.length;
    const id = jobOf(sweep, planned.trial);
    let action = planned;
    try {
      const { job, parent } = this.#jobOf(planned);
      action = { ...planned, parent };
      const decision = [decisionInsertion(sweep, index, action)];
      await manager.addTrial(id, job, priority, this.#asker, { sweep, number: action.trial + 1, decision });
    } catch (error) {
      // Reading that was stopped because the coordinator closes says nothing about the trial.
      if (this.#abort.signal.aborted || !isOfTrial(error)) throw error;
      const failed = { ...action, outcome: 'failed', error: messageOf(error) } as const;
      await store.sweeps.decide(sweep, index, failed);
      return failed;
    }
    const values = valuesText(action.assignment);
    events.add(id, { code: 'trial', args: { sweep, trial: action.trial + 1, values } });
    return action;
  }

  /** The job of a trial to be started, and the trial whose weights are of use to it. @throws KasaneError JOB_INVALID */
  #jobOf({ trial, assignment, parent }: Action): { readonly job: Job; readonly parent: number | undefined } {
    const { id: sweep } = this.#record;
    const { base } = this.sweep;
    const fresh = () => ({ job: checkJob(jobOfTrial(base, assignment)), parent: undefined });
    const from = parent === undefined ? undefined : this.#options.store.get(jobOf(sweep, parent));
    if (parent === undefined || !from) return fresh();
    // Where weights are handed on nothing is promoted, so each decision is the start of a trial.
    const parentOf = (number: number) => (number === trial ? parent : this.decisions[number]?.parent);
    const start = { init: initOfJob(from.id), times: timesHandedOn(trial, parentOf) };
    const job = checkJob(jobOfTrial(base, assignment, start));
    return fitsSome(checkJob(JSON.parse(from.spec)).model, job.model) ? { job, parent } : fresh();
  }

  async #promote(action: Action): Promise<Decision> {
    const { store, manager, events } = this.#options;
    const { id: sweep } = this.#record;
    const id = jobOf(sweep, action.trial);
    const decision = decisionInsertion(sweep, this.decisions.length, action);
    events.add(id, { code: 'trial-promoted', args: { epochs: action.epochs } });
    // A trial that has just been evaluated may still be running. If it has ended, its outcome is already known.
    if (store.get(id)?.state === JobState.JOB_STATE_PAUSED) await manager.resume(id, 0, [decision]);
    else await store.sweeps.decide(sweep, this.decisions.length, action);
    return action;
  }

  /** Everything that was decided is done. */
  async #finish(): Promise<void> {
    const best = bestOf(this.sweep.search, this.decisions);
    const front = frontNumbers(this.sweep.search, this.decisions);
    if (best && !best.failed && best.value !== undefined)
      return await this.#end(SweepState.SWEEP_STATE_SUCCEEDED, '', [best.trial, ...front]);
    const first = this.decisions.find(({ error }) => error !== undefined);
    const which = `all trials failed; trial ${(first?.trial ?? 0) + 1}: ${first?.error}`;
    await this.#end(SweepState.SWEEP_STATE_FAILED, which);
  }

  /** @param winners whose checkpoints stay; those of the others go where there are any */
  async #end(state: SweepState, error: string, winners: readonly number[] = []): Promise<void> {
    const { store, manager, events, log, onEnd } = this.#options;
    const { id } = this.#record;
    for (const { job, number, state: last } of store.sweeps.trials(id)) {
      if (!hasEnded(last)) {
        events.add(job, { code: 'trial-stopped', args: {} });
        await unlessEnded(() => manager.cancel(job));
      }
      const isKept = winners.length === 0 || winners.includes(number - 1);
      const keeps = isKept || last === JobState.JOB_STATE_FAILED;
      if (keeps || this.sweep.search.keepCheckpoints) continue;
      for (const path of await store.removeCheckpoints(job)) await rm(path, { force: true }).catch(() => {});
    }
    await store.sweeps.end(id, { state, error, endedAt: Date.now() });
    this.#hasEnded = true;
    this.#leave();
    log.info({ sweep: id }, `sweep ${id} ended${error && `: ${error}`}`);
    onEnd();
  }

  /** What passes is tried again; anything else ends the sweep. */
  #refused(error: unknown): void {
    if (this.#isClosed || this.#hasEnded) return;
    const { manager, limits, log } = this.#options;
    const { id } = this.#record;
    const disk = diskReason(error, clockTime()) ?? diskReason((error as Error).cause, clockTime());
    const full = manager.hasRoom ? undefined : ({ code: 'jobs-full', args: { count: limits.jobs } } as const);
    this.#why = disk ?? full;
    this.#holdEvaluated(disk);
    this.#retry = setTimeout(() => this.kick(), RETRY_MS);
    const isOfDisk = error instanceof KasaneError && error.code.startsWith('STATE_');
    if (disk || isOfDisk || error instanceof Busy || this.#isCancelled) return;
    log.error({ sweep: id, error }, `sweep ${id} fails: ${messageOf(error)}`);
    this.#failure = messageOf(error);
  }

  /** Listens to the job of a trial until it has ended. */
  #hear(trial: number): void {
    const { store, manager } = this.#options;
    const id = jobOf(this.#record.id, trial);
    const record = store.get(id);
    if (!record || hasEnded(record.state) || this.#heard.has(id)) return;
    const heard = { seen: '', off: manager.onChange(id, () => changed()) };
    const changed = () => {
      const state = store.get(id)?.state;
      const seen = `${state} ${manager.runs.get(id)?.progress.history.length}`;
      if (seen === heard.seen) return;
      heard.seen = seen;
      if (state === undefined || hasEnded(state)) {
        heard.off();
        this.#heard.delete(id);
      }
      this.kick();
    };
    this.#heard.set(id, heard);
  }
}

/** What of a job its outcome depends on. */
const jobOfSpec = (spec: string): Pick<Job, 'spec' | 'objective'> => {
  const parsed = JSON.parse(spec) as Job['spec'];
  return { spec: parsed, objective: parsed.objective as Job['objective'] };
};

const valuesText = (assignment: Action['assignment']): string => {
  const text = Object.entries(assignment)
    .map(([path, value]) => `${path} ${JSON.stringify(value)}`)
    .join(', ');
  return text.length > VALUES_TEXT ? `${text.slice(0, VALUES_TEXT)}...` : text;
};

/** A job that has ended meanwhile need not be paused or cancelled. */
async function unlessEnded(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof KasaneError && error.code === 'JOB_STATE')) throw error;
  }
}

/** Whether it is the trial that cannot be trained: with other values, the next one may. */
const isOfTrial = (error: unknown): boolean =>
  error instanceof KasaneError &&
  !(error instanceof Busy) &&
  ['JOB_INVALID', 'DATA_INVALID', 'LIMIT'].includes(error.code);
