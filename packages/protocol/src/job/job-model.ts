/**
 * The `model` section of a job file. What layers and presets take is checked where models are built, which can say more; here
 * their declarations become JSON Schema, so that editors know every option too.
 */

import { layerNamed, layerTypeNames } from '@kasane/tensor/internal/nn/index';
import type { LayerType, OptionRule, OptionRules } from '@kasane/tensor/internal/nn/layer';
import { MAX_EXTENT } from '@kasane/tensor/internal/nn/options';
import { type Preset, presetNames, presets } from '@kasane/tensor/models/presets';
import * as z from '../gen/zod.js';

const layerSchema = z.looseObject({ type: z.string() });
const presetSchema = z.looseObject({ preset: z.string() });
/** What else is in it is checked where models are built. */
const graphSchema = z.looseObject({ version: z.int().describe('Version of the format. This one is 1.') });
const shapeSchema = z.array(z.int().positive()).min(1);

export const modelSchema = z
  .union([
    presetSchema,
    z
      .strictObject({
        input: shapeSchema
          .optional()
          .describe(
            'Shape of one sample. Omit it if the model has input layers, which describe the parts of a sample.',
          ),
        classes: z.int().min(2).optional().describe('For a classifier: the number of classes.'),
        output: shapeSchema
          .optional()
          .describe('For other models, instead of classes: the shape of the output.'),
        layers: z.array(layerSchema).min(1).describe('The layers, from input to output.'),
        definitions: z
          .record(z.string(), graphSchema)
          .optional()
          .describe(
            'Layers that a program defined (`defineModel`, `defineLayer`), as graphs of operations, by the types that layers name them by.',
          ),
        loss: graphSchema
          .optional()
          .describe('A loss that a program defined (`defineModel`), as a graph of operations.'),
      })
      .describe('A list of layers.'),
  ])
  .describe('The network: a preset with its options, or a list of layers.');

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Fills in what the zod schema leaves open. For `z.toJSONSchema`. */
export function describeModelJson({
  zodSchema,
  jsonSchema,
}: {
  readonly zodSchema: z.core.$ZodTypes;
  readonly jsonSchema: JsonSchema;
}): void {
  const branches =
    zodSchema === layerSchema
      ? layerTypeNames.map((name) => layerJson(layerNamed(name)!))
      : zodSchema === presetSchema
        ? presetNames.map((name) => presetJson(name, presets[name]))
        : undefined;
  if (!branches) return;
  for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
  jsonSchema.oneOf = branches;
}

const NAME = {
  type: 'string',
  pattern: '^[A-Za-z][A-Za-z0-9_-]{0,63}$',
  description:
    'Name of the layer. Default: its type and its number among the layers of that type, from 1, such as dense1.',
} as const satisfies JsonSchema;
const FROM = {
  anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
  description: "Names of the layers whose outputs this one takes, or 'input'. Default: the layer before.",
} as const satisfies JsonSchema;

const TIED = {
  type: 'object',
  additionalProperties: { type: 'string' },
  description:
    'Parameters that are those of a layer before this one, by their names in this one: { weight: dense1.weight }.',
} as const satisfies JsonSchema;

function layerJson({ type, summary, options, inputs }: LayerType): JsonSchema {
  const common = inputs?.most === 0 ? { name: NAME } : { name: NAME, from: FROM, tied: TIED };
  return objectJson('type', type, summary, options, common);
}

const presetJson = (name: string, { summary, options }: Preset): JsonSchema =>
  objectJson('preset', name, summary, options, {});

function objectJson(
  key: string,
  value: string,
  summary: string,
  rules: OptionRules,
  common: Readonly<Record<string, JsonSchema>>,
): JsonSchema {
  const options = Object.entries(rules).map(([name, rule]) => [name, optionJson(rule)] as const);
  const needed = Object.entries(rules).filter(([, rule]) => rule.default === undefined);
  return {
    type: 'object',
    description: summary,
    properties: {
      [key]: { type: 'string', const: value, description: summary },
      ...Object.fromEntries(options),
      ...common,
    },
    required: [key, ...needed.map(([name]) => name)],
    additionalProperties: false,
  };
}

function optionJson(rule: OptionRule): JsonSchema {
  const { describe: description, default: standard } = rule;
  const rest = { description, ...(standard !== undefined && { default: standard }) } as JsonSchema;
  switch (rule.kind) {
    case 'boolean':
      return { type: 'boolean', ...rest };
    case 'integer':
      return { type: 'integer', minimum: rule.minimum, maximum: rule.maximum, ...rest };
    case 'number':
      return { type: 'number', minimum: rule.minimum, exclusiveMaximum: rule.below, ...rest };
    case 'choice':
      return { type: 'string', enum: [...rule.choices], ...rest };
    case 'pair': {
      const one = { type: 'integer', minimum: rule.minimum, maximum: rule.maximum } as const;
      return { anyOf: [one, { type: 'array', items: one, minItems: 2, maxItems: 2 }], ...rest };
    }
    case 'shape': {
      const items = { type: 'integer', minimum: 1, maximum: MAX_EXTENT } as const;
      return { type: 'array', items, minItems: 1, ...rest };
    }
  }
}
