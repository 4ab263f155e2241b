/** How benchmarks time calls: contenders take turns, so that whatever else the machine does meets all of them. */
import { median } from './median.ts';

/** Milliseconds of a call. */
export interface Figure {
  /** CPU time. */
  readonly cpu: number;
  /** Wall time in the shortest of the parts that the calls were timed in. */
  readonly best: number;
}

export interface Contender {
  /** Makes so many calls. Undefined: it does not have this work. */
  calls(count: number): Figure | undefined | Promise<Figure | undefined>;
}

/** Parts that calls are timed in: looking at the clock at each would cost the shortest of them a twentieth. */
const PARTS = 16;

export function timeCalls(run: () => void, count: number): Figure {
  const part = Math.ceil(count / PARTS);
  let best = Number.POSITIVE_INFINITY;
  const before = process.cpuUsage();
  for (let done = 0; done < count; ) {
    const calls = Math.min(part, count - done);
    const start = performance.now();
    for (let i = 0; i < calls; i++) run();
    best = Math.min(best, (performance.now() - start) / calls);
    done += calls;
  }
  const { user, system } = process.cpuUsage(before);
  return { cpu: (user + system) / 1000 / count, best };
}

/** Something that this process calls. */
export const ours = (run: () => void): Contender => ({ calls: (count) => timeCalls(run, count) });

export interface Turns {
  readonly rounds: number;
  /** That a contender computes in a round, or one call, if that is longer. */
  readonly milliseconds: number;
}

/** A call that takes so many times as long as a round is measured once. */
const HOPELESS = 20;

/** How many calls fill a round, and how many rounds are worth it. */
async function settle(
  contender: Contender,
  { rounds, milliseconds }: Turns,
): Promise<{ readonly count: number; readonly rounds: number }> {
  let count = 1;
  // Engines optimize what has run for a while: each time tells better.
  for (const least of [1, 2, 3]) {
    const figure = await contender.calls(Math.max(least, count));
    if (!figure) return { count, rounds: 0 };
    if (figure.best > HOPELESS * milliseconds) return { count, rounds: 1 };
    count = Math.max(1, Math.round(milliseconds / figure.best));
    if (count < least) break;
  }
  return { count, rounds };
}

/** For each contender the median of its CPU times over the rounds, and the shortest of its wall times. */
export async function takeTurns(
  contenders: readonly Contender[],
  turns: Turns,
): Promise<(Figure | undefined)[]> {
  const entries = [];
  for (const contender of contenders) {
    entries.push({ contender, ...(await settle(contender, turns)), figures: [] as Figure[] });
  }
  for (let round = 0; round < turns.rounds; round++) {
    for (const { contender, count, rounds, figures } of entries) {
      const figure = round < rounds ? await contender.calls(count) : undefined;
      if (figure) figures.push(figure);
    }
  }
  return entries.map(({ figures }) =>
    figures.length === 0
      ? undefined
      : { cpu: median(figures.map(({ cpu }) => cpu)), best: Math.min(...figures.map(({ best }) => best)) },
  );
}
