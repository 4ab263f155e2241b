/** How the values of a new trial are picked. */
import type { Assignment, SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { assign, gridPoints, valueAt } from '@kasane/protocol/internal/job/search-space';
import type { Trial } from './actions.ts';
import { unit } from './draws.ts';

/** A pure function: the same trial for the same outcomes. */
export interface Sampler {
  /** The values of trials below this number depend on no outcome. */
  readonly firstInformed: (search: SearchSpec) => number;
  /** @param trials those before, with the losses that may be taken into account */
  readonly sample: (search: SearchSpec, trial: number, trials: readonly Trial[]) => Assignment;
}

const never = () => Number.POSITIVE_INFINITY;

/** Every value evenly on its scale, independent of all others. */
export const sampleRandom = ({ seed, parameters }: SearchSpec, trial: number): Assignment =>
  assign(parameters, (parameter, index) => valueAt(parameter, unit(seed, trial, index, 'value')));

function sampleGrid({ parameters }: SearchSpec, trial: number): Assignment {
  let number = 0;
  for (const point of gridPoints(parameters)) if (number++ === trial) return point;
  throw new RangeError(`the grid has ${number} points; there is no trial ${trial}`);
}

const samplers: Readonly<Record<SearchSpec['sampler'], Sampler>> = {
  grid: { firstInformed: never, sample: sampleGrid },
  random: { firstInformed: never, sample: sampleRandom },
  sobol: { firstInformed: never, sample: sampleRandom },
  tpe: { firstInformed: never, sample: sampleRandom },
  evolution: { firstInformed: never, sample: sampleRandom },
};

export const samplerOf = ({ sampler }: Pick<SearchSpec, 'sampler'>): Sampler => samplers[sampler];
