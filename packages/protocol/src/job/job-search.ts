/**
 * Sweep files: a job file with a `search` section. Splits one into the two, makes the job of a trial, and checks before anything
 * runs that the search can be done and that its extreme values make valid jobs.
 */
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { metricKindOf, metricOf } from '@kasane/tensor/objective';
import { KasaneError } from '../errors.ts';
import { checkJob, type Job, refusal } from './job.ts';
import { checkShape } from './job-shape.ts';
import {
  type Assignment,
  DEFAULT_TRIALS,
  type Json,
  type ParameterSpec,
  parameterSchemas,
  type SearchSpec,
  SWEEP_PARAMETERS,
  SWEEP_TRIALS,
  searchSchema,
} from './search-schema.ts';
import { assign, gridPoints, isActive, isSame, kindOf, sizeOf } from './search-space.ts';

type Locate = (path: readonly PropertyKey[]) => string;
/** A file's content, not checked. */
type Fields = Readonly<Record<string, unknown>>;

/** A checked sweep file. */
export interface Sweep {
  readonly name: string;
  readonly search: SearchSpec;
  /** The job that trials vary, as the file has it, without defaults. By itself it need not be valid. */
  readonly base: Fields;
  /** Of a trial that is not stopped early. */
  readonly epochs: number;
}

/** Of Joe and Kuo's direction numbers, as many as we have. */
export const SOBOL_DIMENSIONS = 21;
/** Jobs that are checked when a sweep is submitted: models take a while to build. */
const CHECKED_JOBS = 100;

/** Whether a file's content describes a sweep. */
export const isSweep = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, 'search');

/**
 * Checks a sweep that is an object already.
 * @param locate names the place of a path in messages
 * @throws KasaneError JOB_INVALID with place, path and what would be right
 */
export function checkSweep(value: unknown, locate: Locate = () => 'sweep'): Sweep {
  checkShape(value, locate);
  if (!isSweep(value))
    throw new KasaneError(
      'JOB_INVALID',
      `${locate([])}: search is missing; a sweep is a job file with \`search: { parameters: { training.learningRate: { log: [0.0001, 0.1] } } }\``,
    );
  const { search: given, ...base } = value as Fields;
  const refuse: Refuse = (path, why) =>
    new KasaneError(
      'JOB_INVALID',
      `${locate(['search', ...path])}: ${['search', ...path].join('.')}: ${why}`,
    );
  checkKinds(given, refuse);
  const result = searchSchema.safeParse(given);
  if (!result.success) {
    const issues = result.error.issues.map((issue) => ({ ...issue, path: ['search', ...issue.path] }));
    throw refusal(issues, locate, value);
  }
  const { parameters } = result.data;
  checkPaths(parameters, refuse);
  for (const [path, parameter] of Object.entries(parameters)) {
    checkRange(path, parameter, refuse);
    checkCondition(path, parameter, parameters, refuse);
  }
  const search = { ...result.data, trials: trialsOf(result.data, refuse) };
  const { spec, objective } = checkExtremes(search, base, locate);
  const metric = metricKindOf[metricOf[objective.type]] === 'fraction' ? 'testAccuracy' : 'testError';
  if (search.metric !== 'testLoss' && search.metric !== metric)
    throw refuse(
      ['metric'],
      `a job with objective ${objective.type} has no ${search.metric}; expected testLoss or ${metric}`,
    );
  const { epochs } = spec.training;
  if (search.halving && search.halving.minEpochs >= epochs)
    throw refuse(
      ['halving', 'minEpochs'],
      `${search.halving.minEpochs}, and training.epochs is ${epochs}; expected fewer epochs, or remove halving`,
    );
  return { name: spec.name, search, base, epochs };
}

/** The job of a trial, not checked: the base with the values of the assignment. @throws KasaneError JOB_INVALID */
export function jobOfTrial(base: Fields, assignment: Assignment): Fields {
  return Object.entries(assignment).reduce<Fields>(
    (job, [path, value]) => set(job, path.split('.'), value, path) as Fields,
    base,
  );
}

/** A copy of `at` with a value at a path below it. Objects on the way are created, lists are not extended. */
function set(at: unknown, [key, ...rest]: readonly string[], value: Json, path: string): unknown {
  if (key === undefined) return value;
  const refuse = (why: string) => new KasaneError('JOB_INVALID', `${path}: ${why}`);
  const names = path.split('.');
  const around = names.slice(0, names.length - rest.length - 1).join('.') || 'the file';
  if (Array.isArray(at)) {
    const index = /^\d+$/.test(key) ? Number(key) : -1;
    if (index < 0 || index >= at.length)
      throw refuse(
        `${around} is a list of ${at.length}; expected a number from 0 to ${at.length - 1} instead of '${key}'`,
      );
    return at.map((each, place) => (place === index ? set(each, rest, value, path) : each));
  }
  if (at !== undefined && (typeof at !== 'object' || at === null))
    throw refuse(`${around} is ${JSON.stringify(at)}, which has no keys`);
  if (/^\d+$/.test(key)) throw refuse(`${around} is not a list in this file, so it has no item ${key}`);
  return { ...at, [key]: set((at as Fields | undefined)?.[key], rest, value, path) };
}

