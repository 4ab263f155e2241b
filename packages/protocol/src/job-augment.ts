/** The `augment` list of image data in job files: what happens to training images, on the workers. */
import { z } from 'zod';

const part = z.number().min(0).max(1);
const range = (low: number, high: number) =>
  z
    .tuple([z.number().positive(), z.number().positive()])
    .refine(([from, to]) => from <= to, 'the lower end comes first')
    .default([low, high]);

const pictureSteps = [
  z.strictObject({
    type: z
      .literal('crop')
      .describe('Moves the picture by up to `padding` pixels each way; the rest is black.'),
    padding: z.int().min(1).max(4096).default(4),
  }),
  z.strictObject({
    type: z.literal('resizedCrop').describe('A part of the picture, stretched to the whole.'),
    scale: range(0.08, 1).describe('Area of the part: from, to.'),
    ratio: range(0.75, 1.3333).describe('Width by height of the part: from, to.'),
  }),
  z.strictObject({
    type: z.literal('flip'),
    axis: z
      .enum(['horizontal', 'vertical'])
      .default('horizontal')
      .describe('horizontal: left becomes right.'),
    probability: part.default(0.5),
  }),
  z.strictObject({
    type: z.literal('rotate'),
    degrees: z.number().positive().max(180).describe('Either way, at most.'),
  }),
  z.strictObject({
    type: z.literal('jitter').describe('Factors are drawn from 1 - v to 1 + v.'),
    brightness: part.default(0),
    contrast: part.default(0),
    saturation: part.default(0),
  }),
  z.strictObject({
    type: z.literal('cutout').describe('A square in the mean colour, anywhere.'),
    size: z.int().min(1).max(4096).describe('Side in pixels.'),
  }),
] as const;

/** What happens to each picture by itself. */
export const pictureStepsSchema = z.array(z.discriminatedUnion('type', pictureSteps)).max(16);

const mixupSchema = z.strictObject({
  type: z.literal('mixup').describe('Mixes each picture with another one of its shard, and their targets.'),
  alpha: z
    .number()
    .min(0.05)
    .max(1)
    .default(0.2)
    .describe(
      'Shares are drawn from Beta(alpha, alpha): 1 mixes evenly, little leaves most pictures nearly alone.',
    ),
});

export const augmentSchema = z
  .array(z.discriminatedUnion('type', [...pictureSteps, mixupSchema]))
  .max(16)
  .refine(
    (steps) => steps.slice(0, -1).every(({ type }) => type !== 'mixup'),
    'mixup takes finished pictures: it comes once, and last',
  )
  .default([])
  .describe('What happens to training images, in this order; drawn by seed, epoch and sample.');
