/** How workers exchange what they have learned: the gradients of each step, or after several local steps what these changed. */
import { powerOf } from '@kasane/tensor/internal/optim/exact';
import { type OptimizerOptions, optimizerFor } from '@kasane/tensor/internal/optim/optimizers';
import { precisions, type Rounding } from '@kasane/tensor/internal/optim/rounding';
import type { Model, ParameterSpec } from '@kasane/tensor/nn/model';
import type { Schedule } from '@kasane/tensor/optim/schedules';
import * as z from '../gen/zod.js';
import type { Job, JobSpec, TrainingSpec } from './job.ts';

const outerSchema = z.strictObject({
  learningRate: z
    .number()
    .min(1e-6)
    .max(10)
    .default(0.8)
    .describe('Fraction of the average change that is applied to the weights.'),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .default(0.5)
    .describe('Nesterov momentum of the changes. With 0 and learningRate 1, the replicas are averaged.'),
});

export const exchangeSchema = z.strictObject({
  precision: z
    .enum(precisions)
    .default('f32')
    .describe(
      'Precision of gradients and updates on the network. bf16: half the bytes of f32; int8: about a quarter. It affects the result, and may cost a little accuracy; the number of workers and the route of the gradients do not affect the result.',
    ),
  every: z
    .int()
    .positive()
    .max(100_000)
    .default(1)
    .describe(
      'Steps that each replica trains on its own before the changes are averaged (local steps). 1: workers exchange the gradients of every step.',
    ),
  replicas: z
    .int()
    .positive()
    .max(1024)
    .optional()
    .describe(
      'Number of copies of the model that train side by side, each on its part of every batch. It affects the result; the number of workers does not. Takes the place of training.shards, which is the default.',
    ),
  optimizerState: z
    .enum(['average', 'reset'])
    .default('average')
    .describe(
      "What happens to the state of the replicas' optimizers if every is above 1. average: it is averaged and kept; a round sends more bytes (twice as many with momentum, three times with Adam). reset: each round starts with a state of zero.",
    ),
  outer: outerSchema
    .optional()
    .describe(
      'The optimizer that applies the average change if every is above 1 (DiLoCo, Douillard et al. 2023). Default: learningRate 0.8, momentum 0.5.',
    ),
});

export type ExchangeSpec = z.infer<typeof exchangeSchema>;

/** What the parameter server updates the weights by. */
export interface ServerUpdate {
  readonly optimizer: OptimizerOptions;
  /** With its peak. */
  readonly schedule: Schedule;
  readonly clipNorm: number | undefined;
  /** Decay of the moving average of the weights, by update; undefined: the job keeps none. */
  readonly averageDecay: number | undefined;
}

/** What replicas update themselves by, and what synchronous jobs are updated by. */
export const scheduleOf = ({ schedule, learningRate }: TrainingSpec): Schedule => ({
  ...schedule,
  learningRate,
});

/** With local steps, a step of the server is a round: it takes the average change of the replicas as a gradient. */
export function serverUpdateOf({ training, exchange }: Pick<JobSpec, 'training' | 'exchange'>): ServerUpdate {
  const { optimizer, clipNorm, ema } = training;
  const averageDecay = ema && powerOf(ema.decay, exchange.every);
  if (exchange.every === 1) return { optimizer, schedule: scheduleOf(training), clipNorm, averageDecay };
  const { learningRate, momentum } = exchange.outer ?? outerSchema.parse({});
  return {
    optimizer: { type: 'sgd', momentum, nesterov: momentum > 0 },
    schedule: { type: 'constant', learningRate },
    clipNorm: undefined,
    averageDecay,
  };
}

/**
 * What parameter server and replicas exchange, in a flat layout: the model's parameters and, behind them, what the replicas' optimizers keep
 * of each that is trained. That is averaged: a statistic that goes all of its way.
 * @param optimizer of the replicas; undefined: what it keeps is not exchanged
 */
export function exchangedParameters(
  { parameters, parameterCount, trainedCount }: Pick<Model, 'parameters' | 'parameterCount' | 'trainedCount'>,
  optimizer: OptimizerOptions | undefined,
): readonly ParameterSpec[] {
  const kept = optimizer ? optimizerFor(optimizer).state : [];
  const states = kept.map((name, index): ParameterSpec => {
    const offset = parameterCount + index * trainedCount;
    const rest = { initializer: { kind: 'zeros' }, statistic: { rate: 1 } } as const;
    // No layer has such a name.
    return { name: `replica/${name}`, layer: '', shape: [trainedCount], offset, size: trainedCount, ...rest };
  });
  return [...parameters, ...states];
}

/** The same of a job. */
export function exchangedOf({ model, spec }: Pick<Job, 'model' | 'spec'>): readonly ParameterSpec[] {
  const { every, optimizerState } = spec.exchange;
  const isKept = every > 1 && optimizerState === 'average';
  return exchangedParameters(model, isKept ? spec.training.optimizer : undefined);
}

/** Length of their flat layout. */
export const floatsOf = (parameters: readonly ParameterSpec[]): number =>
  parameters.reduce((sum, { size }) => sum + size, 0);

/** To what gradients and updates are rounded; undefined: they are not. */
export function roundingOf({
  training,
  exchange,
}: Pick<JobSpec, 'training' | 'exchange'>): Rounding | undefined {
  const { precision } = exchange;
  return precision === 'f32' ? undefined : { precision, seed: training.seed };
}
