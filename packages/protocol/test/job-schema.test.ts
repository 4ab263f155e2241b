/** The JSON Schema of job files, as an editor applies it: every layer, preset and option is known and described. */
import { readdirSync, readFileSync } from 'node:fs';
import { layerNamed, layerTypeNames } from '@kasane/tensor/internal/nn/index';
import { presetNames, presets } from '@kasane/tensor/models/presets';
import { buildModel, type LayerDescription } from '@kasane/tensor/nn/model';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { jobJsonSchema } from '../src/job/job.ts';

interface Schema {
  readonly description?: string;
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}
const schema = jobJsonSchema() as Schema;
const editor = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
const accepts = (job: unknown) => editor.safeParse(job).success;
const ofModel = (model: object) => accepts({ name: 'x', model });
const ofLayer = (...layers: readonly object[]) => ofModel({ input: [4], classes: 2, layers });

it('every key is described', () => {
  const bare: string[] = [];
  const walk = (at: Schema, path: string) => {
    for (const [key, child] of Object.entries(at.properties ?? {})) {
      if (!child.description && child.const === undefined) bare.push(`${path}.${key}`);
      walk(child, `${path}.${key}`);
    }
    if (at.items) walk(at.items, `${path}[]`);
    for (const branch of [...(at.anyOf ?? []), ...(at.oneOf ?? [])]) {
      const constant = Object.values(branch.properties ?? {}).find((one) => one.const !== undefined);
      if (branch.properties && !branch.description && !constant?.description) bare.push(`a form of ${path}`);
      walk(branch, path);
    }
  };
  walk(schema, '');
  expect(bare).toEqual([]);
});

describe.each(layerTypeNames)('%s', (name) => {
  const { about, summary, options } = layerNamed(name)!;
  const { example } = about;

  it('is described', () => {
    const texts = Object.values(options).map(({ describe }) => describe);
    for (const text of [summary, ...texts]) expect(text).toMatch(/^\S.{8,}[^\s]$/);
    expect(about.explains).toMatch(/^[A-Z].*\.$/);
    const sentences = about.explains.split(/[.:;] /).length;
    expect(sentences).toBeGreaterThanOrEqual(3);
    for (const text of [about.takes, about.gives, about.formula]) expect(text).not.toBe('');
  });

  it('has an example that shows it, that editors accept, and of which a model can be built', () => {
    expect(example.layers.map(({ type }) => type)).toContain(name);
    expect(ofModel(example)).toBe(true);
    const layers = example.layers as unknown as readonly LayerDescription[];
    expect(buildModel({ ...example, layers }).outputShape).toEqual(example.output);
  });

  it('has options that are required and others, and no further ones', () => {
    const own = example.layers.find(({ type }) => type === name)!;
    const required = Object.keys(options).filter((option) => options[option]!.default === undefined);
    for (const option of required) {
      const { [option]: _, ...rest } = own;
      expect(ofLayer(rest), option).toBe(false);
    }
    expect(ofLayer(own)).toBe(true);
    expect(ofLayer({ ...own, [`${Object.keys(options)[0] ?? 'option'}s`]: 1 })).toBe(false);
  });
});

it('accepts every preset with its options, and no others', () => {
  for (const preset of presetNames) {
    const { options } = presets[preset];
    const given = Object.entries(options).map(([name, rule]) => [name, rule.default ?? 4]);
    const model = { preset, ...Object.fromEntries(given) };
    expect(ofModel(model), preset).toBe(true);
    expect(ofModel({ ...model, steam: 'x' }), preset).toBe(false);
  }
});

it('accepts the examples', () => {
  const folder = new URL('../../../examples/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) {
    const result = editor.safeParse(parse(readFileSync(new URL(name, folder), 'utf8')));
    expect(result.error?.issues ?? [], name).toEqual([]);
  }
});

it.each([
  [{ type: 'relo' }],
  [{ type: 'dense', unit: 10 }],
  [{ type: 'dense', units: 0 }],
  [{ type: 'dense', units: 10, bias: 'no' }],
  [{ type: 'conv2d', filters: 8, size: [3, 3, 3] }],
  [{ type: 'lstm', units: 8, returns: 'first' }],
  [{ type: 'dropout', rate: 1 }],
  [{ type: 'relu', name: '1st' }],
  [{ type: 'reshape', shape: [] }],
])('refuses %j', (layer) => expect(ofLayer(layer)).toBe(false));

it.each([
  [{ preset: 'resnet-19' }],
  [{ preset: 'resnet-18', steam: 'x' }],
  [{ preset: 'resnet-18', stem: 'x' }],
])('refuses %j', (model) => expect(ofModel(model)).toBe(false));
