/** What a preset is: a model as data, made from a few options. The families are the files beside this one. */
import type { OptionRules, OptionValues } from '../nn/layer.ts';
import type { LayerDescription, ModelDescription } from '../nn/model.ts';
import type { Objective } from '../objective.ts';

export interface Preset<O extends OptionRules = OptionRules> {
  /** One line: what it consists of, and where it comes from. */
  readonly summary: string;
  readonly options: O;
  describe(options: OptionValues<O>): ModelDescription;
  /** What it is trained for when a job does not say. Without it: the classes that the description states. */
  objective?(options: OptionValues<O>): Objective;
}

/** Declares a preset; infers the types of its options. */
export const definePreset = <const O extends OptionRules>(preset: Preset<O>): Preset<O> => preset;

/** Of a classifier of images: 1000 are those of ImageNet. */
export const classes = (count: number) =>
  ({
    kind: 'integer',
    minimum: 1,
    maximum: 2 ** 24,
    default: count,
    describe: 'Number of classes.',
  }) as const;

export const channels = (count: number) =>
  ({
    kind: 'integer',
    minimum: 1,
    maximum: 4096,
    default: count,
    describe: 'Channels of an image: 1 for grayscale, 3 for color.',
  }) as const;

/** @param minimum side of the smallest image that the layers can take */
export const image = (side: number, minimum: number) =>
  ({
    kind: 'pair',
    minimum,
    maximum: 4096,
    default: side,
    describe: 'Height and width of an image.',
  }) as const;

export const dropoutRate = (rate: number) =>
  ({
    kind: 'number',
    minimum: 0,
    below: 1,
    default: rate,
    describe: 'Dropout rate during training.',
  }) as const;

/** A size with its default. */
export const size = (count: number, describe: string, maximum = 65536) =>
  ({ kind: 'integer', minimum: 1, maximum, default: count, describe }) as const;

/** A dropout layer, or none. */
export const dropoutLayers = (rate: number, name: string): LayerDescription[] =>
  rate > 0 ? [{ type: 'dropout', rate, name }] : [];
