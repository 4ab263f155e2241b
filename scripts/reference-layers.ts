/** The pages of docs/reference on layers and presets, from their declarations. */
import { exampleText, layerRecord } from '../packages/cli/src/commands/models/layers.ts';
import { presetNames, presets } from '../packages/tensor/src/models/presets.ts';
import { layerNamed, layerTypeNames } from '../packages/tensor/src/nn/index.ts';
import type { OptionRules } from '../packages/tensor/src/nn/layer.ts';
import { wanted } from '../packages/tensor/src/nn/options.ts';

const cell = (text: string) => text.replaceAll('|', '\\|');

/** A section for each layer. */
export function layers(): string[] {
  const intro =
    'A layer in a job file has a `type` and the options of that type. Every layer may also have a `name` and, except for `input`, `from`: the names of the layers whose outputs it takes (default: the layer before). `kasane layers NAME` prints the same. Shapes are those of one sample.';
  const list = layerTypeNames.map((name) => layerNamed(name)!);
  const index = list.map(
    ({ type, summary }) => `| [\`${type}\`](#${type.toLowerCase()}) | ${cell(summary)} |`,
  );
  const sections = list.flatMap((layer) => {
    const { type, explains, takes, gives, formula, paper } = layerRecord(layer);
    return [
      ...[`## ${type}`, '', explains, ''],
      ...['| | |', '| --- | --- |', `| In | ${cell(takes)} |`, `| Out | ${cell(gives)} |`],
      `| Formula | ${cell(`\`${formula}\``)} |`,
      ...(paper === null ? [] : [`| Paper | ${cell(paper)} |`]),
      ...['', ...options(layer.options), '```yaml', exampleText(layer), '```', ''],
    ];
  });
  return ['# Layers', '', intro, '', '| layer | |', '| --- | --- |', ...index, '', ...sections];
}

/** A section for each preset. */
export function presetsPage(): string[] {
  const intro =
    'A preset is a model that a job file names instead of listing layers: `model: { preset: resnet-18, classes: 10, stem: cifar }`. `kasane models NAME` prints its layers.';
  const sections = presetNames.flatMap((name) => {
    const { summary, options: rules } = presets[name];
    return [`## ${name}`, '', summary, '', ...options(rules)];
  });
  return ['# Presets', '', intro, '', ...sections];
}

function options(rules: OptionRules): string[] {
  const rows = Object.entries(rules).map(([name, rule]) => {
    const standard = rule.default === undefined ? 'required' : `\`${JSON.stringify(rule.default)}\``;
    return `| \`${name}\` | ${wanted(rule)} | ${standard} | ${cell(rule.describe)} |`;
  });
  if (rows.length === 0) return [];
  return ['| option | value | default | description |', '| --- | --- | --- | --- |', ...rows, ''];
}
