/** Recurrent networks: classes of texts, forecasts of series. */
import { definePreset, dropoutLayers, dropoutRate, size } from './preset.ts';

const layersOption = size(1, 'Number of stacked recurrent layers.', 16);

const textClassifier = (cell: 'lstm' | 'gru', title: string) =>
  definePreset({
    summary: `Classifies texts: embedding, ${title}, dense.`,
    options: {
      classes: size(2, 'Number of classes.', 2 ** 24),
      tokens: size(10_000, 'Size of the vocabulary.', 2 ** 24),
      context: size(100, 'Tokens per text; shorter texts are padded.'),
      embed: size(64, "Length of a token's embedding."),
      units: size(64, 'Length of the hidden state.'),
      layers: layersOption,
      bidirectional: {
        kind: 'boolean',
        default: false,
        describe: 'Whether a second layer reads the text backwards.',
      },
      dropout: dropoutRate(0),
    },
    describe: ({ classes, tokens, context, embed, units, layers, bidirectional, dropout }) => ({
      input: [context],
      classes,
      layers: [
        { type: 'embedding', tokens, units: embed, std: 0.1, name: 'tokens' },
        { type: cell, units, layers, bidirectional, name: cell },
        ...dropoutLayers(dropout, 'dropout'),
        { type: 'dense', units: classes, name: 'head' },
      ],
    }),
  });

export const lstmText = textClassifier('lstm', 'LSTM');
export const gruText = textClassifier('gru', 'GRU');

export const lstmForecast = definePreset({
  summary: 'Forecasts a series from a window: LSTM, dense.',
  options: {
    window: size(24, 'Steps of the window.'),
    features: size(1, 'Numbers per step.'),
    horizon: size(1, 'Numbers to forecast: steps ahead times columns.'),
    units: size(32, 'Length of the hidden state.'),
    layers: layersOption,
    dropout: dropoutRate(0),
  },
  describe: ({ window, features, horizon, units, layers, dropout }) => ({
    input: [window, features],
    output: [horizon],
    layers: [
      { type: 'lstm', units, layers, name: 'lstm' },
      ...dropoutLayers(dropout, 'dropout'),
      { type: 'dense', units: horizon, name: 'head' },
    ],
  }),
  objective: () => ({ type: 'regression' }),
});
