/** The list of presets: models that job files may name instead of listing layers, with a few options each. */
import type { OptionsOf } from '../nn/layer.ts';
import type { ModelDescription } from '../nn/model.ts';
import { suggest } from '../nn/nearest.ts';
import { checkOptions, OptionError } from '../nn/options.ts';
import { classification, type Objective } from '../objective.ts';
import { alexnet, cnn224 } from './cnn.ts';
import { mnistCnn, mnistMlp } from './mnist.ts';
import type { Preset } from './preset.ts';
import { gruText, lstmForecast, lstmText } from './recurrent.ts';
import { resnet18, resnet34, resnet50, resnet101, resnet152 } from './resnet.ts';
import { perceptron, tabular, xor } from './tabular.ts';
import { bert, gpt, llama } from './transformer.ts';
import { vgg11, vgg16 } from './vgg.ts';

const list = {
  perceptron,
  xor,
  tabular,
  'mnist-mlp': mnistMlp,
  'mnist-cnn': mnistCnn,
  'cnn-224': cnn224,
  alexnet,
  'vgg-11': vgg11,
  'vgg-16': vgg16,
  'resnet-18': resnet18,
  'resnet-34': resnet34,
  'resnet-50': resnet50,
  'resnet-101': resnet101,
  'resnet-152': resnet152,
  gpt,
  llama,
  bert,
  'lstm-text': lstmText,
  'gru-text': gruText,
  'lstm-forecast': lstmForecast,
} as const;

export type { Preset } from './preset.ts';

export type PresetName = keyof typeof list;

/** A preset with its options, as a job file names it: `{ preset: 'resnet-18', stem: 'cifar' }`. */
export type PresetDescription = {
  [K in PresetName]: (typeof list)[K] extends Preset<infer O> ? { readonly preset: K } & OptionsOf<O> : never;
}[PresetName];

/** By name. */
export const presets = list as unknown as Readonly<Record<PresetName, Preset>>;

export const presetNames = Object.keys(list) as readonly PresetName[];

/** The preset of that name, if there is one. */
export const presetNamed = (name: string): Preset | undefined =>
  Object.hasOwn(list, name) ? presets[name as PresetName] : undefined;

/** A name or option that no preset has, or a value that it cannot take. */
export class PresetError extends Error {
  override readonly name = 'PresetError';
  /** Which option is wrong; undefined: the name of the preset. */
  readonly option: string | undefined;
  constructor(message: string, option?: string) {
    super(message);
    this.option = option;
  }
}

type Given = Readonly<Record<string, unknown>>;

/**
 * A preset's model, as a list of layers.
 * @param options as a job file has them; those left out have their defaults
 * @throws PresetError naming the option, what came and what was expected
 */
export const describePreset = (name: string, options: Given = {}): ModelDescription =>
  withOptions(name, options, (preset, checked) => preset.describe(checked));

/** What a preset is trained for when nobody says. @throws PresetError as `describePreset` does */
export const objectiveOfPreset = (name: string, options: Given = {}): Objective =>
  withOptions(name, options, (preset, checked) => preset.objective?.(checked) ?? classification);

function withOptions<T>(
  name: string,
  options: Given,
  body: (preset: Preset, checked: ReturnType<typeof checkOptions>) => T,
): T {
  const preset = presetNamed(name);
  if (!preset) throw new PresetError(`no preset '${name.slice(0, 64)}'${suggest(name, presetNames)}`);
  try {
    return body(preset, checkOptions(preset.options, options, []));
  } catch (cause) {
    if (cause instanceof OptionError) throw new PresetError(`preset ${name}: ${cause.message}`, cause.option);
    throw cause;
  }
}
