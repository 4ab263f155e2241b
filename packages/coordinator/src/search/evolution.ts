/**
 * Regularized evolution (Real et al., "Regularized evolution for image classifier architecture search", 2018): of a few trials of
 * the population the best is copied with one value changed. The population are the newest trials, so old ones die however good.
 */
import type {
  Assignment,
  Json,
  ParameterSpec,
  SearchSpec,
} from '@kasane/protocol/internal/job/search-schema';
import { assign, isSame, placeOf, sizeOf, valueAt } from '@kasane/protocol/internal/job/search-space';
import type { Trial } from './actions.ts';
import { unit, unitAndNormal } from './draws.ts';
import { bestAmong } from './front.ts';
import type { Picked } from './samplers.ts';

/** Of a number, as a fraction of its range: standard deviation of a change; more where there are fewer than ten values. */
const CHANGE = 0.1;
/** Tries to draw a number that is another one. */
const TRIES = 16;

/** A quarter of the trials, but enough to choose from. The first so many are random. */
export const populationOf = ({ trials }: Pick<SearchSpec, 'trials'>): number =>
  Math.min(100, Math.max(5, Math.floor(trials / 4)));

/** @param random what a trial without parents gets */
export function sampleEvolution(
  search: SearchSpec,
  trial: number,
  trials: readonly Trial[],
  random: Assignment,
): Picked {
  const { seed, parameters } = search;
  const population = trials.filter(({ losses, failedAt }) => losses.size > 0 && failedAt === undefined);
  const alive = population.slice(-populationOf(search));
  const draw = (n: number) => unit({ seed, trial, parameter: 0, purpose: 'mutation', n });
  const rivals = Array.from(
    { length: Math.ceil(alive.length / 4) },
    (_, n) => alive[Math.floor(draw(n) * alive.length)]!,
  );
  const parent = bestAmong(rivals, alive);
  if (!parent) return { assignment: random };
  const variable = Object.keys(parent.assignment).filter((path) => sizeOf(parameters[path]!) > 1);
  const changed = variable[Math.floor(draw(rivals.length) * variable.length)];
  const assignment = assign(parameters, (parameter, index, path) => {
    const inherited = parent.assignment[path];
    if (inherited === undefined) return random[path] ?? fresh(parameter, { seed, trial, parameter: index });
    return path === changed
      ? mutated(parameter, inherited, { seed, trial, parameter: index + 1 })
      : inherited;
  });
  return { assignment, ...(search.inherit && { parent: parent.number }) };
}

interface Where {
  readonly seed: number;
  readonly trial: number;
  readonly parameter: number;
}

const fresh = (parameter: ParameterSpec, where: Where): Json =>
  valueAt(parameter, unit({ ...where, purpose: 'value' }));

/** Another choice, or a number nearby. */
function mutated(parameter: ParameterSpec, value: Json, where: Where): Json {
  const purpose = 'mutation';
  if ('choices' in parameter) {
    const others = parameter.choices.filter((choice) => !isSame(choice, value));
    return others[Math.floor(unit({ ...where, purpose }) * others.length)]!;
  }
  const from = placeOf(parameter, Number(value));
  const width = Math.max(CHANGE, 1 / sizeOf(parameter));
  for (let n = 0; n < TRIES; n++) {
    const [any, normal] = unitAndNormal({ ...where, purpose, n });
    const to = from + width * normal;
    const next = valueAt(parameter, to < 0 || to >= 1 ? any : to);
    if (next !== value) return next;
  }
  return value;
}
