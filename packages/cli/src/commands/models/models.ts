/** `kasane models`: which presets there are with their options, and what a model consists of. */
import { existsSync } from 'node:fs';
import { KasaneError } from '@kasane/protocol/errors';
import { checkJob } from '@kasane/protocol/job';
import { suggest } from '@kasane/tensor/internal/nn/nearest';
import { wanted } from '@kasane/tensor/internal/nn/options';
import { type Preset, presetNamed, presetNames, presets } from '@kasane/tensor/models/presets';
import { summarizeLayers, summary } from '@kasane/tensor/nn/summary';
import { readJob } from '../../files/read-job.ts';
import { out } from '../../output/say.ts';
import { table } from '../../render/table.ts';

export interface ModelsOptions {
  readonly json?: boolean;
  /** Options of the preset, NAME=VALUE each. */
  readonly set?: readonly string[];
}

export async function models(name: string | undefined, { json, set = [] }: ModelsOptions): Promise<void> {
  const print = (text: string, data: unknown) => out.write(`${json ? JSON.stringify(data) : text}\n`);
  if (name === undefined) {
    const list = presetNames.map((name) => ({ name, ...presetRecord(presets[name]) }));
    const rows = list.map(({ name, summary }) => [name, summary]);
    print(table(['PRESET', 'WHAT'], rows), list);
    return;
  }
  const preset = existsSync(name) ? undefined : presetNamed(name);
  if (!preset) {
    if (!existsSync(name) && !/[./\\]/.test(name)) {
      throw new KasaneError(
        'JOB_INVALID',
        `no preset '${name}', and no such file${suggest(name, presetNames)}`,
      );
    }
    const { model } = await readJob(name);
    print(summary(model), summarizeLayers(model));
    return;
  }
  const options = Object.fromEntries(set.map(readOption));
  const { model } = checkJob({ name, model: { preset: name, ...options } }, () => 'command line');
  const { summary: what, options: rules } = presetRecord(preset);
  const rows = rules.map(({ name, expects, default: value, describe }) => {
    return [name, value === undefined ? 'needed' : JSON.stringify(value), describe, expects];
  });
  const parts = [what, table(['OPTION', 'DEFAULT', 'WHAT', 'EXPECTS'], rows), summary(model)];
  print(parts.join('\n\n'), summarizeLayers(model));
}

/** A preset as `--json` has it. */
function presetRecord({ summary, options }: Preset) {
  const rules = Object.entries(options).map(([name, rule]) => {
    return { name, expects: wanted(rule), default: rule.default, describe: rule.describe };
  });
  return { summary, options: rules };
}

/** NAME=VALUE; what is no JSON is text. */
function readOption(text: string): [string, unknown] {
  const [, name, value] = /^(\w+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new KasaneError('JOB_INVALID', `--set ${text}: expected NAME=VALUE, such as classes=10`);
  }
  try {
    return [name, JSON.parse(value)];
  } catch {
    return [name, value];
  }
}
