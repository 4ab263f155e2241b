/** The `search` section of a sweep file: which keys of the job vary, how values are picked, and what the best trial is. */
import { testMetricForms, testMetricNames } from '@kasane/tensor/internal/test-metrics';
import * as z from '../gen/zod.js';

/** A value of a job file. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** What one trial sets: path of the job file to value. Keys whose condition does not hold are absent. */
export type Assignment = Readonly<Record<string, Json>>;

/** Trials of one sweep. Also the points of a grid. */
export const SWEEP_TRIALS = 10_000;
export const SWEEP_PARAMETERS = 64;
const CHOICES = 100;
const AT_ONCE = 64;
const BRACKETS = 16;
const POPULATION = 1000;
/** Metrics of one sweep: with more, nearly every trial is better in one of them than all others. */
const OBJECTIVES = 4;
export const DEFAULT_TRIALS = 30;
export const DEFAULT_POPULATION = 6;

const json = z.unknown() as z.ZodType<Json>;
const range = z.tuple([z.number(), z.number()]);

const when = z
  .record(z.string(), json)
  .optional()
  .describe(
    'Parameters above this one, each with the value that it must have, or a list of them, for this one to be set. Otherwise the key stays as the file has it.',
  );
const points = z
  .int()
  .min(2)
  .max(SWEEP_TRIALS)
  .optional()
  .describe('For sampler grid: number of values, evenly spaced over the range.');

export const parameterSchemas = {
  uniform: z
    .strictObject({
      uniform: range.describe('Smallest and largest value: any number between them, each as likely.'),
      points,
      when,
    })
    .describe('A number from a range.'),
  log: z
    .strictObject({
      log: range.describe('Smallest and largest value, above 0: each order of magnitude is as likely.'),
      points,
      when,
    })
    .describe('A number from a range, on a logarithmic scale.'),
  integers: z
    .strictObject({
      integers: z.tuple([z.int(), z.int()]).describe('Smallest and largest value, both included.'),
      step: z
        .int()
        .positive()
        .default(1)
        .describe('With integers: difference between two neighboring values.'),
      log: z
        .boolean()
        .default(false)
        .describe('With integers: whether each order of magnitude is as likely.'),
      when,
    })
    .describe('A whole number from a range.'),
  choices: z
    .strictObject({
      choices: z
        .array(json)
        .min(1)
        .max(CHOICES)
        .describe('The values: numbers, names, or whole sections of a job file, such as lists of layers.'),
      when,
    })
    .describe('One of several values, without an order.'),
};
export type ParameterKind = keyof typeof parameterSchemas;

const parameterSchema = z.union([
  parameterSchemas.integers,
  parameterSchemas.uniform,
  parameterSchemas.log,
  parameterSchemas.choices,
]);
export type ParameterSpec = z.infer<typeof parameterSchema>;

/** What a model costs, known before it trains. */
export const costNames = ['parameters', 'flops'] as const;
const testNames = ['testLoss', 'testAccuracy', 'testError', ...testMetricNames] as const;

