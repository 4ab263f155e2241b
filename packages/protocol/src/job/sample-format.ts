/** What the coordinator tells workers of a job's samples, as JSON in JobOpened: enough to read a staged batch. */
import { fieldTypes } from '@kasane/tensor/internal/field';
import { KasaneError } from '../errors.ts';
import * as z from '../gen/zod.js';
import { pictureStepsSchema } from './job-augment.ts';

export const fieldSchema = z.strictObject({
  dtype: z.enum(Object.keys(fieldTypes) as (keyof typeof fieldTypes)[]),
  shape: z
    .array(
      z
        .int()
        .min(0)
        .max(2 ** 31),
    )
    .max(8),
});

/** SHA-256, lower-case hex. */
const digest = z.string().length(64);

const sampleFormatSchema = z.strictObject({
  input: fieldSchema,
  target: fieldSchema,
  /** Normalisation of u8 input: (v / 255 - mean) / std, one of each, or one a channel. */
  mean: z.array(z.number()).min(1),
  std: z.array(z.number().positive()).min(1),
  /** What happens to u8 images in training. */
  augment: pictureStepsSchema,
  /** And to all of a shard's together, with their targets. */
  mixup: z.strictObject({ alpha: z.number(), classes: z.boolean() }).optional(),
  /** Where workers may read the samples themselves, and how they know that they have the same ones. */
  own: z
    .discriminatedUnion('format', [
      /** Folder or URL; the SHA-256 of the index decides everything in it. */
      z.strictObject({ format: z.literal('packed'), place: z.string().min(1), digest }),
      /** Folder of the four files, or none for MNIST as Kasane brings it; the digests of its parts. */
      z.strictObject({
        format: z.literal('idx'),
        place: z.string().min(1).optional(),
        train: digest,
        test: digest,
      }),
    ])
    .optional(),
  /** Tokens that are hidden in training and evaluation. */
  masking: z.strictObject({ rate: z.number(), vocabulary: z.int().positive() }).optional(),
});
export type SampleFormat = z.infer<typeof sampleFormatSchema>;

/** @throws KasaneError PROTOCOL */
export function parseSampleFormat(text: string): SampleFormat {
  try {
    return sampleFormatSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new KasaneError(
      'PROTOCOL',
      "the coordinator's sample format is unknown to this version; install the same version of Kasane on both",
      {
        cause,
      },
    );
  }
}
