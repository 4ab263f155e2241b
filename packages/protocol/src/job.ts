/**
 * The job file: what a user submits. One zod schema checks it, gives its defaults and its types, and makes the JSON
 * Schema that editors use. A job file is data: nothing in it is ever executed.
 */

import { describePreset, objectiveOfPreset, PresetError, presetNames } from '@kasane/tensor/models/presets';
import { buildModel, type Model, type ModelDescription } from '@kasane/tensor/nn/model';
import { suggest } from '@kasane/tensor/nn/nearest';
import { checkObjective, classification, type Objective, ObjectiveError } from '@kasane/tensor/objective';
import { z } from 'zod';
import { KasaneError, messageOf } from './errors.ts';
import { fitChannels } from './job-channels.ts';
import { dataSchema, plainly } from './job-data.ts';
import { keysAt } from './job-keys.ts';
import { alignData, objectiveSchema } from './job-objective.ts';
import { checkShape } from './job-shape.ts';

const fraction = z.number().min(0).max(1);
/** Of a decaying average: 1 would never forget. */
const decay = z.number().min(0).lt(1);

const layerSchema = z.looseObject({ type: z.string().describe('Layer type, such as dense, relu, dropout.') });

const shapeSchema = z.array(z.int().positive()).min(1);

const modelSchema = z.union([
  z
    .looseObject({
      preset: z.string().describe(`A model that Kasane brings: ${presetNames.join(', ')}.`),
    })
    .describe('A preset with its options, such as { preset: resnet-18, classes: 10, stem: cifar }.'),
  z.strictObject({
    input: shapeSchema
      .optional()
      .describe('Shape of one sample. Left out where layers of the type input name the parts of a sample.'),
    classes: z.int().min(2).optional().describe('Of a classifier: how many classes it tells apart.'),
    output: shapeSchema.optional().describe('Of other models, in place of classes: shape of the output.'),
    layers: z.array(layerSchema).min(1).describe('The layers, input side first.'),
  }),
]);

const decayBiasAndNorm = z
  .boolean()
  .optional()
  .describe('Whether weightDecay is meant for biases and norms too. Default true.');

const optimizerSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('sgd'),
    momentum: decay.default(0),
    nesterov: z.boolean().default(false),
    weightDecay: z.number().min(0).default(0),
    decayBiasAndNorm,
  }),
  z.strictObject({
    type: z.enum(['adam', 'adamw']),
    beta1: decay.default(0.9),
    beta2: decay.default(0.999),
    epsilon: z.number().positive().default(1e-8),
    weightDecay: z.number().min(0).default(0),
    decayBiasAndNorm,
  }),
]);

const warmupSteps = z
  .int()
  .min(0)
  .default(0)
  .describe('Steps over which the rate first rises linearly from 0.');

const scheduleSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('constant'), warmupSteps }),
  z.strictObject({
    type: z.literal('step'),
    warmupSteps,
    every: z.int().positive().describe('Steps between two reductions.'),
    factor: fraction.default(0.1).describe('What the rate is multiplied with each time.'),
  }),
  z.strictObject({
    type: z.literal('cosine'),
    warmupSteps,
    finalFraction: fraction.default(0).describe('Rate at the end as a fraction of learningRate.'),
  }),
  z.strictObject({
    type: z.literal('one-cycle'),
    riseFraction: fraction.default(0.3).describe('Part of the run in which the rate rises (Smith 2018).'),
    initialFraction: fraction
      .default(0.04)
      .describe('Rate at the start as a fraction of learningRate, the peak.'),
    finalFraction: fraction.default(0.0001).describe('Rate at the end as a fraction of learningRate.'),
  }),
]);

