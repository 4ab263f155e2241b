/**
 * The job file: what a user submits. One zod schema checks it, gives its defaults and its types, and makes the JSON
 * Schema that editors use. A job file is data: nothing in it is ever executed.
 */

import { requireTrainable } from '@kasane/tensor/internal/nn/nothing-to-train';
import { testMetricNames, testMetricsOf } from '@kasane/tensor/internal/test-metrics';
import { describePreset, objectiveOfPreset, PresetError } from '@kasane/tensor/models/presets';
import { buildModel, type Model, type ModelDescription, ModelError } from '@kasane/tensor/nn/model';
import { checkObjective, classification, type Objective, ObjectiveError } from '@kasane/tensor/objective';
import { sizeOf } from '@kasane/tensor/shape';
import { KasaneError, messageOf } from '../errors.ts';
import * as z from '../gen/zod.js';
import { fitChannels } from './job-channels.ts';
import { dataSchema } from './job-data.ts';
import { exchangeSchema } from './job-exchange.ts';
import { refusal } from './job-issues.ts';
import { describeModelJson, modelSchema } from './job-model.ts';
import { ASCII_PATTERN, NAME_LENGTH, NAME_RULE, namePattern } from './job-name.ts';
import { alignData, objectiveSchema } from './job-objective.ts';
import { optimizerSchema, scheduleSchema } from './job-optimizer.ts';
import { checkShape } from './job-shape.ts';
import { searchSchema } from './search-schema.ts';

/** Of a job file that has no training.seed. */
export const DEFAULT_SEED = 1;

const trainingSchema = z.strictObject({
  epochs: z.int().positive().max(100_000).default(10).describe('Number of passes over the training data.'),
  batch: z
    .int()
    .positive()
    .max(1_000_000)
    .default(128)
    .describe('Samples per step, over all workers (global batch size).'),
  shards: z
    .int()
    .positive()
    .max(1024)
    .default(2)
    .describe(
      'Number of parts of a batch that are computed separately. It affects the bits of the result; the number of workers does not.',
    ),
  accumulate: z
    .int()
    .positive()
    .max(1024)
    .default(1)
    .describe(
      'Number of parts of a shard that are computed one after the other, adding up their gradients (gradient accumulation): workers need less memory. It affects the bits of the result.',
    ),
  seed: z
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .default(DEFAULT_SEED)
    .describe('Seed of everything random: initial weights, the order of samples, dropout and augmentation.'),
  learningRate: z.number().positive().default(0.001).describe('Size of the updates. A schedule varies it.'),
  optimizer: optimizerSchema
    .default({
      type: 'adam',
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
    })
    .describe('How gradients become updates of the weights.'),
  schedule: scheduleSchema
    .default({ type: 'constant', warmupSteps: 0 })
    .describe('How the learning rate changes over the run.'),
  clipNorm: z
    .number()
    .positive()
    .optional()
    .describe('Clips the global L2 norm of the gradient to this value. Default: no clipping.'),
  ema: z
    .strictObject({
      decay: z
        .number()
        .gt(0)
        .lt(1)
        .default(0.999)
        .describe('Fraction of the averages that each update keeps; less during the first updates.'),
    })
    .optional()
    .describe(
      'Exponential moving average of the weights over the updates. The averages are evaluated on the test set, and are the final weights.',
    ),
  freeze: z
    .array(z.string().min(1))
    .optional()
    .describe(
      'Layers to exclude from training: names, or prefixes that end before a dash (layer1: all layers of that stage).',
    ),
  stopEarly: z
    .strictObject({
      on: z
        .enum(['loss', 'metric', ...testMetricNames])
        .default('loss')
        .describe(
          'What to watch on the test set: its loss, its metric (accuracy or error), or another metric that the objective has. classification and binary: precision, recall, f1; classification with more than 10 classes also top5Accuracy; binary also iou. regression: rmse, r2. next-token: perplexity.',
        ),
      patience: z
        .int()
        .positive()
        .default(3)
        .describe('Epochs without an improvement before training stops.'),
      least: z
        .number()
        .min(0)
        .default(0)
        .describe('Minimum improvement: a change counts only if it is larger than this.'),
    })
    .optional()
    .describe(
      'Stops training when the test result no longer improves; the final weights are those of the best epoch.',
    ),
  skipNotFinite: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(0)
    .describe(
      'Number of steps whose update may be skipped because two workers agree that a loss or gradient is not finite; one more fails the job.',
    ),
  memory: z
    .enum(['normal', 'low'])
    .default('normal')
    .describe(
      'low: workers keep less of the forward pass and recompute the rest (activation checkpointing). Same bits, less memory, slower.',
    ),
  math: z
    .enum(['exact', 'fast'])
    .default('exact')
    .describe(
      'exact: the same bits on every machine. fast: fused multiply-add if the CPU has it; the same bits only on machines of the same kind.',
    ),
});

