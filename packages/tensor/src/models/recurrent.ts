/** Recurrent networks: classes of texts, forecasts of series. */
import { definePreset, dropoutLayers, dropoutRate, size } from './preset.ts';

const layersOption = size(1, 'Recurrent layers on top of one another.', 16);

const textClassifier = (cell: 'lstm' | 'gru', title: string) =>
  definePreset({
    summary: `Classifies texts: embedding, ${title}, dense.`,
    options: {
      classes: size(2, 'Number of classes.', 2 ** 24),
      tokens: size(10_000, 'Size of the vocabulary.', 2 ** 24),
      context: size(100, 'Tokens of a text; shorter ones are padded.'),
      embed: size(64, "Length of a token's vector."),
      units: size(64, 'Length of the hidden state.'),
      layers: layersOption,
      bidirectional: {
        kind: 'boolean',
        default: false,
        describe: 'Whether a second one reads the text backwards.',
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
  summary: 'Forecasts a series from a window of it: LSTM, dense.',
  options: {
    window: size(24, 'Steps that it sees.'),
    features: size(1, 'Numbers of each step.'),
    horizon: size(1, 'Numbers that it forecasts: steps ahead, times columns.'),
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
