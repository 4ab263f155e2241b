/**
 * The density of assignments that trials had (Bergstra et al., "Algorithms for hyper-parameter optimization", 2011), all parameters
 * together (Falkner et al., "BOHB", 2018): a kernel around each trial, and one that knows nothing. A kernel is a product over the
 * parameters that an assignment has: a truncated normal distribution around the trial's number, or the trial's choice with most of
 * the weight; where the trial lacks a parameter, because of a condition, every value is as likely.
 */
import type { Assignment, Json, ParameterSpec } from '@kasane/protocol/internal/job/search-schema';
import {
  assign,
  isSame,
  type Parameters,
  placeOf,
  valueAt,
} from '@kasane/protocol/internal/job/search-space';
import { exponentialOf } from '@kasane/tensor/internal/optim/exact';
import { type Place, unitAndNormal } from './draws.ts';

export interface Density {
  readonly of: (assignment: Assignment) => number;
  readonly sample: (place: Omit<Place, 'parameter' | 'purpose'>) => Assignment;
}

interface Bell {
  readonly mean: number;
  readonly width: number;
  /** What its density in [0, 1] is divided by. */
  readonly mass: number;
}
/** Of a choice by its index: how much likelier it is than each other one. */
interface Peak {
  readonly choice: number;
  readonly other: number;
}
type Kernel = Readonly<Record<string, Bell | Peak>>;

const ROOT_OF_TAU = 2.5066282746310002;
const bell = (square: number): number => (square > 1000 ? 0 : exponentialOf(-square / 2));

/** Of the normal distribution, to 1e-7 (Abramowitz and Stegun 1964, 26.2.17). */
export function cumulative(x: number): number {
  if (x < 0) return 1 - cumulative(-x);
  const t = 1 / (1 + 0.2316419 * x);
  const terms = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  return 1 - (bell(x * x) / ROOT_OF_TAU) * terms.reduceRight((sum, term) => t * (term + sum), 0);
}

/** Each is as wide as the way to the farther of its neighbors, within limits that depend on how many there are. */
function bellsOf(places: readonly number[], kernels: number): readonly Bell[] {
  const narrowest = 1 / Math.min(100, kernels + 1);
  const sorted = [...places].sort((a, b) => a - b);
  return places.map((mean) => {
    const index = sorted.indexOf(mean);
    // With one alone, the ends of the range are its neighbors.
    const [below, above] = [sorted[index - 1], sorted[sorted.lastIndexOf(mean) + 1]];
    const isAlone = below === undefined && above === undefined;
    const ways = isAlone ? [mean, 1 - mean] : [mean - (below ?? mean), (above ?? mean) - mean];
    const width = Math.min(1, Math.max(narrowest, ...ways));
    const inside = cumulative((1 - mean) / width) - cumulative(-mean / width);
    return { mean, width, mass: ROOT_OF_TAU * width * inside };
  });
}

const indexOf = (choices: readonly Json[], value: Json) => choices.findIndex((each) => isSame(each, value));

/** Of a parameter, one for each of the assignments that have it, which are `kernels` with the one that knows nothing. */
function partsOf(
  parameter: ParameterSpec,
  values: readonly Json[],
  kernels: number,
): readonly (Bell | Peak)[] {
  if ('choices' in parameter)
    return values.map((value) => ({ choice: indexOf(parameter.choices, value), other: 1 / kernels }));
  return bellsOf(
    values.map((value) => placeOf(parameter, Number(value))),
    kernels,
  );
}

/** A parameter of an assignment: an index of its choices, or a place in [0, 1]. */
type At = readonly [path: string, parameter: ParameterSpec, place: number];

function atsOf(parameters: Parameters, assignment: Assignment): readonly At[] {
  return Object.entries(assignment).map(([path, value]) => {
    const parameter = parameters[path]!;
    const isChoice = 'choices' in parameter;
    return [
      path,
      parameter,
      isChoice ? indexOf(parameter.choices, value) : placeOf(parameter, Number(value)),
    ];
  });
}

/** The product of bells is one exponential. */
function densityIn(kernel: Kernel, ats: readonly At[]): number {
  let [factor, squares] = [1, 0];
  for (const [path, parameter, place] of ats) {
    const part = kernel[path];
    const count = 'choices' in parameter ? parameter.choices.length : 1;
    if (part === undefined) factor /= count;
    else if ('mean' in part) {
      const away = (place - part.mean) / part.width;
      squares += away * away;
      factor /= part.mass;
    } else factor *= ((place === part.choice ? 1 : 0) + part.other) / (1 + count * part.other);
  }
  return factor * bell(squares);
}

function sampleFrom(part: Bell | Peak | undefined, parameter: ParameterSpec, place: Place): Json {
  const [unit] = unitAndNormal(place);
  if (part === undefined) return valueAt(parameter, unit);
  if ('choices' in parameter) {
    const { choices } = parameter;
    const { choice, other } = part as Peak;
    const all = choices.length * other;
    // The others' weight is spread over all, and this one's comes first.
    const at = unit * (1 + all) - 1;
    return choices[at < 0 ? choice : Math.min(choices.length - 1, Math.floor(at / other))]!;
  }
  const { mean, width } = part as Bell;
  // Means lie inside, so at least a third of the draws does.
  for (let n = 0; ; n++) {
    const [, normal] = unitAndNormal({ ...place, n: (place.n ?? 0) + (n << 16) });
    const value = mean + width * normal;
    if (value >= 0 && value <= 1) return valueAt(parameter, value);
  }
}

export function densityOf(parameters: Parameters, assignments: readonly Assignment[]): Density {
  const count = assignments.length + 1;
  /** The last one knows nothing. */
  const kernels: Record<string, Bell | Peak>[] = Array.from({ length: count }, () => ({}));
  for (const [path, parameter] of Object.entries(parameters)) {
    const having = [...assignments.keys()].filter((index) => Object.hasOwn(assignments[index]!, path));
    const values = having.map((index) => assignments[index]![path]!);
    const parts = partsOf(parameter, values, count);
    for (const [at, index] of having.entries()) kernels[index]![path] = parts[at]!;
  }
  return {
    of: (assignment) => {
      const ats = atsOf(parameters, assignment);
      return kernels.reduce((sum, kernel) => sum + densityIn(kernel, ats), 0) / count;
    },
    sample: (place) => {
      const [any] = unitAndNormal({ ...place, parameter: 0, purpose: 'candidate' });
      const kernel = kernels[Math.floor(any * count)]!;
      return assign(parameters, (parameter, index, path) =>
        sampleFrom(kernel[path], parameter, { ...place, parameter: index + 1, purpose: 'candidate' }),
      );
    },
  };
}
