/** Checks of the `search` section by itself: everything that its schema cannot say. */
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import type { KasaneError } from '../errors.ts';
import type { Fields } from './fields.ts';
import {
  costNames,
  DEFAULT_POPULATION,
  DEFAULT_TRIALS,
  handsOn,
  type Json,
  objectivesOf,
  type ParameterSpec,
  parameterSchemas,
  type SearchSpec,
  SWEEP_PARAMETERS,
  SWEEP_TRIALS,
} from './search-schema.ts';
import { gridPoints, isSame, kindOf, sizeOf } from './search-space.ts';

/** Of Joe and Kuo's direction numbers, as many as we have. */
export const SOBOL_DIMENSIONS = 21;

/** The error for a place in the section. */
export type Refuse = (path: readonly string[], why: string) => KasaneError;
const KINDS = Object.keys(parameterSchemas);

/** The schema of parameters is a union, whose messages would be about any of its forms. */
export function checkKinds(search: unknown, refuse: Refuse): void {
  const { parameters } = (search ?? {}) as Fields;
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) return;
  const paths = Object.entries(parameters as Fields);
  if (paths.length === 0)
    throw refuse(['parameters'], 'it is empty; expected at least one path with a range or choices');
  if (paths.length > SWEEP_PARAMETERS)
    throw refuse(['parameters'], `${paths.length} parameters; at most ${SWEEP_PARAMETERS} are allowed`);
  for (const [path, parameter] of paths) {
    const place = ['parameters', path];
    if (typeof parameter !== 'object' || parameter === null || Array.isArray(parameter))
      throw refuse(place, `expected a range or choices, such as { uniform: [0, 1] } or { choices: [1, 2] }`);
    const keys = Object.keys(parameter);
    // Of whole numbers, log is an option.
    const kinds = KINDS.filter(
      (kind) => keys.includes(kind) && !(kind === 'log' && keys.includes('integers')),
    );
    if (kinds.length === 1) continue;
    if (kinds.length > 1) throw refuse(place, `both ${kinds.join(' and ')}; expected one of them`);
    throw refuse(
      place,
      keys.length === 0
        ? `expected one of ${KINDS.join(', ')}`
        : `unknown key '${keys[0]}'${suggest(keys[0]!, KINDS)}`,
    );
  }
}

/** What decides which test samples there are, what is predicted, and in which units: values of a metric compare within one of each. */
const MEASURES = [
  'format',
  'path',
  'test',
  'validation',
  'seed',
  'task',
  'target',
  'standardizeTarget',
  'horizon',
  'objective',
  'tokenizer',
  'vocabulary',
  'maskRate',
  'text',
  'label',
].map((key) => `data.${key}`);
/** What decides how the loss on the test data is computed. Smoothing and weights of classes are of the training alone. */
const LOSSES = ['objective.loss', 'objective.delta'];

/** What of MEASURES does not matter to a job that names its test data. */
const WITHOUT_TEST = ['data.path', 'data.validation', 'data.seed'];

/** @param data section of the job, not checked */
export function checkPaths({ parameters, metric }: Given, data: Fields, refuse: Refuse): void {
  const paths = Object.keys(parameters);
  const byLoss = objectivesOf({ metric }).some((each) => each.metric === 'testLoss');
  const measures = [
    ...MEASURES.filter((key) => data.test === undefined || !WITHOUT_TEST.includes(key)),
    // Of a series it scales what is forecast as well.
    ...(data.format === 'series' ? ['data.standardize'] : []),
  ];
  for (const [index, path] of paths.entries()) {
    const place = ['parameters', path];
    const isWithin = (inner: string, outer: string) => inner === outer || inner.startsWith(`${outer}.`);
    if (path.split('.').includes(''))
      throw refuse(place, 'expected keys with a dot between them, such as training.batch');
    if (isWithin(path, 'search')) throw refuse(place, 'the search itself cannot vary');
    if (path === 'name') throw refuse(place, 'trials are numbered, so the name cannot vary');
    if (path === 'training' || isWithin(path, 'training.epochs'))
      throw refuse(
        place,
        'trials are compared after the same number of epochs; use search.halving to stop bad ones early',
      );
    if (path === 'data' || measures.some((key) => isWithin(path, key)))
      throw refuse(
        place,
        'it decides what trials are tested on, so their results could not be compared; set it in the job instead, or run a sweep for each value',
      );
    if (path === 'objective' || isWithin(path, 'objective.type'))
      throw refuse(place, 'trials with different objectives could not be compared; run a sweep for each');
    if (byLoss && LOSSES.some((key) => isWithin(path, key)))
      throw refuse(
        place,
        'trials would be compared by different losses; set search.metric to testError, which does not depend on the loss',
      );
    const inside = paths.slice(0, index).find((above) => isWithin(above, path));
    if (inside !== undefined)
      throw refuse(place, `it would replace ${inside}, which is set before; move it above that`);
  }
}

