/** Optimizers and schedules of the learning rate in job files. */
import * as z from '../gen/zod.js';

const fraction = z.number().min(0).max(1);
/** Of a decaying average: 1 would never forget. */
const decay = z.number().min(0).lt(1);

const decayBiasAndNorm = z
  .boolean()
  .optional()
  .describe('Whether weightDecay also applies to biases and normalization layers. Default true.');

export const optimizerSchema = z.discriminatedUnion('type', [
  z
    .strictObject({
      type: z.literal('sgd'),
      momentum: decay
        .default(0)
        .describe('Fraction of the previous update that each update keeps, such as 0.9.'),
      nesterov: z
        .boolean()
        .default(false)
        .describe('Whether to use Nesterov momentum, which looks one update ahead.'),
      weightDecay: z
        .number()
        .min(0)
        .default(0)
        .describe('Fraction of each weight that is added to its gradient (L2 regularization).'),
      decayBiasAndNorm,
    })
    .describe('Stochastic gradient descent (Robbins and Monro 1951), with momentum if it is set.'),
  z
    .strictObject({
      type: z
        .enum(['adam', 'adamw'])
        .describe(
          'adam adds the weight decay to the gradient; adamw subtracts it from the weights directly.',
        ),
      beta1: decay.default(0.9).describe('Decay of the running mean of the gradient.'),
      beta2: decay.default(0.999).describe('Decay of the running mean of the squared gradient.'),
      epsilon: z
        .number()
        .positive()
        .default(1e-8)
        .describe('Added to the root of the mean square, to avoid division by zero.'),
      weightDecay: z
        .number()
        .min(0)
        .default(0)
        .describe('Strength of the weight decay, such as 0.01 for adamw.'),
      decayBiasAndNorm,
    })
    .describe(
      'Adam (Kingma and Ba 2015) adapts the step of each weight to its gradients; AdamW (Loshchilov and Hutter 2019) decouples weight decay from that.',
    ),
]);

const warmupSteps = z
  .int()
  .min(0)
  .default(0)
  .describe('Steps over which the learning rate first rises linearly from 0.');

export const scheduleSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('constant'), warmupSteps }).describe('The same learning rate throughout.'),
  z
    .strictObject({
      type: z.literal('step'),
      warmupSteps,
      every: z.int().positive().describe('Steps between two reductions.'),
      factor: fraction.default(0.1).describe('Factor by which the learning rate is multiplied each time.'),
    })
    .describe('Reduces the learning rate in steps.'),
  z
    .strictObject({
      type: z.literal('exponential'),
      warmupSteps,
      every: z.int().positive().describe('Steps over which the learning rate is multiplied by the factor.'),
      factor: z
        .number()
        .positive()
        .default(0.1)
        .describe('Factor by which it is multiplied over these steps; above 1, it rises.'),
    })
    .describe('Multiplies the learning rate by the same factor at each step.'),
  z
    .strictObject({
      type: z.literal('cosine'),
      warmupSteps,
      finalFraction: fraction.default(0).describe('Final learning rate, as a fraction of learningRate.'),
    })
    .describe(
      'Lowers the learning rate along half a cosine to the end of the run (Loshchilov and Hutter 2017).',
    ),
  z
    .strictObject({
      type: z.literal('one-cycle'),
      riseFraction: fraction
        .default(0.3)
        .describe('Fraction of the run during which the learning rate rises (Smith 2018).'),
      initialFraction: fraction
        .default(0.04)
        .describe('Initial learning rate, as a fraction of learningRate, which is the peak.'),
      finalFraction: fraction.default(0.0001).describe('Final learning rate, as a fraction of learningRate.'),
    })
    .describe('Raises the learning rate to its peak, then lowers it along cosines (Smith 2018).'),
]);
