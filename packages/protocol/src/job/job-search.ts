import { testMetricsOf } from '@kasane/tensor/internal/test-metrics';
import type { Model } from '@kasane/tensor/nn/model';
import { metricKindOf, metricOf } from '@kasane/tensor/objective';
import { sizeOf as floatsOf, formatShape, sameShape } from '@kasane/tensor/shape';
import { KasaneError } from '../errors.ts';
import type { Fields } from './fields.ts';
import { checkJob, DEFAULT_SEED, type Job, jobJsonSchema } from './job.ts';
import { refusal } from './job-issues.ts';
import { checkShape } from './job-shape.ts';
import {
  canBe,
  checkCondition,
  checkHandingOn,
  checkKinds,
  checkMetrics,
  checkPaths,
  checkRange,
  type Refuse,
  trialsOf,
} from './search-checks.ts';
import { rungsOf } from './search-rungs.ts';
import {
  type Assignment,
  type Json,
  type ParameterSpec,
  type SearchSpec,
  searchSchema,
} from './search-schema.ts';
import { assign, isActive, sizeOf } from './search-space.ts';

type Locate = (path: readonly PropertyKey[]) => string;

/** A checked sweep file. */
export interface Sweep {
  readonly name: string;
  readonly search: SearchSpec;
  /** The job that trials vary, as the file has it, without defaults. By itself it need not be valid. */
  readonly base: Fields;
  /** Of a trial that is not stopped early. */
  readonly epochs: number;
}

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
    throw refusal(issues, locate, value, jobJsonSchema);
  }
  const { parameters } = result.data;
  checkPaths(result.data, (base.data ?? {}) as Fields, refuse);
  checkHandingOn(result.data, refuse);
  for (const [path, parameter] of Object.entries(parameters)) {
    checkRange(path, parameter, refuse);
    checkCondition(path, parameter, parameters, refuse);
  }
  const search = { ...result.data, trials: trialsOf(result.data, refuse) };
  const { spec, objective, model } = checkExtremes(search, base, locate, refuse);
  const metric = metricKindOf[metricOf(objective)] === 'fraction' ? 'testAccuracy' : 'testError';
  const metrics = ['testLoss', metric, ...testMetricsOf(objective.type, floatsOf(model.outputShape))];
  checkMetrics(search, metrics, `objective ${objective.type}`, refuse);
  const { epochs } = spec.training;
  if (search.halving && search.halving.minEpochs >= epochs)
    throw refuse(
      ['halving', 'minEpochs'],
      `${search.halving.minEpochs}, and training.epochs is ${epochs}; expected fewer epochs, or remove halving`,
    );
  const rungs = rungsOf(search, epochs);
  const { brackets = 1 } = search.halving ?? {};
  if (brackets > rungs.length)
    throw refuse(
      ['halving', 'brackets'],
      `${brackets}, but a first comparison can be after ${inWords(rungs)} epochs only; expected at most ${rungs.length}`,
    );
  return { name: spec.name, search, base, epochs };
}

/** 1, 3 or 9 */
const inWords = (numbers: readonly number[]): string =>
  numbers.length < 2 ? numbers.join() : `${numbers.slice(0, -1).join(', ')} or ${numbers.at(-1)}`;

/** What a trial starts from that takes the weights of an earlier one. */
export interface Start {
  /** Those weights, as job files name them. */
  readonly init: string;
  /** How often weights were handed on before, from the first of its ancestors: its samples come in another order than theirs. */
  readonly times: number;
}

/** The job of a trial, not checked: the base with the values of the assignment. @throws KasaneError JOB_INVALID */
export function jobOfTrial(base: Fields, assignment: Assignment, start?: Start): Fields {
  const job = Object.entries(assignment).reduce<Fields>(
    (job, [path, value]) => set(job, path.split('.'), value, path) as Fields,
    base,
  );
  if (!start) return job;
  const { initLayout: _, ...others } = job;
  const training = (job.training ?? {}) as { readonly seed?: number };
  const { seed = DEFAULT_SEED } = training;
  const next = seed + start.times <= Number.MAX_SAFE_INTEGER ? seed + start.times : start.times;
  return { ...others, init: start.init, training: { ...training, seed: next } };
}

/** How often weights were handed on until a trial had them. @param parentOf the number of the trial that one starts from */
export function timesHandedOn(trial: number, parentOf: (trial: number) => number | undefined): number {
  const parent = parentOf(trial);
  return parent === undefined || parent >= trial ? 0 : 1 + timesHandedOn(parent, parentOf);
}

