/** Sweep files: what they may say, and what is wrong with others. */
import { expect, it } from 'vitest';
import { KasaneError } from '../src/errors.ts';
import { parseJobFile, parseSweepFile } from '../src/job/job-file.ts';
import { checkSweep } from '../src/job/job-search.ts';
import { gridPoints } from '../src/job/search-space.ts';

const head = (search: string, training = 'epochs: 9') =>
  `name: a\nmodel: { preset: mnist-mlp }\ntraining: { ${training} }\nsearch:\n${search
    .split('\n')
    .map((l) => `  ${l}`)
    .join('\n')}\n`;
const param = (...lines: string[]) => head(`parameters:\n${lines.map((l) => `  ${l}`).join('\n')}`);
const layers = `name: a
model:
  input: [4]
  classes: 2
  layers: [{ type: dense, units: 4 }, { type: dense, units: 2 }]
search:
  parameters:
    `;

const refused: readonly (readonly [what: string, text: string, message: string])[] = [
  [
    'no section',
    'name: a\nmodel: { preset: mnist-mlp }\n',
    'my.yaml: search is missing; a sweep is a job file with `search: { parameters: { training.learningRate: { log: [0.0001, 0.1] } } }`',
  ],
  [
    'nothing in the section',
    'name: a\nmodel: { preset: mnist-mlp }\nsearch:\n',
    'my.yaml:3: search: expected keys with values, such as { a: 1 }, not null',
  ],
  [
    'no parameters',
    head('trials: 3'),
    'my.yaml:4: search.parameters: it is missing; expected keys with values, such as { a: 1 }',
  ],
  [
    'empty parameters',
    head('parameters: {}'),
    'my.yaml:5: search.parameters: it is empty; expected at least one path with a range or choices',
  ],
  [
    'a mistyped option',
    head('sampeler: tpe\nparameters: { training.batch: { choices: [8, 16] } }'),
    "my.yaml:5: search.sampeler: unknown key; did you mean 'sampler'? Available: metric, sampler, population, inherit, trials, atOnce, seed, order, halving, keepCheckpoints, parameters",
  ],
  [
    'a sampler that does not exist',
    head('sampler: bayes\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.sampler: expected one of grid, random, sobol, tpe, evolution, population',
  ],
  [
    'a population of another sampler',
    head('sampler: tpe\npopulation: 4\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:6: search.population: the sampler is tpe; remove this, or set sampler: population',
  ],
  [
    'weights handed on by a sampler without parents',
    head('sampler: tpe\ninherit: true\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:6: search.inherit: sampler tpe does not make trials from earlier ones; use sampler evolution or population',
  ],
  [
    'a population that is told to hand on',
    head('sampler: population\ninherit: false\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:6: search.inherit: sampler population always hands weights on; remove this',
  ],
  [
    'a population with halving',
    head(
      'sampler: population\nhalving: { minEpochs: 3 }\nparameters: { training.batch: { choices: [8, 16] } }',
    ),
    'my.yaml:6: search.halving: trials start from the final weights of earlier ones, and those that are stopped early have none; remove halving',
  ],
  [
    'a population by arrival',
    head('sampler: population\norder: arrival\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:6: search.order: a generation starts when the one before has ended, so nothing depends on the order of arrival; remove this',
  ],
  [
    'a seed that varies where weights are handed on',
    head('sampler: evolution\ninherit: true\nparameters: { training.seed: { choices: [8, 16] } }'),
    'my.yaml:7: search.parameters.training.seed: it cannot vary where trials start from the weights of earlier ones: it follows from those',
  ],
  [
    'tensors that vary in a population',
    `${layers}model.layers.0.units: { integers: [4, 8] }\n  sampler: population\n`,
    'my.yaml:8: search.parameters.model.layers.0.units: it changes the tensors of the model (dense1.weight [4, 8] instead of [4, 4]), so weights cannot be handed on whole; vary keys that do not, such as training.learningRate or the rate of a dropout layer, or use sampler evolution with inherit: true',
  ],
  [
    'less than whole generations',
    head('sampler: population\ntrials: 32\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:6: search.trials: 32 are not whole generations of 6; expected 30 or 36, or another population',
  ],
  [
    'a single generation',
    head(
      'sampler: population\npopulation: 8\ntrials: 8\nparameters: { training.batch: { choices: [8, 16] } }',
    ),
    'my.yaml:7: search.trials: 8, and a generation has 8, so none would start from the weights of another; expected at least 16, or a smaller population',
  ],
  [
    'no trials',
    head('trials: 0\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.trials: expected a number above 0',
  ],
  [
    'too many trials at once',
    head('atOnce: 1000\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.atOnce: expected a number of at most 64',
  ],
  [
    'a value instead of a range',
    param('training.batch: 64'),
    'my.yaml:6: search.parameters.training.batch: expected a range or choices, such as { uniform: [0, 1] } or { choices: [1, 2] }',
  ],
  [
    'a mistyped kind',
    param('training.learningRate: { unifrom: [0.1, 1] }'),
    "my.yaml:6: search.parameters.training.learningRate: unknown key 'unifrom'; did you mean 'uniform'? Available: uniform, log, integers, choices",
  ],
  [
    'no kind',
    param('training.learningRate: {}'),
    'my.yaml:6: search.parameters.training.learningRate: expected one of uniform, log, integers, choices',
  ],
  [
    'two kinds',
    param('training.learningRate: { log: [0.1, 1], uniform: [0.1, 1] }'),
    'my.yaml:6: search.parameters.training.learningRate: both uniform and log; expected one of them',
  ],
  [
    'a mistyped option of a range',
    param('training.learningRate: { log: [0.1, 1], pionts: 3 }'),
    "my.yaml:6: search.parameters.training.learningRate.pionts: unknown key; did you mean 'points'? Available: integers, step, log, when, uniform, points, choices",
  ],
  [
    'three ends',
    param('training.learningRate: { log: [0.1, 1, 2] }'),
    'my.yaml:6: search.parameters.training.learningRate.log: expected at most 2 items',
  ],
  [
    'text in a range',
    param('training.learningRate: { log: [a, 1] }'),
    'my.yaml:6: search.parameters.training.learningRate.log.0: expected a number, not text',
  ],
  [
    'a fraction among integers',
    param('training.batch: { integers: [1.5, 4] }'),
    'my.yaml:6: search.parameters.training.batch.integers.0: expected a whole number',
  ],
  [
    'the wrong way round',
    param('training.learningRate: { uniform: [1, 0.1] }'),
    'my.yaml:6: search.parameters.training.learningRate.uniform: the first value, 1, is larger than the second; write [0.1, 1]',
  ],
  [
    'a range of one number',
    param('training.learningRate: { uniform: [1, 1] }'),
    'my.yaml:6: search.parameters.training.learningRate.uniform: only 1 is in this range; set training.learningRate to it instead',
  ],
  [
    'the logarithm of 0',
    param('training.learningRate: { log: [0, 1] }'),
    'my.yaml:6: search.parameters.training.learningRate.log: it begins at 0, which has no logarithm; expected a first value above 0',
  ],
  [
    'the logarithm of 0, of integers',
    param('training.shards: { integers: [0, 4], log: true }'),
    'my.yaml:6: search.parameters.training.shards.integers: it begins at 0, which has no logarithm; expected a first value above 0',
  ],
  [
    'steps on a logarithmic scale',
    param('training.batch: { integers: [8, 64], log: true, step: 8 }'),
    'my.yaml:6: search.parameters.training.batch.step: a logarithmic scale has no steps; remove step or log',
  ],
  [
    'a step beyond the range',
    param('training.batch: { integers: [8, 64], step: 80 }'),
    'my.yaml:6: search.parameters.training.batch.step: 80 is larger than the range; expected at most 56',
  ],
  [
    'a choice twice',
    param('training.batch: { choices: [8, 16, 8] }'),
    'my.yaml:6: search.parameters.training.batch.choices: 8 appears twice; remove one of them',
  ],
  [
    'no choices',
    param('training.batch: { choices: [] }'),
    'my.yaml:6: search.parameters.training.batch.choices: it is empty',
  ],
  [
    'the name',
    param('name: { choices: [a, b] }'),
    'my.yaml:6: search.parameters.name: trials are numbered, so the name cannot vary',
  ],
  [
    'epochs',
    param('training.epochs: { choices: [1, 2] }'),
    'my.yaml:6: search.parameters.training.epochs: trials are compared after the same number of epochs; use search.halving to stop bad ones early',
  ],
  [
    'a section with the epochs',
    param('training: { choices: [{ batch: 1 }, { batch: 2 }] }'),
    'my.yaml:6: search.parameters.training: trials are compared after the same number of epochs; use search.halving to stop bad ones early',
  ],
  ...['data.target', 'data.validation', 'data.path'].map((path): [string, string, string] => [
    `what is tested: ${path}`,
    param(`${path}: { choices: [0.1, 0.2] }`),
    `my.yaml:6: search.parameters.${path}: it decides what trials are tested on, so their results could not be compared; set it in the job instead, or run a sweep for each value`,
  ]),
  [
    'the loss that trials are compared by',
    param('objective.loss: { choices: [mse, mae] }'),
    'my.yaml:6: search.parameters.objective.loss: trials would be compared by different losses; set search.metric to testError, which does not depend on the loss',
  ],
  [
    'the objective',
    param('objective.type: { choices: [regression, binary] }'),
    'my.yaml:6: search.parameters.objective.type: trials with different objectives could not be compared; run a sweep for each',
  ],
  [
    'the search itself',
    param('search.trials: { choices: [1, 2] }'),
    'my.yaml:6: search.parameters.search.trials: the search itself cannot vary',
  ],
  [
    'two dots',
    param('training..batch: { choices: [8, 16] }'),
    'my.yaml:6: search.parameters.training..batch: expected keys with a dot between them, such as training.batch',
  ],
  [
    'a section after a key in it',
    param(
      'training.optimizer.momentum: { uniform: [0, 0.9] }',
      'training.optimizer: { choices: [{ type: sgd }, { type: adam }] }',
    ),
    'my.yaml:7: search.parameters.training.optimizer: it would replace training.optimizer.momentum, which is set before; move it above that',
  ],
  [
    'a condition on itself',
    param('training.batch: { choices: [8, 16], when: { training.batch: 8 } }'),
    'my.yaml:6: search.parameters.training.batch.when.training.batch: a condition on itself',
  ],
  [
    'a condition on what is below',
    param(
      'training.batch: { choices: [8, 16], when: { training.shards: 1 } }',
      'training.shards: { choices: [1, 2] }',
    ),
    'my.yaml:6: search.parameters.training.batch.when.training.shards: training.shards is below; move it above training.batch',
  ],
  [
    'a mistyped condition',
    param(
      'training.shards: { choices: [1, 2] }',
      'training.batch: { choices: [8, 16], when: { training.shrads: 1 } }',
    ),
    "my.yaml:7: search.parameters.training.batch.when.training.shrads: not a parameter above this one; did you mean 'training.shards'? Available: training.shards",
  ],
  [
    'a condition on a fixed key',
    param('training.batch: { choices: [8, 16], when: { training.shards: 1 } }'),
    'my.yaml:6: search.parameters.training.batch.when.training.shards: not a parameter above this one; available: none',
  ],
  [
    'a condition that never holds',
    param(
      'training.shards: { choices: [1, 2] }',
      'training.batch: { choices: [8, 16], when: { training.shards: 4 } }',
    ),
    'my.yaml:7: search.parameters.training.batch.when.training.shards: training.shards is never 4; expected 1, 2',
  ],
  [
    'a list of which one never holds',
    param(
      'training.shards: { integers: [1, 4] }',
      'training.batch: { choices: [8, 16], when: { training.shards: [1, 9] } }',
    ),
    'my.yaml:7: search.parameters.training.batch.when.training.shards: training.shards is never 9',
  ],
  [
    'a condition on any number',
    param(
      'training.learningRate: { uniform: [0.1, 1] }',
      'training.batch: { choices: [8, 16], when: { training.learningRate: 0.5 } }',
    ),
    'my.yaml:7: search.parameters.training.batch.when.training.learningRate: training.learningRate is any number of a range; only choices and integers can be conditions',
  ],
  [
    'a grid of a range',
    head('sampler: grid\nparameters: { training.learningRate: { log: [0.01, 0.1] } }'),
    'my.yaml:6: search.parameters.training.learningRate: a grid needs the number of values of this range; add points, such as points: 5',
  ],
  [
    'more points than trials',
    head(
      'sampler: grid\ntrials: 5\nparameters: { training.batch: { choices: [8, 16, 32] }, training.shards: { choices: [1, 2] } }',
    ),
    'my.yaml:6: search.trials: the grid has 6 points, and at most 5 trials are allowed; use fewer values, or sampler random',
  ],
  [
    'far too many points',
    head('sampler: grid\nparameters: { training.batch: { integers: [8, 900000] } }'),
    'my.yaml:5: search.sampler: the grid has more than 10000 points, and at most 10000 trials are allowed; use fewer values, or sampler random',
  ],
  [
    'too many parameters for Sobol',
    head(
      'sampler: sobol\nparameters:\n' +
        Array.from({ length: 22 }, (_, i) => `  k${i}: { uniform: [0, 1] }`).join('\n'),
    ),
    'my.yaml:5: search.sampler: sobol takes at most 21 parameters, and there are 22; use random or tpe',
  ],
  [
    'a metric of another objective',
    head('metric: testError\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.metric: a job with objective classification has no testError; expected testLoss, testAccuracy, precision, recall, f1',
  ],
  [
    'a further metric of another objective',
    head('metric: rmse\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.metric: a job with objective classification has no rmse; expected testLoss, testAccuracy, precision, recall, f1',
  ],
  [
    'an unknown metric',
    head('metric: loss\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.metric: expected one of testLoss, testAccuracy, testError, precision, recall, f1, iou, top5Accuracy, rmse, r2, perplexity',
  ],
  [
    'an unknown one of several metrics',
    head('metric: [testLoss, params]\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.metric.1: expected one of testLoss, testAccuracy, testError, precision, recall, f1, iou, top5Accuracy, rmse, r2, perplexity, parameters, flops',
  ],
  [
    'one of several metrics of another objective',
    head('metric: [testLoss, rmse]\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.metric.1: a job with objective classification has no rmse; expected testLoss, testAccuracy, precision, recall, f1',
  ],
  [
    'a metric twice',
    head('metric: [testLoss, flops, flops]\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.metric.2: flops appears twice; remove one of them',
  ],
  [
    'a cost first',
    head('metric: [flops, testLoss]\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.metric.0: flops is known before anything is trained; put a metric of the test first: testLoss, testAccuracy, precision, recall, f1',
  ],
  [
    'a cost alone',
    head('metric: flops\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.metric: expected one of testLoss, testAccuracy, testError, precision, recall, f1, iou, top5Accuracy, rmse, r2, perplexity',
  ],
  [
    'halving by several metrics',
    head('metric: [testLoss, flops]\nhalving: {}\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:6: search.halving: it stops trials by one metric, and search.metric has several; remove halving, or name one metric',
  ],
  [
    'a loss that varies, and is one of several metrics',
    head('metric: [testAccuracy, testLoss]\nparameters: { objective.loss: { choices: [focal] } }'),
    'my.yaml:6: search.parameters.objective.loss: trials would be compared by different losses; set search.metric to testError, which does not depend on the loss',
  ],
  [
    'no epochs to halve',
    head('halving: { minEpochs: 9 }\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.halving.minEpochs: 9, and training.epochs is 9; expected fewer epochs, or remove halving',
  ],
  [
    'more brackets than comparisons',
    head('halving: { brackets: 4 }\nparameters: { training.batch: { choices: [8, 16] } }'),
    'my.yaml:5: search.halving.brackets: 4, but a first comparison can be after 1, 3 or 9 epochs only; expected at most 3',
  ],
  [
    'an unknown key',
    param('training.lerningRate: { uniform: [0.1, 1] }'),
    "my.yaml:6: training.lerningRate: unknown key; did you mean 'learningRate'? Available: epochs, batch, shards, accumulate, seed, learningRate, optimizer, schedule, clipNorm, ema, freeze, stopEarly, skipNotFinite, memory, math (in the trial with training.lerningRate: 0.1)",
  ],
  [
    'an unknown section',
    param('trainng.batch: { choices: [8, 16] }'),
    "my.yaml:6: trainng: unknown key; did you mean 'training'? Available: name, description, tags, model, data, objective, init, initLayout, training, exchange, evaluation, checkpoint, extends, search (in the trial with trainng.batch: 8)",
  ],
  [
    'an item where there is no list',
    param('model.layers.0.units: { choices: [8, 16] }'),
    'my.yaml:6: model.layers.0.units: model.layers is not a list in this file, so it has no item 0 (in the trial with model.layers.0.units: 8)',
  ],
  [
    'a key in a number',
    param('training.batch.size: { choices: [8, 16] }'),
    'my.yaml:6: training.batch: expected a number, not keys with values, such as { a: 1 } (in the trial with training.batch.size: 8)',
  ],
  [
    'a key in a text',
    param('model.preset.x: { choices: [8, 16] }'),
    'my.yaml:6: model.preset.x: model.preset is "mnist-mlp", which has no keys (in the trial with model.preset.x: 8)',
  ],
  [
    'a choice of the wrong type',
    param('training.batch: { choices: [64, many] }'),
    'my.yaml:6: training.batch: expected a number, not text (in the trial with training.batch: "many")',
  ],
  [
    'a value that another key does not allow',
    param('training.batch: { integers: [1, 128] }'),
    'my.yaml:3: training.shards: 2 shards of a batch of 1; expected at most one per sample (in the trial with training.batch: 1)',
  ],
  [
    'a key without the condition it needs',
    param(
      'training.optimizer.type: { choices: [adam, sgd] }',
      'training.optimizer.momentum: { uniform: [0, 0.9] }',
    ),
    'my.yaml:7: training.optimizer.momentum: unknown key; available: type, beta1, beta2, epsilon, weightDecay, decayBiasAndNorm; if only one training.optimizer.type has this key, add when: { training.optimizer.type: ... } (in the trial with training.optimizer.type: "adam", training.optimizer.momentum: 0)',
  ],
  [
    'a value that is too small',
    param('training.learningRate: { uniform: [-1, 1] }'),
    'my.yaml:6: training.learningRate: expected a number above 0 (in the trial with training.learningRate: -1)',
  ],
  [
    'a fault in the job itself',
    'name: a\nmodel: { preset: mnist-mpl }\nsearch:\n  parameters:\n    training.batch: { choices: [8, 16] }\n',
    "my.yaml:2: no preset 'mnist-mpl'; did you mean 'mnist-mlp' or 'mnist-cnn'? Available: perceptron, xor, tabular, mnist-mlp, mnist-cnn, cnn-224, alexnet, vgg-11, vgg-16, resnet-18, resnet-34, resnet-50, resnet-101, resnet-152, gpt, llama, bert, lstm-text, gru-text, lstm-forecast",
  ],
  [
    'a layer option that is too small',
    `${layers}model.layers.0.units: { integers: [0, 16] }\n`,
    'my.yaml:5: layers[0] (dense): units is 0; expected an integer from 1 to 1000000 (in the trial with model.layers.0.units: 0)',
  ],
  [
    'a layer that does not exist',
    `${layers}model.layers.2.units: { integers: [1, 16] }\n`,
    "my.yaml:8: model.layers.2.units: model.layers is a list of 2; expected a number from 0 to 1 instead of '2' (in the trial with model.layers.2.units: 1)",
  ],
  [
    'a layer by its name',
    `${layers}model.layers.first.units: { integers: [1, 16] }\n`,
    "my.yaml:8: model.layers.first.units: model.layers is a list of 2; expected a number from 0 to 1 instead of 'first' (in the trial with model.layers.first.units: 1)",
  ],
];

it.each(refused)('refuses %s', (_, text, message) => {
  const parse = () => parseSweepFile(text, 'my.yaml');
  expect(parse).toThrow(KasaneError);
  expect(parse).toThrow(expect.objectContaining({ code: 'JOB_INVALID', message }));
});

it('is no job file', () => {
  expect(() => parseJobFile(param('training.batch: { choices: [8, 16] }'), 'my.yaml')).toThrow(
    'my.yaml:4: search: this file describes a sweep; run it with `kasane sweep`, or remove the section',
  );
});

it('takes every kind of range, and fills in defaults', () => {
  const { name, search, base, epochs } = parseSweepFile(
    param(
      'training.learningRate: { log: [1e-4, 1e-1] }',
      'training.optimizer.type: { choices: [sgd, adam] }',
      'training.optimizer.momentum: { uniform: [0, 0.99], when: { training.optimizer.type: sgd } }',
      'training.batch: { integers: [64, 256], step: 64 }',
    ),
    'my.yaml',
  );
  expect({ name, epochs, base }).toEqual({
    name: 'a',
    epochs: 9,
    base: { name: 'a', model: { preset: 'mnist-mlp' }, training: { epochs: 9 } },
  });
  expect(search).toMatchObject({
    metric: 'testLoss',
    sampler: 'random',
    trials: 30,
    atOnce: 2,
    seed: 1,
    order: 'decided',
  });
  expect(search.parameters['training.batch']).toEqual({ integers: [64, 256], step: 64, log: false });
  // As a coordinator that was restarted reads it.
  const again = checkSweep({ ...base, search: JSON.parse(JSON.stringify(search)) });
  expect(again.search).toEqual(search);
});

it('runs all points of a grid by default', () => {
  const grid = (more: string) =>
    parseSweepFile(
      head(
        `sampler: grid\n${more}parameters: { training.learningRate: { log: [0.001, 0.1], points: 3 }, training.batch: { choices: [64, 128] } }`,
      ),
      'my.yaml',
    ).search;
  expect(grid('').trials).toBe(6);
  expect(grid('trials: 100\n').trials).toBe(6);
  expect([...gridPoints(grid('').parameters)].map((point) => Object.values(point))).toEqual([
    [0.001, 64],
    [0.001, 128],
    [0.01, 64],
    [0.01, 128],
    [0.1, 64],
    [0.1, 128],
  ]);
});
