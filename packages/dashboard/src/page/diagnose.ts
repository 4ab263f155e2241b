/** What is wrong with a network, from its layers' gradients, updates and activations: each layer beside the others and beside its past. */
import type { LayerInfo, LayerMetrics, Snapshot, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';

export type Trouble = 'diverged' | 'vanishing' | 'exploding' | 'large' | 'dead';

/** What is wrong with the network: its worst trouble. */
export interface Finding {
  readonly trouble: Trouble;
  /** Names of the layers that have it, input side first. */
  readonly layers: readonly string[];
  /** Layers that could have it. */
  readonly of: number;
  /**
   * Of the worst of them. vanishing: its gradient norm, as a part of the largest; exploding: its gradient norm; large: the part of its
   * weight norm that a step changes; dead: the part of its units that are dead; diverged: not a number.
   */
  readonly size: number;
  /** The step at which it was seen. */
  readonly step: number;
}

export interface Diagnosis {
  /** Layers without trouble are not in it. */
  readonly troubles: ReadonlyMap<string, Trouble>;
  readonly finding: Finding | undefined;
}

/** A layer whose gradient is smaller than this part of the largest one learns next to nothing. */
const VANISHING = 1e-3;
/** Times the median of what the gradient was, or times that of the layers at the output. */
const EXPLODING = 100;
/** No gradient norm below this one explodes: those that were next to nothing may well grow a thousandfold. */
const EXPLODING_NORM = 10;
/** Part of its norm by which a layer may change in one step. */
const LARGE_UPDATE = 0.1;
/** Points at the start, while everything is large, that count for nothing. */
const WARM_UP = 4;
/** Points that are taken together, so that a single one is no alarm. */
const RECENT = 9;
/** Points that what is usual is taken from, at most. */
const REMEMBERED = 1000;
/** Part of a layer's units that may output 0 for everything. */
const DEAD = 0.5;
/** Layers that output exactly 0 for much of what comes in. What only passes their zeros on is not to blame. */
const ZEROING: ReadonlySet<string> = new Set([
  ...['relu', 'gelu', 'geluTanh'],
  ...['hardSwish', 'hardSigmoid'],
]);

/** What is the cause comes before what follows from it: dead units let no gradient through. */
const WORST_FIRST = ['diverged', 'exploding', 'dead', 'vanishing', 'large'] as const satisfies Trouble[];

/** Whether a layer of that type may have dead units. */
export const mayBeDead = (type: string): boolean => ZEROING.has(type);

/** A layer over the points that count. */
interface Course {
  readonly layer: string;
  readonly first: number;
  readonly usual: number;
  readonly recent: readonly LayerMetrics[];
  readonly gradientNorm: number;
  readonly updateRatio: number;
}

/**
 * @param activations the last snapshot of them
 * @param localSteps of each point: by how much a round of many changes the weights is no sign of trouble
 */
export function diagnose(
  points: readonly StepMetrics[],
  layers: readonly LayerInfo[],
  activations?: Snapshot,
  localSteps = 1,
): Diagnosis {
  const ofRounds = localSteps > 1;
  const found = [...deadLayers(layers, activations), ...ofGradients(points)].filter(
    ({ trouble }) => !ofRounds || trouble !== 'large',
  );
  const troubles = new Map<string, Trouble>();
  for (const trouble of WORST_FIRST)
    for (const one of found)
      if (one.trouble === trouble && !troubles.has(one.layer)) troubles.set(one.layer, trouble);
  const worst = WORST_FIRST.find((trouble) => found.some((one) => one.trouble === trouble));
  const those = found.filter(({ trouble }) => trouble === worst);
  if (!worst || those.length === 0) return { troubles, finding: undefined };
  const sizes = those.map(({ size }) => size);
  const finding = {
    trouble: worst,
    layers: those.map(({ layer }) => layer),
    of:
      worst === 'dead'
        ? layers.filter(({ type }) => mayBeDead(type)).length
        : (points.at(-1)?.layers.length ?? 0),
    size: worst === 'vanishing' ? Math.min(...sizes) : Math.max(...sizes),
    step: (worst === 'dead' ? activations?.step : points.at(-1)?.step) ?? 0,
  };
  return { troubles, finding };
}

interface LayerTrouble {
  readonly layer: string;
  readonly trouble: Trouble;
  readonly size: number;
}

function deadLayers(layers: readonly LayerInfo[], activations: Snapshot | undefined): LayerTrouble[] {
  const types = new Map(layers.map(({ name, type }) => [name, type]));
  return (activations?.layers ?? []).flatMap(({ layer, deadUnits, units }) =>
    mayBeDead(types.get(layer) ?? '') && units > 1 && deadUnits > DEAD * units
      ? [{ layer, trouble: 'dead', size: deadUnits / units }]
      : [],
  );
}

function ofGradients(points: readonly StepMetrics[]): LayerTrouble[] {
  // Of deep networks not every point tells of the layers.
  const told = points.filter(({ layers }) => layers.length > 0);
  const last = told.at(-1);
  if (!last) return [];
  const odd = last.layers.filter(
    ({ gradientNorm, weightNorm }) => !Number.isFinite(gradientNorm) || !Number.isFinite(weightNorm),
  );
  if (odd.length > 0) return odd.map(({ layer }) => ({ layer, trouble: 'diverged', size: Number.NaN }));
  if (told.length <= WARM_UP) return [];
  const courses = last.layers.map((_, index) => courseOf(told, index)).filter(isTrained);
  const largest = Math.max(...courses.map(({ gradientNorm }) => gradientNorm));
  const atOutput = courses.at(-1)?.gradientNorm ?? 0;
  return courses.flatMap((course): LayerTrouble[] => {
    const { layer, gradientNorm, updateRatio, recent, usual, first } = course;
    const peak = Math.max(...recent.map((metrics) => metrics.gradientNorm));
    const grows = usual > 0 && peak > EXPLODING * usual && peak > Math.max(EXPLODING_NORM, first);
    const towardsInput = gradientNorm > Math.max(EXPLODING_NORM, (EXPLODING / VANISHING) * atOutput);
    if (grows || towardsInput) return [{ layer, trouble: 'exploding', size: peak }];
    // Where gradients explode towards the input, those at the output are small beside them.
    if (gradientNorm < VANISHING * Math.min(largest, Math.max(atOutput, EXPLODING_NORM)))
      return [{ layer, trouble: 'vanishing', size: gradientNorm / largest }];
    return updateRatio > LARGE_UPDATE ? [{ layer, trouble: 'large', size: updateRatio }] : [];
  });
}

function courseOf(points: readonly StepMetrics[], index: number): Course {
  const of = (some: readonly StepMetrics[]) => some.flatMap(({ layers }) => layers[index] ?? []);
  const norms = (some: readonly LayerMetrics[]) => some.map(({ gradientNorm }) => gradientNorm);
  const counted = of(points.slice(WARM_UP).slice(-REMEMBERED));
  const recent = counted.slice(-RECENT);
  const past = counted.slice(0, counted.length > RECENT ? -RECENT : -1);
  return {
    layer: points.at(-1)!.layers[index]!.layer,
    first: Math.max(...norms(of(points.slice(0, WARM_UP)))),
    usual: median(norms(past)),
    recent,
    gradientNorm: median(norms(recent)),
    updateRatio: median(recent.map(({ updateRatio }) => updateRatio)),
  };
}

/** A frozen layer has neither a gradient nor updates. */
const isTrained = ({ recent }: Course): boolean =>
  recent.some(({ gradientNorm, updateRatio }) => gradientNorm > 0 || updateRatio > 0);

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
