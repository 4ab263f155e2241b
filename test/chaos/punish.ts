/** One training under a schedule of faults: fires each when its step has come, watches what it costs, and judges the end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { faultsOfLedger } from '../support/ledger.ts';
import type { Line } from './child.ts';
import { type Fault, faults } from './faults.ts';
import { Follower, type Seen } from './follow.ts';
import type { ChaosJob } from './job.ts';
import type { Planned } from './schedule.ts';
import type { Stage, StagedWorker } from './stage.ts';

/** One fault as it went. Times are milliseconds of one monotonic clock. */
export interface Blow {
  readonly planned: Planned;
  /** Undefined: it did not come to it. */
  readonly why?: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly fired: boolean;
}

export interface Punished {
  readonly job: string;
  readonly error: string;
  readonly digest: string;
  readonly seconds: number;
  readonly blows: readonly Blow[];
  readonly seen: readonly Seen[];
  readonly lines: readonly Line[];
  /** What is wrong with the ledger. */
  readonly ledger: readonly string[];
}

/** Log lines of the coordinator that figures are made from, kept from each run. */
const TELLING =
  /disconnected|joined|reissuing tasks|resuming|cannot use the checkpoint|could not be written|Redis is|no stream to/;

export class Punisher {
  #central: Promise<unknown> = Promise.resolve();
  readonly lines: Line[] = [];

  /** Hears every line of the stage. */
  readonly onLine = (line: Line): void => {
    if (TELLING.test(line.text)) this.lines.push(line);
  };

  async run(stage: Stage, job: ChaosJob, schedule: readonly Planned[]): Promise<Punished> {
    const from = this.lines.length;
    const started = performance.now();
    const id = await stage.client.submit(job.file);
    const follower = new Follower(stage.place, id);
    const planned = [...schedule].sort((a, b) => a.step - b.step);
    const blows: Promise<Blow>[] = [];
    for (const one of planned) {
      await follower.reached(one.step);
      blows.push(this.#strike(stage, one, id, follower));
    }
    const done = await Promise.all(blows);
    const { digest, error } = await follower.ended;
    return {
      job: id,
      error,
      digest,
      seconds: (performance.now() - started) / 1000,
      blows: done,
      seen: follower.seen,
      lines: this.lines.slice(from),
      ledger: error === '' ? faultsOfLedger(stage.ledger(id), job) : [],
    };
  }

  #strike(stage: Stage, planned: Planned, job: string, follower: Follower): Promise<Blow> {
    const fault: Fault = faults[planned.fault];
    if (fault.befalls === 'worker') return this.#on(stage, fault, planned, job, follower);
    const struck = this.#central.then(() => this.#on(stage, fault, planned, job, follower));
    this.#central = struck;
    return struck;
  }

  async #on(stage: Stage, fault: Fault, planned: Planned, job: string, follower: Follower): Promise<Blow> {
    const alone = fault.befalls === 'worker';
    const worker = alone ? await this.#victim(stage, planned, follower) : stage.workers[0];
    const startedAt = performance.now();
    let fired = false;
    let why = stage.lacks(planned.fault) ?? (follower.over ? 'the job had ended' : undefined);
    if (why === undefined && worker) {
      const context = { stage, follower, job, worker, seconds: planned.seconds, fired: () => (fired = true) };
      try {
        await fault.fire(context);
      } catch (error) {
        why = (error as Error).message;
      }
    }
    if (alone && worker) worker.fault = undefined;
    return { planned, startedAt, endedAt: performance.now(), fired, ...(why !== undefined && { why }) };
  }

  /** Takes the worker of the schedule, or the next that suffers nothing; one is always left alone. Waits until there is one. */
  async #victim(stage: Stage, planned: Planned, follower: Follower): Promise<StagedWorker | undefined> {
    while (!follower.over) {
      const well = stage.workers.filter(({ fault }) => fault === undefined);
      if (well.length >= 2) {
        const taken = well.find(({ index }) => index >= planned.worker) ?? well[0]!;
        taken.fault = planned.fault;
        return taken;
      }
      await sleep(50);
    }
    return undefined;
  }
}

/** What went wrong in a run, besides what was done to it on purpose. */
export function complaints(run: Punished, digest: string): string[] {
  const wrong = run.blows
    .filter(({ fired }) => !fired)
    .map(
      ({ planned, why }) => `${planned.fault} of step ${planned.step} did not fire${why ? `: ${why}` : ''}`,
    );
  if (run.error !== '') wrong.push(`the job failed: ${run.error}`);
  else if (run.digest !== digest) wrong.push(`digest ${run.digest}, of the quiet run ${digest}`);
  return [...wrong, ...run.ledger];
}
