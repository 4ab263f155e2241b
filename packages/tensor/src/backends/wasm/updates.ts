/** What one update computes: a loop for each range of neighbouring parameters that are updated alike. */
import type { ParameterSpec } from '../../nn/model.ts';
import { type OptimizerOptions, optimizerFor } from '../../optim/optimizers.ts';
import { add, constant, type Expression, input, mul, scalar, sub } from '../../scalar/expression.ts';
import { simplify } from '../../scalar/simplify.ts';
import { substitute } from '../../scalar/substitute.ts';
import type { Addresses, Loop } from './updater-loops.ts';

/** Neighbouring floats that are updated alike. */
export interface Update {
  readonly offset: number;
  readonly size: number;
  readonly loop: Loop;
  /** Arguments of the loop. */
  readonly values: (factor: number, step: number, learningRate: number) => readonly number[];
}

/** Updates of what is trained. Averages, where `average` is their decay, are the last state. */
export function updatesOfTrained(
  parameters: readonly ParameterSpec[],
  options: OptimizerOptions,
  average: number | undefined,
  at: Addresses,
): readonly Update[] {
  return rangesOfUpdates(parameters, options).map(({ offset, size, decays }) => {
    const { update, scalars: scalarsOf } = optimizerFor(decays ? options : { ...options, weightDecay: 0 });
    const follow = average === undefined ? [] : [averaged(input(1 + at.state.length), update.parameter)];
    const updated = [update.parameter, ...update.state, ...follow].map(scaled).map(simplify);
    const scalars = ['factor', ...Object.keys(scalarsOf(0, 1)), ...follow.map(() => 'averageRate')];
    const loop: Loop = {
      ...{ key: `update ${decays}`, expressions: [scaledGradient, ...updated], scalars },
      inputs: [at.parameters, at.gradient, ...at.state],
      outputs: [at.gradient, at.parameters, ...at.state],
    };
    const values = (factor: number, step: number, learningRate: number) => {
      const known: Readonly<Record<string, number>> = {
        ...{ factor, ...scalarsOf(step, learningRate) },
        averageRate: averageRate(average ?? 0, step),
      };
      return scalars.map((name) => known[name]!);
    };
    return { offset, size, loop, values };
  });
}

/** How averages, the last state, follow what is trained where it is updated before. */
export function averagesOfTrained(
  parameters: readonly ParameterSpec[],
  options: OptimizerOptions,
  average: number,
  at: Addresses,
): readonly Update[] {
  const loop: Loop = {
    ...{ key: 'average', expressions: [averaged(input(1), input(0))], scalars: ['averageRate'] },
    ...{ inputs: [at.parameters, at.state.at(-1)!], outputs: [at.state.at(-1)!] },
  };
  const values = (_: number, step: number) => [averageRate(average, step)];
  return rangesOfUpdates(parameters, options).map(({ offset, size }) => ({ offset, size, loop, values }));
}

/** Updates of statistics, which go their part of the way to what the gradient holds of them. */
export function updatesOfStatistics(
  parameters: readonly ParameterSpec[],
  average: number | undefined,
  at: Addresses,
): readonly Update[] {
  const kept = average === undefined ? [] : [at.state.at(-1)!];
  return rangesOfStatistics(parameters).map(({ rate, offset, size }) => {
    const towards = add(input(0), mul(constant(rate), sub(input(1), input(0))));
    const loop: Loop = {
      key: `statistic ${rate}`,
      expressions: [scaledGradient, ...[towards, ...kept.map(() => averaged(input(2), towards))].map(scaled)],
      inputs: [at.parameters, at.gradient, ...kept],
      outputs: [at.gradient, at.parameters, ...kept],
      scalars: ['factor', ...kept.map(() => 'averageRate')],
    };
    const values = (factor: number, step: number) => [
      factor,
      ...kept.map(() => averageRate(average ?? 0, step)),
    ];
    return { offset, size, loop, values };
  });
}

/** What an update goes by: the gradient times a factor. */
const scaledGradient = mul(input(1), scalar('factor'));
/** An expression of the gradient, input 1, as one of that. No update has more inputs than are named here. */
const scaled = (expression: Expression) =>
  substitute(expression, [input(0), scaledGradient, input(2), input(3), input(4), input(5)]);

/** The part of the way that averages go towards the parameters. */
const averaged = (average: Expression, parameter: Expression) =>
  add(average, mul(scalar('averageRate'), sub(parameter, average)));

/**
 * 1 - decay, but more in the first updates, where averages would else be mostly of what training started from:
 * the decay of update t is at most (1 + t) / (10 + t), as in TensorFlow's ExponentialMovingAverage.
 */
const averageRate = (decay: number, step: number) => 1 - Math.min(decay, (1 + step) / (10 + step));

/** Ranges of what is trained, without what is frozen. Biases and norms are the parameters with one axis. */
function rangesOfUpdates(
  parameters: readonly ParameterSpec[],
  { weightDecay = 0, decayBiasAndNorm = true }: OptimizerOptions,
): { readonly offset: number; size: number; readonly decays: boolean }[] {
  const ranges: { offset: number; size: number; decays: boolean }[] = [];
  for (const { offset, size, shape, statistic, frozen } of parameters) {
    if (statistic || frozen) continue;
    const decays = weightDecay === 0 || decayBiasAndNorm || shape.length > 1;
    const last = ranges.at(-1);
    if (last?.decays === decays && last.offset + last.size === offset) last.size += size;
    else ranges.push({ offset, size, decays });
  }
  return ranges;
}

function rangesOfStatistics(
  parameters: readonly ParameterSpec[],
): { readonly rate: number; readonly offset: number; size: number }[] {
  const ranges: { rate: number; offset: number; size: number }[] = [];
  for (const { offset, size, statistic } of parameters) {
    const last = ranges.at(-1);
    if (!statistic) continue;
    if (last?.rate === statistic.rate && last.offset + last.size === offset) last.size += size;
    else ranges.push({ rate: statistic.rate, offset, size });
  }
  return ranges;
}