export function checkRange(path: string, parameter: ParameterSpec, refuse: Refuse): void {
  const kind = kindOf(parameter);
  const place = ['parameters', path, kind];
  if ('choices' in parameter) {
    const { choices } = parameter;
    const twice = choices.find((one, index) => choices.slice(0, index).some((other) => isSame(one, other)));
    if (twice !== undefined)
      throw refuse(place, `${JSON.stringify(twice)} appears twice; remove one of them`);
    return;
  }
  const [low, high] =
    'integers' in parameter ? parameter.integers : 'uniform' in parameter ? parameter.uniform : parameter.log;
  const isLog = !('uniform' in parameter) && parameter.log !== false;
  if (low === high) throw refuse(place, `only ${low} is in this range; set ${path} to it instead`);
  if (low > high)
    throw refuse(place, `the first value, ${low}, is larger than the second; write [${high}, ${low}]`);
  if (isLog && low <= 0)
    throw refuse(place, `it begins at ${low}, which has no logarithm; expected a first value above 0`);
  if (!('integers' in parameter)) return;
  if (parameter.log && parameter.step !== 1)
    throw refuse(['parameters', path, 'step'], 'a logarithmic scale has no steps; remove step or log');
  if (parameter.step > high - low)
    throw refuse(
      ['parameters', path, 'step'],
      `${parameter.step} is larger than the range; expected at most ${high - low}`,
    );
}

export function checkCondition(
  path: string,
  { when }: ParameterSpec,
  parameters: SearchSpec['parameters'],
  refuse: Refuse,
): void {
  const paths = Object.keys(parameters);
  const above = paths.slice(0, paths.indexOf(path));
  for (const [on, wanted] of Object.entries(when ?? {})) {
    const place = ['parameters', path, 'when', on];
    if (on === path) throw refuse(place, 'a condition on itself');
    if (!above.includes(on))
      throw refuse(
        place,
        paths.includes(on)
          ? `${on} is below; move it above ${path}`
          : `not a parameter above this one${suggest(on, above)}`,
      );
    if (sizeOf(parameters[on]!) === Number.POSITIVE_INFINITY)
      throw refuse(place, `${on} is any number of a range; only choices and integers can be conditions`);
    const values = Array.isArray(wanted) && !canBe(parameters[on]!, wanted) ? wanted : [wanted];
    const never = values.find((value) => !canBe(parameters[on]!, value as Json));
    if (never !== undefined || values.length === 0)
      throw refuse(place, `${on} is never ${JSON.stringify(never ?? wanted)}${ofThem(parameters[on]!)}`);
  }
}

const ofThem = (parameter: ParameterSpec): string =>
  'choices' in parameter
    ? `; expected ${parameter.choices.map((one) => JSON.stringify(one)).join(', ')}`
    : '';

/** Whether a parameter may get a value. */
export function canBe(parameter: ParameterSpec, value: Json): boolean {
  if ('choices' in parameter) return parameter.choices.some((one) => isSame(one, value));
  if (typeof value !== 'number') return false;
  if (!('integers' in parameter)) return false;
  const { integers, step } = parameter;
  const index = (value - integers[0]) / step;
  return Number.isInteger(index) && value >= integers[0] && value <= integers[1];
}

/**
 * @param ofTests the metrics that the job's test has
 * @param what whose test it is
 */
export function checkMetrics(
  { metric, halving }: Pick<Given, 'metric' | 'halving'>,
  ofTests: readonly string[],
  what: string,
  refuse: Refuse,
): void {
  const objectives = objectivesOf({ metric }).map((each) => each.metric);
  const isCost = (name: string) => costNames.some((cost) => cost === name);
  const place = (index: number) => (typeof metric === 'string' ? ['metric'] : ['metric', String(index)]);
  for (const [index, name] of objectives.entries()) {
    if (!ofTests.includes(name) && !isCost(name))
      throw refuse(place(index), `a job with ${what} has no ${name}; expected ${ofTests.join(', ')}`);
    if (objectives.indexOf(name) < index)
      throw refuse(place(index), `${name} appears twice; remove one of them`);
  }
  if (isCost(objectives[0]!))
    throw refuse(
      place(0),
      `${objectives[0]} is known before anything is trained; put a metric of the test first: ${ofTests.join(', ')}`,
    );
  if (objectives.length > 1 && halving)
    throw refuse(
      ['halving'],
      'it stops trials by one metric, and search.metric has several; remove halving, or name one metric',
    );
}