export const searchSchema = z
  .strictObject({
    metric: z
      .union([
        z.enum(testNames),
        z
          .array(z.enum([...testNames, ...costNames]))
          .min(1)
          .max(OBJECTIVES),
      ])
      .default('testLoss')
      .describe(
        'What the best trial is best in, on the test data: the lowest testLoss, the highest testAccuracy, or (of objective regression) the lowest testError; or another metric that the objective has, see training.stopEarly.on: the lowest rmse or perplexity, the highest of the others. A list of several, such as [testAccuracy, parameters], ends with a Pareto front: the trials that no other is better than in all of them. After the first, it may have parameters and flops (of one sample), which are to be low.',
      ),
    sampler: z
      .enum(['grid', 'random', 'sobol', 'tpe', 'evolution', 'population'])
      .default('random')
      .describe(
        'How values are picked. grid: every combination. random: independently. sobol: evenly spread (quasi-random). tpe: near those of good trials (Bergstra 2011). evolution: good trials with one value changed (Real 2018). population: generations of trials that go on from the weights of the one before, the worst from those of the best, with changed values (population based training, Jaderberg 2017).',
      ),
    population: z
      .int()
      .min(2)
      .max(POPULATION)
      .optional()
      .describe(
        `For sampler population: trials of a generation. Each trains for training.epochs. Default: ${DEFAULT_POPULATION}.`,
      ),
    inherit: z
      .boolean()
      .optional()
      .describe(
        'For sampler evolution: whether a trial starts from the weights of the one that it was made from, where names and shapes fit. Default: no. Sampler population always does so.',
      ),
    trials: z
      .int()
      .positive()
      .max(SWEEP_TRIALS)
      .optional()
      .describe(`Number of trials. Default: ${DEFAULT_TRIALS}; of a grid, all of its points.`),
    atOnce: z
      .int()
      .positive()
      .max(AT_ONCE)
      .default(2)
      .describe(
        'Trials that run at the same time. With sampler tpe or evolution, or with halving, it affects which trials there are; the number of workers does not.',
      ),
    seed: z
      .int()
      .min(0)
      .max(Number.MAX_SAFE_INTEGER)
      .default(1)
      .describe("Seed of the values. The seed of each trial's training is training.seed."),
    order: z
      .enum(['decided', 'arrival'])
      .default('decided')
      .describe(
        'decided: the same trials and the same winner for any workers; the next trial may wait for one that is slow. arrival: it never waits, and the result depends on which trial was faster.',
      ),
    halving: z
      .strictObject({
        eta: z
          .int()
          .min(2)
          .max(16)
          .default(3)
          .describe('One in this many trials is trained further, this many times as long.'),
        minEpochs: z
          .int()
          .positive()
          .default(1)
          .describe('Epochs after which trials are compared for the first time.'),
        brackets: z
          .int()
          .positive()
          .max(BRACKETS)
          .optional()
          .describe(
            'Groups of trials that are compared among themselves: the first after minEpochs, the next for the first time after eta times as many, and so on (Hyperband). For metrics of which the first epochs say little. Default: 1.',
          ),
      })
      .optional()
      .describe(
        'Stops trials early: only the best of those that were trained as long go on (asynchronous successive halving, ASHA). Default: all trials are trained to the end.',
      ),
    keepCheckpoints: z
      .boolean()
      .optional()
      .describe(
        'Whether all trials keep their checkpoints when the sweep ends, so that they can be resumed. Default: only the best one does.',
      ),
    parameters: z
      .record(z.string(), parameterSchema)
      .describe(
        'What to vary: a path of the job file, such as training.learningRate or model.layers.0.units, with a range or choices.',
      ),
  })
  .describe('What to vary and how to search: a job file that has it is run by `kasane sweep`.');

/** The checked section. `trials` is filled in: it depends on the sampler. */
export type SearchSpec = z.infer<typeof searchSchema> & { readonly trials: number };

const isHigherBetter = (metric: string): boolean => {
  const further = testMetricNames.find((name) => name === metric);
  return further ? testMetricForms[further].better === 'higher' : metric === 'testAccuracy';
};

/** Whether trials start from weights of earlier ones. */
export const handsOn = ({ sampler, inherit }: Pick<SearchSpec, 'sampler' | 'inherit'>): boolean =>
  sampler === 'population' || inherit === true;

/** Something that trials are compared by. */
export interface Objective {
  readonly metric: (typeof testNames)[number] | (typeof costNames)[number];
  readonly minimize: boolean;
}

/** What trials are compared by: one metric, or several, of which the first is one of the test. */
export const objectivesOf = ({ metric }: Pick<SearchSpec, 'metric'>): readonly Objective[] =>
  (typeof metric === 'string' ? [metric] : metric).map((each) => ({
    metric: each,
    minimize: !isHigherBetter(each),
  }));

/** Whether trials are compared by several metrics, so that the best ones form a Pareto front. */
export const isMultiObjective = (search: Pick<SearchSpec, 'metric'>): boolean =>
  objectivesOf(search).length > 1;
