/**
 * Population based training (Jaderberg et al., "Population based training of neural networks", 2017), in generations: each member goes on
 * from its own weights with its own values, but for the worst, which go on from those of one of the best, with changed values.
 */
import {
  type Assignment,
  DEFAULT_POPULATION,
  type Json,
  type ParameterSpec,
  type SearchSpec,
} from '@kasane/protocol/internal/job/search-schema';
import { assign, placeOf, sizeOf, valueAt } from '@kasane/protocol/internal/job/search-space';
import type { Trial } from './actions.ts';
import { unit } from './draws.ts';
import { bestFirst } from './front.ts';
import type { Picked } from './samplers.ts';

/** One in so many members is given up, and one in so many is gone on from in its place. */
const SHARE = 4;
/** How often a value is drawn anew instead of changed a little. */
const ANEW = 0.25;
/** What a logarithmic value is multiplied by, as in the paper. */
const FACTORS = [0.8, 1.2] as const;
/** Of another number, as a fraction of its range. */
const CHANGE = 0.1;

/** Trials of a generation. */
export const generationOf = ({ population = DEFAULT_POPULATION }: Pick<SearchSpec, 'population'>): number =>
  population;

/** The generation before that of a trial; empty for the first. */
function before(search: SearchSpec, trial: number, trials: readonly Trial[]): readonly Trial[] {
  const size = generationOf(search);
  const end = trial - (trial % size);
  return trials.slice(Math.max(0, end - size), end);
}

/** Whether all of the generation before have ended. */
export const hasParents = (search: SearchSpec, trial: number, trials: readonly Trial[]): boolean =>
  before(search, trial, trials).every(({ losses, failedAt }) => losses.size > 0 || failedAt !== undefined);

/** @param random what a trial without parents gets */
export function samplePopulation(
  search: SearchSpec,
  trial: number,
  trials: readonly Trial[],
  random: Assignment,
): Picked {
  const size = generationOf(search);
  const order = bestFirst(before(search, trial, trials));
  const count = Math.max(1, Math.floor(size / SHARE));
  const own = trials[trial - size]!;
  if (own.failedAt === undefined && !order.slice(-count).includes(own))
    return { assignment: own.assignment, parent: own.number };
  const best = order.filter(({ failedAt }) => failedAt === undefined).slice(0, count);
  const draw = unit({ seed: search.seed, trial, parameter: 0, purpose: 'parent' });
  const parent = best[Math.floor(draw * best.length)];
  if (!parent) return { assignment: random };
  return { assignment: explored(search, trial, parent.assignment), parent: parent.number };
}

function explored({ seed, parameters }: SearchSpec, trial: number, from: Assignment): Assignment {
  return assign(parameters, (parameter, index, path) => {
    const draw = (n: number) => unit({ seed, trial, parameter: index + 1, purpose: 'parent', n });
    const value = from[path];
    if (value === undefined || draw(0) < ANEW) return valueAt(parameter, draw(1));
    return changed(parameter, value, draw(2) < 0.5 ? 0 : 1);
  });
}

/** A number a little lower or higher, within its range; a choice stays. */
function changed(parameter: ParameterSpec, value: Json, direction: 0 | 1): Json {
  if ('choices' in parameter) return value;
  if ('log' in parameter && !('integers' in parameter)) {
    const [low, high] = parameter.log;
    const next = Number((Number(value) * FACTORS[direction]).toPrecision(6));
    return Math.min(high, Math.max(low, next));
  }
  const way = Math.max(CHANGE, 1 / sizeOf(parameter));
  const place = placeOf(parameter, Number(value)) + (direction === 0 ? -way : way);
  return valueAt(parameter, Math.min(1, Math.max(0, place)));
}