const evaluationSchema = z.strictObject({
  shardSamples: z.int().positive().max(100_000).default(1000).describe('Test samples per evaluation task.'),
});

const checkpointSchema = z.strictObject({
  everySteps: z
    .int()
    .positive()
    .optional()
    .describe('Writes a checkpoint after this many steps, in addition to the one at the end of each epoch.'),
  everySeconds: z
    .number()
    .positive()
    .optional()
    .describe(
      'Writes a checkpoint after this many seconds, in addition to the one at the end of each epoch. At most this much work is lost if the coordinator crashes.',
    ),
  keep: z.int().positive().max(1000).default(2).describe('Number of newest checkpoints to keep on disk.'),
  best: z
    .int()
    .min(0)
    .max(1000)
    .optional()
    .describe(
      'Number of best checkpoints to keep as well: those of the epochs with the lowest test loss (or the best value of what stopEarly watches). Default 0.',
    ),
});

export const jobSchema = z
  .strictObject({
    name: z
      .string()
      .normalize('NFC')
      .min(1)
      .max(NAME_LENGTH)
      .refine((name) => namePattern.test(name), NAME_RULE)
      .meta({
        description:
          "Name of the job: letters of any script, digits, dots, dashes and underscores. The job's ID begins with it.",
        pattern: ASCII_PATTERN,
      }),
    description: z
      .string()
      .min(1)
      .max(1000)
      .optional()
      .describe('What the job is for, for people. It is shown with the job and does not affect the result.'),
    tags: z
      .array(
        z
          .string()
          .min(1)
          .max(64)
          .regex(/^[^\s,]+$/, 'expected a word without spaces and commas'),
      )
      .max(16)
      .optional()
      .describe('Words to find the job by (`kasane jobs --tag`). They do not affect the result.'),
    model: modelSchema,
    data: dataSchema.prefault({}).describe('The training and test data. Default: MNIST.'),
    objective: objectiveSchema.optional(),
    init: z
      .string()
      .min(1)
      .optional()
      .describe(
        "What to start from: a safetensors file on the coordinator's machine, a model registered there (name:version or name:alias), or the final weights of a job there (job:ID). Tensors that match by name and shape are used, the rest are initialized.",
      ),
    initLayout: z
      .enum(['kasane', 'torch'])
      .optional()
      .describe(
        "Layout of the matrices in the init file: kasane is [in, out], torch is [out, in]. Needed only if a file without Kasane's metadata fits both ways.",
      ),
    training: trainingSchema.prefault({}).describe('How to train.'),
    exchange: exchangeSchema
      .prefault({})
      .describe('What workers exchange, and how often. Default: the gradients of every step.'),
    evaluation: evaluationSchema.prefault({}).describe('How to evaluate on the test data, after each epoch.'),
    checkpoint: checkpointSchema.prefault({}).describe('When to write checkpoints, and which to keep.'),
  })
  .describe('A Kasane job');

export type JobSpec = z.infer<typeof jobSchema>;
export type TrainingSpec = JobSpec['training'];

/** A checked job: the file's content with every default filled in, and its model, built. */
export interface Job {
  readonly spec: JobSpec;
  readonly model: Model;
  readonly objective: Objective;
}

/** What a file may hold: a job, or a job and how to search for a better one. */
const fileSchema = jobSchema
  .extend({
    extends: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Job file or preset to take everything from that this file does not say itself. Sections are merged key by key, lists are replaced, and a key without a value (null) is removed. Paths are relative to the folder of the file that contains them.',
      ),
    search: searchSchema.optional(),
  })
  .describe('A Kasane job');

/** The JSON Schema of a job file (draft 2020-12), for editors. */
export function jobJsonSchema(): object {
  const { required, ...schema } = z.toJSONSchema(fileSchema, { io: 'input', override: describeModelJson });
  // What a file extends has the rest.
  return { title: 'Kasane job file', ...schema, anyOf: [{ required }, { required: ['extends'] }] };
}

