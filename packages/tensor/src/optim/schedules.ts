/** Learning-rate schedules: pure functions of the step, exact on every engine. */
import { cosineOfPi, exponentialOf, logarithmOf, powerOf } from './exact.ts';

interface Peak {
  /** The rate that the schedule is a fraction of. */
  readonly learningRate: number;
}

interface WarmUp extends Peak {
  /** Steps over which the rate first rises linearly, from peak / (warmupSteps + 1). Default 0. */
  readonly warmupSteps?: number;
}

export type Schedule =
  | ({ readonly type: 'constant' } & WarmUp)
  /** Multiplied by `factor` (default 0.1) every `every` steps after the warm-up. */
  | ({ readonly type: 'step'; readonly every: number; readonly factor?: number } & WarmUp)
  /** Multiplied by `factor` (default 0.1) over every `every` steps after the warm-up, by the same factor in each step. */
  | ({ readonly type: 'exponential'; readonly every: number; readonly factor?: number } & WarmUp)
  /** Falls along half a cosine to `finalFraction` (default 0) of the peak. */
  | ({ readonly type: 'cosine'; readonly finalFraction?: number } & WarmUp)
  /**
   * Rises along half a cosine over `riseFraction` (default 0.3) of the run from `initialFraction` (default 0.04) of the
   * peak, then falls the same way to `finalFraction` (default 0.0001) of it. The peak is at step riseFraction * steps - 1, from 0, which may
   * lie between two steps: the rates of PyTorch's OneCycleLR.
   */
  | ({
      readonly type: 'one-cycle';
      readonly riseFraction?: number;
      readonly initialFraction?: number;
      readonly finalFraction?: number;
    } & Peak);

/** From a at t = 0 to b at t = 1 along half a cosine. */
function ease(a: number, b: number, t: number): number {
  return b + ((a - b) * (1 + cosineOfPi(t))) / 2;
}

/**
 * The learning rate of a step.
 * @param step from 0
 * @param totalSteps steps of the whole run; later steps get the rate of the last
 */
export function learningRate(schedule: Schedule, step: number, totalSteps: number): number {
  if (!Number.isSafeInteger(step) || step < 0) throw new RangeError(`step is ${step}; expected 0, 1, 2, ...`);
  if (!Number.isSafeInteger(totalSteps) || totalSteps < 1) {
    throw new RangeError(`totalSteps is ${totalSteps}; expected a positive integer`);
  }
  const at = Math.min(step, totalSteps - 1);
  return schedule.learningRate * fractionOfPeak(schedule, at, totalSteps);
}

function fractionOfPeak(schedule: Schedule, step: number, totalSteps: number): number {
  if (schedule.type === 'one-cycle') {
    const { riseFraction = 0.3, initialFraction = 0.04, finalFraction = 0.0001 } = schedule;
    const last = totalSteps - 1;
    const top = riseFraction * totalSteps - 1;
    if (step < top) return ease(initialFraction, 1, step / top);
    return step === top ? 1 : ease(1, finalFraction, (step - top) / (last - top));
  }
  const { warmupSteps = 0 } = schedule;
  if (step < warmupSteps) return (step + 1) / (warmupSteps + 1);
  const after = step - warmupSteps;
  switch (schedule.type) {
    case 'constant':
      return 1;
    case 'step':
      return powerOf(schedule.factor ?? 0.1, Math.floor(after / schedule.every));
    case 'exponential':
      return exponentialOf((logarithmOf(schedule.factor ?? 0.1) * after) / schedule.every);
    case 'cosine':
      return ease(1, schedule.finalFraction ?? 0, after / (totalSteps - warmupSteps));
  }
}
