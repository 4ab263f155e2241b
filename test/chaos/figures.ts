/** What a loss costs, fault by fault, each alone in a job: time to detection, to the first useful gradient, to full speed. */
import { type Fault, type FaultName, faults } from './faults.ts';
import type { Seen } from './follow.ts';
import type { ChaosJob } from './job.ts';
import type { Punished, Punisher } from './punish.ts';
import type { Stage } from './stage.ts';

/** Seconds that lasting faults last. */
const LASTING_S = 8;
/** Speed is that of this long, in milliseconds, */
const SPEED_MS = 1_500;
/** and full when it is this part of the quiet run's. */
const FULL = 0.8;

export interface Figures {
  readonly fault: FaultName;
  readonly fired: boolean;
  readonly digestEqual: boolean;
  /** Seconds after the fault; undefined where it made no difference that could be seen. */
  readonly detected: number | undefined;
  readonly gradient: number | undefined;
  readonly full: number | undefined;
}

export async function figures(
  stage: Stage,
  punisher: Punisher,
  job: ChaosJob,
  names: readonly FaultName[],
  say: (text: string) => void,
): Promise<Figures[]> {
  const quiet = await punisher.run(stage, job, []);
  const perMs = speed(quiet.seen);
  say(`quiet run ${quiet.seconds.toFixed(1)} s, ${(1 / perMs).toFixed(1)} ms a step`);
  const found: Figures[] = [];
  for (const fault of names) {
    const step = Math.floor(0.25 * job.steps);
    const run = await punisher.run(stage, job, [{ fault, step, worker: 1, seconds: LASTING_S }]);
    const one = measure(fault, run, quiet, perMs);
    found.push(one);
    say(`${fault}: ${JSON.stringify(one)}${run.blows[0]?.why ? ` (${run.blows[0].why})` : ''}`);
  }
  return found;
}

function measure(fault: FaultName, run: Punished, quiet: Punished, perMs: number): Figures {
  const [blow] = run.blows;
  const { noticed } = faults[fault] as Fault;
  const began = blow!.startedAt;
  const line = run.lines.find(({ at, text }) => at >= began && noticed.test(text));
  const gap = longestGap(run.seen, began, blow!.endedAt + 5_000);
  // A pause no longer than a few steps is none.
  const stalled = gap && gap.end - gap.start > Math.max(300, 8 / perMs);
  const gradientAt = stalled ? gap.end : undefined;
  const fullAt = gradientAt === undefined ? undefined : fullSpeedAt(run.seen, gradientAt, perMs);
  const seconds = (at: number | undefined) => (at === undefined ? undefined : (at - began) / 1000);
  return {
    fault,
    fired: blow!.fired,
    digestEqual: run.digest === quiet.digest && run.ledger.length === 0,
    detected: seconds(line?.at),
    gradient: seconds(gradientAt),
    full: seconds(fullAt),
  };
}

/** Steps a millisecond between the first and the last tenth. */
export function speed(seen: readonly Seen[]): number {
  const last = seen.at(-1)!.step;
  const from = seen.find(({ step }) => step >= 0.1 * last)!;
  const to = seen.findLast(({ step }) => step <= 0.9 * last)!;
  return (to.step - from.step) / (to.at - from.at);
}

function longestGap(
  seen: readonly Seen[],
  from: number,
  to: number,
): { start: number; end: number } | undefined {
  let longest: { start: number; end: number } | undefined;
  for (const [index, { at }] of seen.entries()) {
    const before = seen[index - 1]?.at;
    if (before === undefined || at < from || before > to) continue;
    const start = Math.max(before, from);
    if (!longest || at - start > longest.end - longest.start) longest = { start, end: at };
  }
  return longest;
}

function fullSpeedAt(seen: readonly Seen[], from: number, perMs: number): number | undefined {
  for (const start of seen) {
    if (start.at < from) continue;
    const end = seen.find(({ at }) => at >= start.at + SPEED_MS);
    if (!end) return undefined;
    if ((end.step - start.step) / (end.at - start.at) >= FULL * perMs) return start.at;
  }
  return undefined;
}