const trainingSchema = z.strictObject({
  epochs: z.int().positive().max(100_000).default(10),
  batch: z
    .int()
    .positive()
    .max(1_000_000)
    .default(128)
    .describe('Samples of a step, over all workers (global batch).'),
  shards: z
    .int()
    .positive()
    .max(1024)
    .default(2)
    .describe(
      'Parts of a batch that are computed separately. Part of the result to the bit; the number of workers is not.',
    ),
  accumulate: z
    .int()
    .positive()
    .max(1024)
    .default(1)
    .describe(
      'Parts of a shard that are computed one after the other, their gradients added up before they are sent: less memory on a worker. Part of the result to the bit.',
    ),
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(1),
  learningRate: z.number().positive().default(0.001),
  optimizer: optimizerSchema.default({
    type: 'adam',
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
  }),
  schedule: scheduleSchema.default({ type: 'constant', warmupSteps: 0 }),
  clipNorm: z
    .number()
    .positive()
    .optional()
    .describe('Largest global L2 norm of the gradient; unlimited without it.'),
  ema: z
    .strictObject({
      decay: z
        .number()
        .gt(0)
        .lt(1)
        .default(0.999)
        .describe(
          'What an update leaves of the averages; less in the first updates, where little has been averaged.',
        ),
    })
    .optional()
    .describe(
      'Averages of the weights over the updates (exponential moving average): they are what is tested and what comes out.',
    ),
  freeze: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'Layers that are not trained: names, or what names begin with up to a dash (layer1: all of that stage).',
    ),
  stopEarly: z
    .strictObject({
      on: z
        .enum(['loss', 'metric'])
        .default('loss')
        .describe('Of the test set: its loss, or its accuracy or error.'),
      patience: z.int().positive().default(3).describe('Epochs without an improvement before it ends.'),
      least: z.number().min(0).default(0).describe('An improvement is more than this.'),
    })
    .optional()
    .describe(
      'Ends when the test set says that training does not help any more; the weights are those of the best epoch.',
    ),
  skipNotFinite: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(0)
    .describe(
      'Steps whose update may be left out because a loss or gradient is no finite number on two workers; one more fails the job.',
    ),
  memory: z
    .enum(['normal', 'low'])
    .default('normal')
    .describe(
      'low: workers keep less of the forward pass, and compute the rest twice. The same bits in less memory, more slowly.',
    ),
  math: z
    .enum(['exact', 'fast'])
    .default('exact')
    .describe(
      'exact: the same bits on every machine. fast: fused multiply-add where the CPU has it; the same bits on like machines only.',
    ),
});

const evaluationSchema = z.strictObject({
  shardSamples: z
    .int()
    .positive()
    .max(100_000)
    .default(1000)
    .describe('Test samples of one evaluation task.'),
});

const checkpointSchema = z.strictObject({
  everySteps: z.int().positive().optional().describe('Besides the checkpoint at the end of each epoch.'),
  everySeconds: z
    .number()
    .positive()
    .optional()
    .describe('Another whenever so much time has passed: no more than that is lost with the coordinator.'),
  keep: z.int().positive().max(1000).default(2).describe('Checkpoints kept on disk: the newest.'),
  best: z
    .int()
    .min(0)
    .max(1000)
    .optional()
    .describe(
      'And so many of the epochs with the least test loss (of stopEarly: by what it looks at). Default 0.',
    ),
});

export const jobSchema = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(64)
      // It begins the job's id, which commands take as an argument and folders as a name.
      .regex(
        /^\w[\w.-]*$/,
        'letters, digits, dot, dash and underscore only, and neither a dot nor a dash first',
      ),
    model: modelSchema,
    data: dataSchema.prefault({}),
    objective: objectiveSchema.optional(),
    init: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Safetensors file on the coordinator's machine to start from: what matches by name and shape is taken over, the rest is fresh.",
      ),
    initLayout: z
      .enum(['kasane', 'torch'])
      .optional()
      .describe(
        "How matrices lie in the file of init: kasane [in, out], torch [out, in]. Needed only where a file without Kasane's metadata fits both ways.",
      ),
    training: trainingSchema.prefault({}),
    evaluation: evaluationSchema.prefault({}),
    checkpoint: checkpointSchema.prefault({}),
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

/** Faults of a job file that are told at once: a line each, and each takes a while to explain. */
const TOLD_ISSUES = 10;

/** The JSON Schema of a job file (draft 2020-12), for editors. */
export function jobJsonSchema(): object {
  return { title: 'Kasane job file', ...z.toJSONSchema(jobSchema, { io: 'input' }) };
}

