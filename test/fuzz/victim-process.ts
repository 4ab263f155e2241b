/** The victim, from the process that starts it: what it is asked, whether it is alive, and what is wrong with what it has used. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VictimOptions, VictimQuestion, VictimStarted, VictimUsage } from './victim.ts';

/** CPU time that nothing may keep the event loop busy for, in microseconds. */
const MOST_TURN_US = 1_000_000;
/**
 * The same where nothing else is amiss, in milliseconds. The aim is 50; where others share its caches and its cores' threads the same work
 * takes up to twice as long.
 */
const MOST_SHORT_TURN_MS = 100;
/** Bytes that it may hold, and that it may ever have had, above what it had before. */
const MOST_HELD = 64 << 20;
const MOST_PEAK = 768 << 20;
/** Streams that nobody closed end after 5 s of silence. */
const LET_GO_MS = 15_000;

export class Victim {
  readonly started: VictimStarted;
  readonly #child: ChildProcess;
  readonly #before: VictimUsage;

  static async start(options: VictimOptions): Promise<Victim> {
    const child = fork(new URL('victim.ts', import.meta.url), {
      env: { ...process.env, KASANE_VICTIM: JSON.stringify(options) },
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const [started] = (await once(child, 'message')) as [VictimStarted];
    return new Victim(child, started, await ask(child));
  }

  private constructor(child: ChildProcess, started: VictimStarted, before: VictimUsage) {
    this.#child = child;
    this.started = started;
    this.#before = before;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What is wrong with it since it was last asked; empty when nothing is. What connections leave may take it a moment to let go. */
  async complaint(): Promise<string> {
    let worst = 0;
    let held = Number.POSITIVE_INFINITY;
    const deadline = performance.now() + LET_GO_MS;
    do {
      if (!this.alive) return `it died (${this.#child.signalCode ?? this.#child.exitCode})`;
      const { longestTurnUs, heldBytes, peakBytes } = await ask(this.#child);
      worst = Math.max(worst, longestTurnUs);
      if (worst > MOST_TURN_US) return `${worst / 1000} ms of CPU time in one turn`;
      const peak = peakBytes - this.#before.peakBytes;
      if (peak > MOST_PEAK) return `${peak} bytes more were needed than before`;
      held = heldBytes - this.#before.heldBytes;
      if (held <= MOST_HELD) return '';
      await sleep(200);
    } while (performance.now() < deadline);
    return `${held} bytes more are held than before`;
  }

  /**
   * What is wrong with it while something is done to it, some times at most; empty when nothing is. What the thing itself takes, it takes
   * each time; a collection of garbage falls into one now and then: so the shortest of the longest turns counts.
   */
  async complaintOf(goes: number, act: () => Promise<void>): Promise<string> {
    let least = Number.POSITIVE_INFINITY;
    for (let go = 0; go < goes && least >= MOST_SHORT_TURN_MS; go++) {
      await this.#used();
      await act();
      const { complaint, longestTurnMs } = await this.#used();
      if (complaint !== '') return complaint;
      least = Math.min(least, longestTurnMs);
    }
    if (least < MOST_SHORT_TURN_MS) return '';
    const { slowness } = await ask(this.#child, 'slowness');
    const most = MOST_SHORT_TURN_MS * Math.max(1, slowness);
    return least < most ? '' : `${least} ms of CPU time in one turn, and ${most} are the most`;
  }

  /** The same at this moment, and the most milliseconds of CPU time of one turn since it was last asked. */
  async #used(): Promise<{ readonly complaint: string; readonly longestTurnMs: number }> {
    if (!this.alive)
      return { complaint: `it died (${this.#child.signalCode ?? this.#child.exitCode})`, longestTurnMs: 0 };
    const { longestTurnUs, peakBytes } = await ask(this.#child, 'turns');
    const peak = peakBytes - this.#before.peakBytes;
    const complaint = peak > MOST_PEAK ? `${peak} bytes more were needed than before` : '';
    return { complaint, longestTurnMs: longestTurnUs / 1000 };
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

async function ask(child: ChildProcess, what: VictimQuestion = 'usage'): Promise<VictimUsage> {
  const over = new AbortController();
  const ended = once(child, 'exit', { signal: over.signal }).then(() => {
    throw new Error('it died while it was asked what it has used');
  });
  child.send(what);
  try {
    const [usage] = (await Promise.race([once(child, 'message', { signal: over.signal }), ended])) as [
      VictimUsage,
    ];
    return usage;
  } finally {
    over.abort();
  }
}