/** Checks a job that is an object already. `locate` names the place of a path in messages. */
export function checkJob(
  value: unknown,
  locate: (path: readonly PropertyKey[]) => string = () => 'job',
): Job {
  checkShape(value, locate);
  const result = jobSchema.safeParse(value);
  if (!result.success) throw refusal(result.error.issues, locate, value, jobJsonSchema);
  const spec = result.data;
  const { optimizer } = spec.training;
  if (optimizer.type === 'sgd' && optimizer.nesterov && optimizer.momentum === 0) {
    const path = ['training', 'optimizer', 'nesterov'];
    throw new KasaneError(
      'JOB_INVALID',
      `${locate(path)}: ${path.join('.')}: Nesterov momentum requires a momentum above 0; set training.optimizer.momentum, such as 0.9`,
    );
  }
  placeReplicas(spec, value, locate);
  if (spec.training.shards > spec.training.batch) {
    throw new KasaneError(
      'JOB_INVALID',
      `${locate(['training', 'shards'])}: training.shards: ${spec.training.shards} shards of a batch of ${spec.training.batch}; expected at most one per sample`,
    );
  }
  const { accumulate, shards, batch } = spec.training;
  if (accumulate > 1 && accumulate * shards > batch) {
    throw new KasaneError(
      'JOB_INVALID',
      `${locate(['training', 'accumulate'])}: training.accumulate: ${accumulate} parts of each of ${shards} shards of a batch of ${batch}; expected at most one per sample`,
    );
  }
  try {
    const model = buildModel(describeModel(spec));
    requireTrainable(model);
    const objective = objectiveOf(spec, model);
    checkObjective(model, objective);
    checkWatched(spec, model, objective, locate);
    const given = (value as { data?: unknown }).data;
    const data = fitChannels(alignData(spec.data, objective, given, model.loss?.target), given, locate);
    return { spec: { ...spec, data, objective: objective as JobSpec['objective'] }, model, objective };
  } catch (cause) {
    if (cause instanceof KasaneError) throw cause;
    throw new KasaneError('JOB_INVALID', `${locate(placeOf(cause))}: ${messageOf(cause)}`, { cause });
  }
}

/** What stops the training early must be a metric that its tests have. */
function checkWatched(
  { training: { stopEarly } }: JobSpec,
  model: Model,
  { type }: Objective,
  locate: (path: readonly PropertyKey[]) => string,
): void {
  if (!stopEarly || stopEarly.on === 'loss' || stopEarly.on === 'metric') return;
  const names = testMetricsOf(type, sizeOf(model.outputShape));
  if (names.includes(stopEarly.on)) return;
  const path = ['training', 'stopEarly', 'on'];
  throw new KasaneError(
    'JOB_INVALID',
    `${locate(path)}: ${path.join('.')}: the tests of this job have no ${stopEarly.on}; expected ${['loss', 'metric', ...names].join(', ')}`,
  );
}

/** Shards are what replicas compute: both names stand for one number. */
function placeReplicas(
  { training, exchange }: JobSpec,
  value: unknown,
  locate: (path: readonly PropertyKey[]) => string,
): void {
  const { every, replicas, outer, optimizerState } = exchange;
  const refuse = (path: readonly string[], why: string) => {
    throw new KasaneError('JOB_INVALID', `${locate(path)}: ${path.join('.')}: ${why}`);
  };
  if (every === 1) {
    const state = optimizerState === 'average' ? undefined : 'optimizerState';
    const name = replicas !== undefined ? 'replicas' : outer ? 'outer' : state;
    if (name) refuse(['exchange', name], 'applies only to local steps; set exchange.every, such as 50');
    return;
  }
  if (replicas === undefined) return;
  const { training: given } = value as { training?: { shards?: unknown } | undefined };
  if (given?.shards !== undefined && training.shards !== replicas)
    refuse(
      ['exchange', 'replicas'],
      `${replicas} replicas, but training.shards is ${training.shards}; they are the same number: remove one of them`,
    );
  if (replicas > training.batch)
    refuse(
      ['exchange', 'replicas'],
      `${replicas} replicas of a batch of ${training.batch}; expected at most one per sample`,
    );
  training.shards = replicas;
}

/** Where in the job file the reason of a model's error is. */
function placeOf(cause: unknown): readonly PropertyKey[] {
  if (cause instanceof ObjectiveError) return ['objective'];
  if (cause instanceof PresetError) return ['model', cause.option ?? 'preset'];
  if (!(cause instanceof ModelError)) return ['model'];
  return cause.path[0] === 'frozen' ? ['training', 'freeze'] : ['model', ...cause.path];
}

/** The model of a job: its own layers or those of the preset that it names. */
function describeModel(spec: JobSpec): ModelDescription {
  const frozen = spec.training.freeze && { frozen: spec.training.freeze };
  if (!('preset' in spec.model)) return { ...(spec.model as unknown as ModelDescription), ...frozen };
  const { preset, ...options } = spec.model as { preset: string };
  return { ...describePreset(preset, options), ...frozen };
}

/** What the job says, or the preset, or the model. */
function objectiveOf({ objective, model }: JobSpec, { description, loss }: Model): Objective {
  if (objective) return objective as Objective;
  if (loss) return { type: 'own', metric: loss.metric };
  if ('preset' in model) {
    const { preset, ...options } = model as { preset: string };
    return objectiveOfPreset(preset, options);
  }
  if (description.classes !== undefined) return classification;
  throw new ObjectiveError(
    'objective is missing; a model with model.output needs one, such as { type: regression }',
  );
}
