/** The `objective` section of a job file: what the model is trained for. */
import type { Field } from '@kasane/tensor/internal/field';
import { domainOf, type Objective, ObjectiveError } from '@kasane/tensor/objective';
import * as z from '../gen/zod.js';
import type { DataSpec } from './job-data.ts';

const labelSmoothing = z
  .number()
  .min(0)
  .lt(1)
  .optional()
  .describe('Fraction of the target to spread evenly over all classes during training. Default 0.');

/** Sums of weights far outside of this range are infinite or 0 in float32, in which workers add them. */
const [LEAST_WEIGHT, LARGEST_WEIGHT] = [1e-9, 1e9];
const classWeight = z
  .number()
  .min(0)
  .max(LARGEST_WEIGHT)
  .refine((weight) => weight === 0 || weight >= LEAST_WEIGHT, `expected 0, or at least ${LEAST_WEIGHT}`);

export const objectiveSchema = z
  .discriminatedUnion('type', [
    z
      .strictObject({
        type: z.literal('classification'),
        labelSmoothing,
        classWeights: z
          .array(classWeight)
          .min(2)
          .max(1000)
          .refine((weights) => weights.some((weight) => weight > 0), 'at least one weight must be above 0')
          .optional()
          .describe(
            'Loss weight of each class during training: 0, or 1e-9 to 1e9. The sum of the losses is divided by the sum of the weights, so only their ratios matter.',
          ),
        focal: z
          .number()
          .min(0)
          .lt(20)
          .optional()
          .describe(
            'Focal loss (Lin et al. 2017) during training: multiplies the loss of a sample by (1 - p)^focal, where p is the probability of its class, so that samples that are classified well already count less. 2 is usual. Not together with labelSmoothing. Default 0: all count alike.',
          ),
      })
      .describe('One class per sample: softmax cross-entropy.'),
    z
      .strictObject({
        type: z.literal('binary'),
        loss: z
          .enum(['crossEntropy', 'dice', 'both'])
          .optional()
          .describe(
            'crossEntropy: each output on its own. dice: how little predicted and actual yeses of a sample overlap, for outputs with few of them, such as masks of images. both: the sum of the two. Default crossEntropy.',
          ),
      })
      .describe('Independent yes (1) or no (0) outputs: binary cross-entropy, or the Dice loss.'),
    z
      .strictObject({
        type: z.literal('regression'),
        loss: z
          .enum(['mse', 'mae', 'huber'])
          .default('mse')
          .describe('mse: squared error. mae: absolute error. huber: squared up to delta, absolute beyond.'),
        delta: z
          .number()
          .positive()
          .optional()
          .describe('For huber: the error up to which it is squared. Default 1.'),
      })
      .describe('Numeric targets.'),
    z
      .strictObject({ type: z.literal('next-token'), labelSmoothing })
      .describe('The next token at each position of a sequence.'),
    z
      .strictObject({ type: z.literal('masked-token'), labelSmoothing })
      .describe('Masked tokens, predicted from those around them.'),
    z
      .strictObject({
        type: z.literal('own'),
        metric: z
          .enum(['accuracy', 'error'])
          .optional()
          .describe("What the model's metric is: accuracy, a fraction of 1, or error. Default error."),
      })
      .describe('The loss that the model defines (model.loss). Default for a model that has one.'),
  ])
  .describe('Training objective. Default: that of the preset, or classification if the model has classes.');

/**
 * The data as the objective needs it: a table's target as class or number, a text's as token or class.
 * @param given the section as it was written: what says something else is refused
 * @param target of the model's own loss
 * @throws ObjectiveError
 */
export function alignData(data: DataSpec, { type }: Objective, given: unknown, target?: Field): DataSpec {
  checkScale(data, type);
  if (data.format !== 'text' && data.format !== 'csv') return data;
  // A model's own loss says itself what it takes; a text's target is as the section says.
  if (type === 'own' && data.format === 'text') return data;
  const key = data.format === 'text' ? 'objective' : 'task';
  const kinds: Partial<Record<Objective['type'], string>> =
    data.format === 'text'
      ? { 'next-token': 'next-token', 'masked-token': 'masked-token', classification: 'classification' }
      : {
          classification: 'classification',
          regression: 'regression',
          binary: 'regression',
          own: target?.dtype === 'i32' ? 'classification' : 'regression',
        };
  const wanted = kinds[type];
  const said = (given as Readonly<Record<string, unknown>> | undefined)?.[key];
  if (wanted === undefined)
    throw new ObjectiveError(`objective ${type} does not work with data of format ${data.format}`);
  if (said !== undefined && said !== wanted) {
    throw new ObjectiveError(`objective ${type} requires data.${key}: ${wanted}, but it is ${String(said)}`);
  }
  return { ...data, [key]: wanted } as DataSpec;
}

/** Numbers of a domain leave it when they are standardised. */
function checkScale(data: DataSpec, type: Objective['type']): void {
  const domain = domainOf[type];
  if (!domain) return;
  const takes = `objective ${type} takes targets from ${domain.join(' to ')}`;
  if (data.format === 'csv' && data.standardizeTarget)
    throw new ObjectiveError(`${takes}, and data.standardizeTarget changes them. Remove it`);
  if (data.format === 'series' && data.standardize)
    throw new ObjectiveError(`${takes}, and data.standardize changes them. Set data.standardize: false`);
}

/** What workers are told, as JSON. @throws ZodError */
export const parseObjective = (text: string): Objective =>
  objectiveSchema.parse(JSON.parse(text)) as Objective;
