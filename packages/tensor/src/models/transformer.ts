/** Transformers over tokens: scores of the whole vocabulary for each place of the context. */
import type { LayerDescription } from '../nn/model.ts';
import { definePreset, dropoutLayers, dropoutRate, size } from './preset.ts';

const shared = {
  tokens: size(259, 'Size of the vocabulary; 259 covers all bytes and three special tokens.', 2 ** 24),
  context: size(128, 'Tokens per sample.'),
  width: size(128, 'Length of the vectors between the layers; must be divisible by heads.'),
  depth: size(4, 'Number of transformer blocks.', 200),
  heads: size(4, 'Attention heads per block.', 1024),
  dropout: dropoutRate(0.1),
} as const;

interface Sizes {
  readonly tokens: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly dropout: number;
}

const embeddings = ({ tokens, width }: Sizes): LayerDescription[] => [
  { type: 'embedding', tokens, units: width, name: 'tokens' },
  { type: 'positionalEncoding', kind: 'learned', name: 'positions' },
];

/** What the blocks of a model have besides heads and dropout. */
type Kind = Omit<Extract<LayerDescription, { type: 'transformerBlock' }>, 'type' | 'name' | 'from' | 'heads'>;

const blocks = ({ depth, heads, dropout }: Sizes, kind: Kind) =>
  Array.from(
    { length: depth },
    (_, index): LayerDescription => ({
      type: 'transformerBlock',
      heads,
      dropout,
      ...kind,
      name: `block-${index}`,
    }),
  );

export const gpt = definePreset({
  summary:
    'Decoder like GPT-2 (Radford et al. 2019): predicts each next token; embedding and head are not tied.',
  options: shared,
  describe: ({ context, ...sizes }) => ({
    input: [context],
    output: [context, sizes.tokens],
    layers: [
      ...embeddings(sizes),
      ...dropoutLayers(sizes.dropout, 'dropout'),
      ...blocks(sizes, { causal: true, normFirst: true }),
      { type: 'layerNorm', name: 'norm' },
      { type: 'dense', units: sizes.tokens, bias: false, name: 'head' },
    ],
  }),
  objective: () => ({ type: 'next-token' }),
});

export const llama = definePreset({
  summary:
    'Decoder like Llama (Touvron et al. 2023): rotary positions, fewer heads of keys and values than of queries, rmsNorm, swiglu and no biases; embedding and head are not tied.',
  options: {
    ...shared,
    keyValueHeads: size(2, 'Heads of keys and values per block; must divide heads.', 1024),
  },
  describe: ({ context, keyValueHeads, ...sizes }) => ({
    input: [context],
    output: [context, sizes.tokens],
    layers: [
      { type: 'embedding', tokens: sizes.tokens, units: sizes.width, name: 'tokens' },
      ...dropoutLayers(sizes.dropout, 'dropout'),
      ...blocks(sizes, {
        ...{ causal: true, normFirst: true, keyValueHeads, rotary: true },
        ...{ norm: 'rms', feedForward: 'swiglu', bias: false },
      }),
      { type: 'rmsNorm', name: 'norm' },
      { type: 'dense', units: sizes.tokens, bias: false, name: 'head' },
    ],
  }),
  objective: () => ({ type: 'next-token' }),
});

export const bert = definePreset({
  summary: 'Encoder like BERT (Devlin et al. 2019), without segments: predicts masked tokens.',
  options: shared,
  describe: ({ context, ...sizes }) => ({
    input: [context],
    output: [context, sizes.tokens],
    layers: [
      ...embeddings(sizes),
      { type: 'layerNorm', name: 'norm' },
      ...dropoutLayers(sizes.dropout, 'dropout'),
      ...blocks(sizes, { causal: false, normFirst: false }),
      { type: 'dense', units: sizes.width, name: 'transform' },
      { type: 'gelu' },
      { type: 'layerNorm', name: 'transform-norm' },
      { type: 'dense', units: sizes.tokens, name: 'head' },
    ],
  }),
  objective: () => ({ type: 'masked-token' }),
});