type Refuse = (path: readonly string[], why: string) => KasaneError;
const KINDS = Object.keys(parameterSchemas);

/** The schema of parameters is a union, whose messages would be about any of its forms. */
function checkKinds(search: unknown, refuse: Refuse): void {
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

function checkPaths(parameters: SearchSpec['parameters'], refuse: Refuse): void {
  const paths = Object.keys(parameters);
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
    const inside = paths.slice(0, index).find((above) => isWithin(above, path));
    if (inside !== undefined)
      throw refuse(place, `it would replace ${inside}, which is set before; move it above that`);
  }
}

function checkRange(path: string, parameter: ParameterSpec, refuse: Refuse): void {
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

function checkCondition(
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
function canBe(parameter: ParameterSpec, value: Json): boolean {
  if ('choices' in parameter) return parameter.choices.some((one) => isSame(one, value));
  if (typeof value !== 'number') return false;
  if (!('integers' in parameter)) return false;
  const { integers, step } = parameter;
  const index = (value - integers[0]) / step;
  return Number.isInteger(index) && value >= integers[0] && value <= integers[1];
}

type Given = Omit<SearchSpec, 'trials'> & { readonly trials?: number | undefined };

/** How many trials there are, if the sampler can give as many. */
function trialsOf({ sampler, trials, parameters }: Given, refuse: Refuse): number {
  const entries = Object.entries(parameters);
  if (sampler === 'sobol' && entries.length > SOBOL_DIMENSIONS)
    throw refuse(
      ['sampler'],
      `sobol takes at most ${SOBOL_DIMENSIONS} parameters, and there are ${entries.length}; use random or tpe`,
    );
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

interface Extreme {
  readonly assignment: Assignment;
  /** What it differs in from the first; empty for the first. */
  readonly of: readonly string[];
}

/** The first value of everything, then each other extreme value alone, then all of the last. */
function* extremes(parameters: SearchSpec['parameters']): Generator<Extreme> {
  const valuesOf = (parameter: ParameterSpec): readonly Json[] => {
    if ('choices' in parameter) return parameter.choices;
    if ('integers' in parameter) {
      const { integers, step } = parameter;
      return [integers[0], integers[0] + (sizeOf(parameter) - 1) * step];
    }
    return 'uniform' in parameter ? parameter.uniform : parameter.log;
  };
  const with_ = (forced: Assignment, place: 0 | -1 = 0) =>
    assign(parameters, (parameter, _, path) => forced[path] ?? valuesOf(parameter).at(place)!);
  /** What must be so for a parameter to be set. */
  const needs = (path: string): Assignment => {
    const forced: Record<string, Json> = {};
    for (const [on, wanted] of Object.entries(parameters[path]!.when ?? {})) {
      const value = Array.isArray(wanted) && !canBe(parameters[on]!, wanted) ? (wanted[0] as Json) : wanted;
      Object.assign(forced, needs(on), { [on]: value });
    }
    return forced;
  };
  yield { assignment: with_({}), of: [] };
  for (const [path, parameter] of Object.entries(parameters)) {
    const forced = needs(path);
    for (const value of valuesOf(parameter)) {
      const assignment = with_({ ...forced, [path]: value });
      if (isActive(parameter, assignment)) yield { assignment, of: [...Object.keys(forced), path] };
    }
  }
  yield { assignment: with_({}, -1), of: Object.keys(parameters) };
}

/** @returns the first job, for what all have in common */
function checkExtremes({ parameters }: SearchSpec, base: Fields, locate: Locate): Job {
  let first: Job | undefined;
  let checked = 0;
  const seen = new Set<string>();
  for (const { assignment, of } of extremes(parameters)) {
    const key = JSON.stringify(assignment);
    if (seen.has(key)) continue;
    seen.add(key);
    if (++checked > CHECKED_JOBS) break;
    const paths = Object.keys(assignment);
    /** A key that the search sets is in the section that says so. */
    const place: Locate = (path) => {
      const written = path.join('.');
      const setBy = paths.find((each) => written === each || written.startsWith(`${each}.`));
      return locate(setBy === undefined ? path : ['search', 'parameters', setBy]);
    };
    try {
      const job = checkJob(jobOfTrial(base, assignment), place);
      first ??= job;
    } catch (error) {
      if (!(error instanceof KasaneError)) throw error;
      throw explained(error, assignment, of, place);
    }
  }
  return first!;
}

function explained(
  error: KasaneError,
  assignment: Assignment,
  of: readonly string[],
  place: Locate,
): KasaneError {
  const { message } = error;
  const paths = of.filter((path) => Object.hasOwn(assignment, path));
  const named = paths.length > 0 ? paths : Object.keys(assignment);
  const values = named.slice(0, 4).map((path) => `${path}: ${JSON.stringify(assignment[path]).slice(0, 60)}`);
  const more = named.length > 4 ? ', ...' : '';
  const path = named.find((each) => message.startsWith(`${each}: `));
  const where = path === undefined ? '' : `${place(path.split('.'))}: `;
  return new KasaneError(
    'JOB_INVALID',
    `${where}${message} (in the trial with ${values.join(', ')}${more})`,
    {
      cause: error,
    },
  );
}
