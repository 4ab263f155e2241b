/** The `objective` section of a job file: what the model is trained for. */
import { domainOf, type Objective, ObjectiveError } from '@kasane/tensor/objective';
import { z } from 'zod';
import type { DataSpec } from './job-data.ts';

const labelSmoothing = z
  .number()
  .min(0)
  .lt(1)
  .optional()
  .describe('Part of the target that is spread evenly over all classes, while training. Default 0.');

export const objectiveSchema = z
  .discriminatedUnion('type', [
    z
      .strictObject({
        type: z.literal('classification'),
        labelSmoothing,
        classWeights: z
          .array(z.number().min(0))
          .min(2)
          .max(1000)
          .refine((weights) => weights.some((weight) => weight > 0), 'one of the weights must be above 0')
          .optional()
          .describe(
            "Factor of the loss of each class's samples, by class, while training. Losses are divided by the sum of the factors.",
          ),
      })
      .describe('One class for each sample: softmax cross-entropy.'),
    z
      .strictObject({ type: z.literal('binary') })
      .describe('Each output is a yes (1) or no (0) of its own: logistic cross-entropy.'),
    z
      .strictObject({
        type: z.literal('regression'),
        loss: z
          .enum(['mse', 'mae', 'huber'])
          .default('mse')
          .describe('Squared error, absolute error, or squared near 0 and absolute beyond delta.'),
        delta: z.number().positive().optional().describe('Of huber. Default 1.'),
      })
      .describe('Numbers to come near to.'),
    z
      .strictObject({ type: z.literal('next-token'), labelSmoothing })
      .describe('For each place of a sequence the token that follows.'),
    z
      .strictObject({ type: z.literal('masked-token'), labelSmoothing })
      .describe('Tokens that were masked, from those around them.'),
  ])
  .describe('What the model is trained for. Default: what the preset is made for; classes of a classifier.');

/**
 * The data as the objective needs it: a table's target as class or number, a text's as token or class.
 * @param given the section as it was written: what says something else is refused
 * @throws ObjectiveError
 */
export function alignData(data: DataSpec, { type }: Objective, given: unknown): DataSpec {
  checkScale(data, type);
  if (data.format !== 'text' && data.format !== 'csv') return data;
  const key = data.format === 'text' ? 'objective' : 'task';
  const kinds: Partial<Record<Objective['type'], string>> =
    data.format === 'text'
      ? { 'next-token': 'next-token', 'masked-token': 'masked-token', classification: 'classification' }
      : { classification: 'classification', regression: 'regression', binary: 'regression' };
  const wanted = kinds[type];
  const said = (given as Readonly<Record<string, unknown>> | undefined)?.[key];
  if (wanted === undefined)
    throw new ObjectiveError(`objective ${type} does not go with data of format ${data.format}`);
  if (said !== undefined && said !== wanted) {
    throw new ObjectiveError(`objective ${type} wants data.${key} to be ${wanted}; it is ${String(said)}`);
  }
  return { ...data, [key]: wanted } as DataSpec;
}

/** Numbers of a domain leave it when they are standardised. */
function checkScale(data: DataSpec, type: Objective['type']): void {
  const domain = domainOf[type];
  if (!domain) return;
  const takes = `objective ${type} takes targets from ${domain.join(' to ')}`;
  if (data.format === 'csv' && data.standardizeTarget)
    throw new ObjectiveError(`${takes}, and data.standardizeTarget changes them. Leave it out`);
  if (data.format === 'series' && data.standardize)
    throw new ObjectiveError(`${takes}, and data.standardize changes them. Set data.standardize: false`);
}

/** What workers are told, as JSON. @throws ZodError */
export const parseObjective = (text: string): Objective =>
  objectiveSchema.parse(JSON.parse(text)) as Objective;