/** Whether the weights of one model are of any use to another: of one tensor or more, name and shape fit. */
export const fitsSome = (from: Model, to: Model): boolean =>
  to.parameters.some((parameter) => from.parameters.some((other) => isSameTensor(other, parameter)));

const isSameTensor = (a: Model['parameters'][number], b: Model['parameters'][number]): boolean =>
  a.name === b.name && sameShape(a.shape, b.shape);

/** The first tensor in which two models differ, as a clause; undefined where there is none. */
function differenceOf(a: Model, b: Model): string | undefined {
  const places = Math.max(a.parameters.length, b.parameters.length);
  for (let index = 0; index < places; index++) {
    const [one, other] = [a.parameters[index], b.parameters[index]];
    if (one && other && isSameTensor(one, other)) continue;
    const text = (each: typeof one) => (each ? `${each.name} ${formatShape(each.shape)}` : 'nothing');
    return `${text(other)} instead of ${one && one.name === other?.name ? formatShape(one.shape) : text(one)}`;
  }
  return undefined;
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
  const inner = at !== undefined && Object.hasOwn(at, key) ? (at as Fields)[key] : undefined;
  return { ...at, [key]: set(inner, rest, value, path) };
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
    assign(parameters, (parameter, _, path) =>
      Object.hasOwn(forced, path) ? forced[path]! : valuesOf(parameter).at(place)!,
    );
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
function checkExtremes(
  { parameters, sampler }: SearchSpec,
  base: Fields,
  locate: Locate,
  refuse: Refuse,
): Job {
  let first: Job | undefined;
  let checked = 0;
  const seen = new Set<string>();
  for (const { assignment, of } of extremes(parameters)) {
    const key = JSON.stringify(assignment);
    if (seen.has(key)) continue;
    seen.add(key);
    if (++checked > CHECKED_JOBS) break;
    const place = placeIn(base, Object.keys(assignment), locate);
    let job: Job;
    try {
      job = checkJob(jobOfTrial(base, assignment), place);
    } catch (error) {
      if (!(error instanceof KasaneError)) throw error;
      if (!first && isAlsoOf(base, locate, error)) throw error;
      throw explained(error, assignment, of, place);
    }
    first ??= job;
    const difference = sampler === 'population' ? differenceOf(first.model, job.model) : undefined;
    if (difference !== undefined)
      throw refuse(
        ['parameters', of.at(-1)!],
        `it changes the tensors of the model (${difference}), so weights cannot be handed on whole; vary keys that do not, such as training.learningRate or the rate of a dropout layer, or use sampler evolution with inherit: true`,
      );
  }
  return first!;
}

/** Where a key is that the search sets, or that is there only because of it: in the section that says so. */
function placeIn(base: Fields, paths: readonly string[], locate: Locate): Locate {
  const inBase = (path: readonly PropertyKey[]) => {
    const found = path.reduce<unknown>(
      (at, key) =>
        typeof at === 'object' && at !== null && Object.hasOwn(at, key)
          ? (at as Fields)[String(key)]
          : undefined,
      base,
    );
    return found !== undefined;
  };
  return (path) => {
    const written = path.join('.');
    const setBy = paths.find(
      (each) =>
        written === each ||
        written.startsWith(`${each}.`) ||
        (path.length > 0 && each.startsWith(`${written}.`) && !inBase(path)),
    );
    return locate(setBy === undefined ? path : ['search', 'parameters', setBy]);
  };
}

/** Whether the job itself has a fault, before anything is set. */
function isAlsoOf(base: Fields, locate: Locate, { message }: KasaneError): boolean {
  try {
    checkJob(base, locate);
    return false;
  } catch (error) {
    return error instanceof KasaneError && error.message === message;
  }
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
  const hint = conditionFor(message, Object.keys(assignment));
  return new KasaneError(
    'JOB_INVALID',
    `${where}${message}${hint} (in the trial with ${values.join(', ')}${more})`,
    { cause: error },
  );
}

/** Options of one optimizer are unknown keys of another. */
function conditionFor(message: string, paths: readonly string[]): string {
  const unknown = paths.find((path) => message.includes(`: ${path}: unknown key`));
  if (unknown === undefined) return '';
  const around = unknown.slice(0, unknown.lastIndexOf('.') + 1);
  const sibling = paths.find((path) => path === `${around}type` || path === `${around}format`);
  return sibling === undefined || sibling === unknown
    ? ''
    : `; if only one ${sibling} has this key, add when: { ${sibling}: ... }`;
}