/** Checks a job that is an object already. `locate` names the place of a path in messages. */
export function checkJob(
  value: unknown,
  locate: (path: readonly PropertyKey[]) => string = () => 'job',
): Job {
  checkShape(value, locate);
  const result = jobSchema.safeParse(value);
  if (!result.success) {
    const { issues } = result.error;
    const messages = issues.slice(0, TOLD_ISSUES).map((issue) => describeIssue(issue, locate, value));
    if (issues.length > TOLD_ISSUES) messages.push(`and ${issues.length - TOLD_ISSUES} more`);
    throw new KasaneError('JOB_INVALID', messages.join('\n'));
  }
  const spec = result.data;
  const { optimizer } = spec.training;
  if (optimizer.type === 'sgd' && optimizer.nesterov && optimizer.momentum === 0) {
    const path = ['training', 'optimizer', 'nesterov'];
    throw new KasaneError(
      'JOB_INVALID',
      `${locate(path)}: ${path.join('.')}: Nesterov's method needs momentum; give training.optimizer.momentum, such as 0.9`,
    );
  }
  if (spec.training.shards > spec.training.batch) {
    throw new KasaneError(
      'JOB_INVALID',
      `${locate(['training', 'shards'])}: training.shards: ${spec.training.shards} shards of a batch of ${spec.training.batch}: at most one a sample`,
    );
  }
  const { accumulate, shards, batch } = spec.training;
  if (accumulate > 1 && accumulate * shards > batch) {
    throw new KasaneError(
      'JOB_INVALID',
      `${locate(['training', 'accumulate'])}: training.accumulate: ${accumulate} parts of each of ${shards} shards of a batch of ${batch}: at most one a sample`,
    );
  }
  try {
    const model = buildModel(describeModel(spec));
    const objective = objectiveOf(spec, model);
    checkObjective(model, objective);
    const given = (value as { data?: unknown }).data;
    const data = fitChannels(alignData(spec.data, objective, given), given, locate);
    return { spec: { ...spec, data, objective: objective as JobSpec['objective'] }, model, objective };
  } catch (cause) {
    if (cause instanceof KasaneError) throw cause;
    throw new KasaneError('JOB_INVALID', `${locate(placeOf(cause))}: ${messageOf(cause)}`, { cause });
  }
}

/** Where in the job file the reason of a model's error is. */
function placeOf(cause: unknown): readonly PropertyKey[] {
  if (cause instanceof ObjectiveError) return ['objective'];
  if (messageOf(cause).startsWith('frozen:')) return ['training', 'freeze'];
  if (cause instanceof PresetError) return ['model', cause.option ?? 'preset'];
  const layer = /layers?\[(\d+)\]/.exec(messageOf(cause));
  return layer ? ['model', 'layers', Number(layer[1])] : ['model'];
}

/** The model of a job: its own layers or those of the preset that it names. */
function describeModel(spec: JobSpec): ModelDescription {
  const frozen = spec.training.freeze && { frozen: spec.training.freeze };
  if (!('preset' in spec.model)) return { ...(spec.model as unknown as ModelDescription), ...frozen };
  const { preset, ...options } = spec.model as { preset: string };
  return { ...describePreset(preset, options), ...frozen };
}

/** What the job says, or the preset, or the model. */
function objectiveOf({ objective, model }: JobSpec, { description }: Model): Objective {
  if (objective) return objective as Objective;
  if ('preset' in model) {
    const { preset, ...options } = model as { preset: string };
    return objectiveOfPreset(preset, options);
  }
  if (description.classes !== undefined) return classification;
  throw new ObjectiveError(
    'objective is missing; expected what a model with this output is trained for, such as { type: regression }',
  );
}

function describeIssue(
  issue: z.core.$ZodIssue,
  locate: (path: readonly PropertyKey[]) => string,
  value: unknown,
): string {
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // The branch that failed deepest is the one the writer meant; of several, that which has all of its keys.
    const branches = [...issue.errors].sort((a, b) => depth(b) - depth(a) || lacking(a) - lacking(b));
    const [inner] = branches[0] ?? [];
    if (inner) return describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, locate, value);
  }
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const path = [...issue.path, key];
    const hint = suggest(key, keysAt(jobJsonSchema(), issue.path, value));
    return `${locate(path)}: ${path.join('.')}: there is no such key${hint}`;
  }
  if (issue.path.length === 0 && issue.code === 'invalid_type')
    return `${locate(issue.path)}: the file: it is no job; its first lines are \`name:\` and \`model:\``;
  return `${locate(issue.path)}: ${issue.path.join('.') || 'the file'}: ${plainly(issue.message)}`;
}

const depth = (issues: readonly z.core.$ZodIssue[]) =>
  Math.max(0, ...issues.map((issue) => issue.path.length));
const lacking = (issues: readonly z.core.$ZodIssue[]) =>
  issues.filter(({ message }) => message.endsWith('received undefined')).length;
