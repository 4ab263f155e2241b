/** Which fault befalls whom at which step: decided by the seed before anything runs. */
import { type FaultName, faults } from './faults.ts';
import { randomOf, shuffled } from './random.ts';

export interface Planned {
  readonly fault: FaultName;
  /** Fires when this step has been reached. */
  readonly step: number;
  /** The worker it befalls, counted from 1; the next one when that suffers already. */
  readonly worker: number;
  /** How long what lasts does. */
  readonly seconds: number;
}

export const allFaults = Object.keys(faults) as FaultName[];

/** How long faults last in the long set, in seconds. */
const SECONDS: Partial<Record<FaultName, number>> = { freeze: 20, cut: 15, slow: 15, weather: 15 };

export interface ScheduleOptions {
  readonly seed: number;
  readonly faults: readonly FaultName[];
  readonly steps: number;
  readonly workers: number;
  /** Seconds that lasting faults last. Default: those of the long set. */
  readonly seconds?: number;
  /** The part of the steps that they are spread over, the first. Default 0.8. */
  readonly within?: number;
}

/** Every one of `faults` once, in an order of the seed's. */
export function schedule(options: ScheduleOptions): Planned[] {
  const { seed, faults: names, steps, workers, seconds, within = 0.8 } = options;
  const random = randomOf(seed);
  const gap = (within * steps) / names.length;
  return shuffled(names, random).map((fault, index) => ({
    fault,
    step: Math.floor(gap * (index + 0.2 + 0.6 * random())),
    worker: 1 + Math.floor(random() * workers),
    seconds: seconds ?? SECONDS[fault] ?? 5,
  }));
}
