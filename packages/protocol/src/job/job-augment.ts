/** The `augment` list of image data in job files: what happens to training images, on the workers. */
import * as z from '../gen/zod.js';

const part = z.number().min(0).max(1);
const range = (low: number, high: number) =>
  z
    .tuple([z.number().positive(), z.number().positive()])
    .refine(([from, to]) => from <= to, 'expected the lower limit first')
    .default([low, high]);

const pictureSteps = [
  z
    .strictObject({
      type: z.literal('crop'),
      padding: z.int().min(1).max(4096).default(4).describe('Largest shift in pixels.'),
    })
    .describe('Shifts the image by up to `padding` pixels in each direction; the uncovered part is black.'),
  z
    .strictObject({
      type: z.literal('resizedCrop'),
      scale: range(0.08, 1).describe('Range of the area of the part, as a fraction of the image.'),
      ratio: range(0.75, 1.3333).describe('Range of the aspect ratio of the part (width / height).'),
    })
    .describe('A random part of the image, resized to the full size.'),
  z
    .strictObject({
      type: z.literal('flip'),
      axis: z
        .enum(['horizontal', 'vertical'])
        .default('horizontal')
        .describe('horizontal swaps left and right.'),
      probability: part.default(0.5).describe('Fraction of the images to mirror.'),
    })
    .describe('Mirrors the image.'),
  z
    .strictObject({
      type: z.literal('rotate'),
      degrees: z.number().positive().max(180).describe('Largest angle in either direction.'),
    })
    .describe('Rotates the image around its center by a random angle.'),
  z
    .strictObject({
      type: z.literal('jitter'),
      brightness: part.default(0).describe('Largest change of the brightness, as a fraction.'),
      contrast: part.default(0).describe('Largest change of the contrast, as a fraction.'),
      saturation: part.default(0).describe('Largest change of the saturation, as a fraction.'),
    })
    .describe('Changes colors. For each value v, the factor is drawn from 1 - v to 1 + v.'),
  z
    .strictObject({
      type: z.literal('cutout'),
      size: z.int().min(1).max(4096).describe('Side of the square in pixels.'),
    })
    .describe('Fills a square at a random position with the mean color.'),
] as const;

/** What happens to each picture by itself. */
export const pictureStepsSchema = z.array(z.discriminatedUnion('type', pictureSteps)).max(16);

const mixupSchema = z
  .strictObject({
    type: z.literal('mixup'),
    alpha: z
      .number()
      .min(0.05)
      .max(1)
      .default(0.2)
      .describe(
        'Mixing ratios are drawn from Beta(alpha, alpha): 1 makes all ratios equally likely; small values leave most images nearly unchanged.',
      ),
  })
  .describe('Mixes each image, and its target, with another one of its shard.');

export const augmentSchema = z
  .array(z.discriminatedUnion('type', [...pictureSteps, mixupSchema]))
  .max(16)
  .refine(
    (steps) => steps.slice(0, -1).every(({ type }) => type !== 'mixup'),
    'mixup must be the last step, and appear only once',
  )
  .default([])
  .describe(
    'Random changes to training images, applied in this order; determined by seed, epoch and sample.',
  );
