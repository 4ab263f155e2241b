/** How the values of a new trial are picked. */
import type { Assignment, SearchSpec } from '@kasane/protocol/internal/job/search-schema';
import { assign, gridPoints, valueAt } from '@kasane/protocol/internal/job/search-space';
import type { Trial } from './actions.ts';
import { bits, unit } from './draws.ts';
import { populationOf, sampleEvolution } from './evolution.ts';
import { generationOf, hasParents, samplePopulation } from './population.ts';
import { sobol } from './sobol.ts';
import { STARTUP, sampleTpe } from './tpe.ts';

/** A trial to be started. */
export interface Picked {
  readonly assignment: Assignment;
  /** The trial whose final weights it starts from; absent: from none. */
  readonly parent?: number;
}

/** A pure function: the same trial for the same outcomes. */
export interface Sampler {
  /** The values of trials below this number depend on no outcome. */
  readonly firstInformed: (search: SearchSpec) => number;
  /** @param trials those before, with the losses that may be taken into account */
  readonly sample: (search: SearchSpec, trial: number, trials: readonly Trial[]) => Picked;
  /** Whether enough is known for that trial; by default it always is. */
  readonly isReady?: (search: SearchSpec, trial: number, trials: readonly Trial[]) => boolean;
}

const never = () => Number.POSITIVE_INFINITY;

/** Every value evenly on its scale, independent of all others. */
export const sampleRandom = ({ seed, parameters }: SearchSpec, trial: number): Assignment =>
  assign(parameters, (parameter, index) =>
    valueAt(parameter, unit({ seed, trial, parameter: index, purpose: 'value' })),
  );

function sampleGrid({ parameters }: SearchSpec, trial: number): Assignment {
  let number = 0;
  for (const point of gridPoints(parameters)) if (number++ === trial) return point;
  throw new RangeError(`the grid has ${number} points; there is no trial ${trial}`);
}

/** The points of all sweeps are the same; each is shifted by the sweep's seed, digit by digit. */
const sampleSobol = ({ seed, parameters }: SearchSpec, trial: number): Assignment =>
  assign(parameters, (parameter, index) => {
    const shift = bits({ seed, trial: 0, parameter: index, purpose: 'shift' });
    return valueAt(parameter, ((sobol(trial, index) ^ shift) >>> 0) / 2 ** 32);
  });

const alone =
  (sample: (search: SearchSpec, trial: number, trials: readonly Trial[]) => Assignment): Sampler['sample'] =>
  (...of) => ({ assignment: sample(...of) });

const samplers: Readonly<Record<SearchSpec['sampler'], Sampler>> = {
  grid: { firstInformed: never, sample: alone(sampleGrid) },
  random: { firstInformed: never, sample: alone(sampleRandom) },
  sobol: { firstInformed: never, sample: alone(sampleSobol) },
  tpe: {
    firstInformed: () => STARTUP,
    sample: alone((search, trial, trials) =>
      trial < STARTUP ? sampleRandom(search, trial) : sampleTpe(search, trial, trials),
    ),
  },
  evolution: {
    firstInformed: populationOf,
    sample: (search, trial, trials) => {
      const random = sampleRandom(search, trial);
      return trial < populationOf(search)
        ? { assignment: random }
        : sampleEvolution(search, trial, trials, random);
    },
  },
  population: {
    firstInformed: generationOf,
    isReady: hasParents,
    sample: (search, trial, trials) => {
      const random = sampleRandom(search, trial);
      return trial < generationOf(search)
        ? { assignment: random }
        : samplePopulation(search, trial, trials, random);
    },
  },
};

export const samplerOf = ({ sampler }: Pick<SearchSpec, 'sampler'>): Sampler => samplers[sampler];
