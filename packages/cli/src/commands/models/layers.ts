/** `kasane layers`: which layers there are, and what each does, takes and can be told. */
import { KasaneError } from '@kasane/protocol/errors';
import { layerNamed, layerTypeNames } from '@kasane/tensor/internal/nn/index';
import type { LayerType } from '@kasane/tensor/internal/nn/layer';
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { wanted } from '@kasane/tensor/internal/nn/options';
import { out } from '../../output/say.ts';
import { table } from '../../render/table.ts';
import { wrapped } from '../../render/wrapped.ts';

export interface LayersOptions {
  readonly json?: boolean;
}

export function layers(name: string | undefined, { json }: LayersOptions): void {
  const print = (text: string, data: unknown) => out.write(`${json ? JSON.stringify(data) : text}\n`);
  if (name === undefined) {
    const list = layerTypeNames.map((each) => layerNamed(each)!);
    const rows = list.map(({ type, summary }) => [type, summary]);
    print(table(['LAYER', 'WHAT'], rows), list.map(layerRecord));
    return;
  }
  const layer = layerNamed(name);
  if (!layer)
    throw new KasaneError(
      'JOB_INVALID',
      `no layer type '${name.slice(0, 64)}'${suggest(name, layerTypeNames)}`,
    );
  print(page(layer), layerRecord(layer));
}

/** A layer as `--json` has it. */
export function layerRecord({ type, summary, about, options }: LayerType) {
  const { explains, takes, gives, formula, paper = null, example } = about;
  const rules = Object.entries(options).map(([name, rule]) => ({
    name,
    expects: wanted(rule),
    default: rule.default ?? null,
    describe: rule.describe,
  }));
  return { type, summary, explains, takes, gives, formula, paper, options: rules, example };
}

function page(layer: LayerType): string {
  const { type, summary, explains, takes, gives, formula, paper, options } = layerRecord(layer);
  const facts = { In: takes, Out: gives, Formula: formula, ...(paper !== null && { Paper: paper }) };
  const rules = options.map(({ name, expects, default: value, describe }) => {
    const standard = value === null ? 'required' : `default ${JSON.stringify(value)}`;
    return [name, `${describe} (${expects}; ${standard})`] as const;
  });
  return [
    `${type}: ${summary}`,
    wrapped(explains),
    hanging(Object.entries(facts)),
    rules.length > 0 ? `Options:\n${hanging(rules)}` : 'It has no options of its own.',
    `Example:\n${exampleText(layer).replace(/^/gm, '  ')}`,
  ].join('\n\n');
}

/** Texts behind their labels, whose further lines begin below the text. */
function hanging(entries: readonly (readonly [string, string])[]): string {
  const width = 4 + Math.max(...entries.map(([label]) => label.length));
  const lines = entries.map(([label, text]) => {
    const indented = wrapped(text, 80 - width).replaceAll('\n', `\n${' '.repeat(width)}`);
    return `  ${label}`.padEnd(width) + indented;
  });
  return lines.join('\n');
}

/** The example as a job file has it. */
export function exampleText({ about }: LayerType): string {
  const { layers, ...shapes } = about.example;
  return [
    'model:',
    ...Object.entries(shapes).map(([key, shape]) => `  ${key}: [${shape.join(', ')}]`),
    '  layers:',
    ...layers.map((layer) => `    - { ${Object.entries(layer).map(pair).join(', ')} }`),
  ].join('\n');
}

const pair = ([key, value]: readonly [string, unknown]): string =>
  `${key}: ${Array.isArray(value) ? `[${value.join(', ')}]` : value}`;