/** Keys that a trial gets from the one whose weights it starts from. */
const HANDED_ON = ['init', 'initLayout', 'training.seed'];

/** What cannot be where trials start from the weights of earlier ones, and what is for nothing else. */
export function checkHandingOn(search: Given, refuse: Refuse): void {
  const { sampler, population, inherit, halving, order, parameters } = search;
  if (population !== undefined && sampler !== 'population')
    throw refuse(['population'], `the sampler is ${sampler}; remove this, or set sampler: population`);
  if (inherit !== undefined && sampler === 'population')
    throw refuse(['inherit'], 'sampler population always hands weights on; remove this');
  if (inherit && sampler !== 'evolution')
    throw refuse(
      ['inherit'],
      `sampler ${sampler} does not make trials from earlier ones; use sampler evolution or population`,
    );
  if (!handsOn(search)) return;
  if (halving)
    throw refuse(
      ['halving'],
      'trials start from the final weights of earlier ones, and those that are stopped early have none; remove halving',
    );
  if (sampler === 'population' && order === 'arrival')
    throw refuse(
      ['order'],
      'a generation starts when the one before has ended, so nothing depends on the order of arrival; remove this',
    );
  const given = Object.keys(parameters).find((path) => HANDED_ON.includes(path));
  if (given !== undefined)
    throw refuse(
      ['parameters', given],
      'it cannot vary where trials start from the weights of earlier ones: it follows from those',
    );
}

type Given = Omit<SearchSpec, 'trials'> & { readonly trials?: number | undefined };

/** How many trials there are, if the sampler can give as many. */
export function trialsOf({ sampler, trials, parameters, population }: Given, refuse: Refuse): number {
  const entries = Object.entries(parameters);
  if (sampler === 'sobol' && entries.length > SOBOL_DIMENSIONS)
    throw refuse(
      ['sampler'],
      `sobol takes at most ${SOBOL_DIMENSIONS} parameters, and there are ${entries.length}; use random or tpe`,
    );
  if (sampler === 'population') return trialsOfGenerations(population, trials, refuse);
  if (sampler !== 'grid') return trials ?? DEFAULT_TRIALS;
  for (const [path, parameter] of entries) {
    if (!('choices' in parameter) && !('integers' in parameter) && parameter.points === undefined)
      throw refuse(
        ['parameters', path],
        'a grid needs the number of values of this range; add points, such as points: 5',
      );
  }
  const limit = trials ?? SWEEP_TRIALS;
  const large = entries.some(
    ([, parameter]) => sizeOf(parameter) !== Number.POSITIVE_INFINITY && sizeOf(parameter) > SWEEP_TRIALS,
  );
  let count = 0;
  if (!large) for (const _ of gridPoints(parameters)) if (++count > SWEEP_TRIALS) break;
  if (large || count > limit)
    throw refuse(
      trials === undefined ? ['sampler'] : ['trials'],
      `the grid has ${large || count > SWEEP_TRIALS ? `more than ${SWEEP_TRIALS}` : count} points, and at most ${limit} trials are allowed; use fewer values, or sampler random`,
    );
  return count;
}

/** Whole generations, of which there are at least two. */
function trialsOfGenerations(
  size = DEFAULT_POPULATION,
  trials = Math.max(2, Math.round(DEFAULT_TRIALS / size)) * size,
  refuse: Refuse,
): number {
  const [below, above] = [Math.floor(trials / size), Math.ceil(trials / size)].map((count) => count * size);
  if (trials < 2 * size)
    throw refuse(
      ['trials'],
      `${trials}, and a generation has ${size}, so none would start from the weights of another; expected at least ${2 * size}, or a smaller population`,
    );
  if (below !== above)
    throw refuse(
      ['trials'],
      `${trials} are not whole generations of ${size}; expected ${below} or ${above}, or another population`,
    );
  return trials;
}
