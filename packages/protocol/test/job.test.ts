import { describe, expect, it } from 'vitest';
import { KasaneError } from '../src/errors.ts';
import { checkJob } from '../src/job/job.ts';
import { parseJobFile } from '../src/job/job-file.ts';
import { jobPresets } from '../src/job/presets.ts';

const refused = (text: string): string => {
  try {
    parseJobFile(text, 'my.yaml');
  } catch (error) {
    if (error instanceof KasaneError && error.code === 'JOB_INVALID') return error.message;
    throw error;
  }
  throw new Error('the job file was accepted');
};

describe('job files', () => {
  it('fills in every default', () => {
    const { spec, model } = parseJobFile('name: a\nmodel: { preset: mnist-mlp }\n', 'my.yaml');
    expect(spec.training).toMatchObject({
      batch: 128,
      math: 'exact',
      optimizer: { type: 'adam', beta1: 0.9 },
    });
    expect(model.parameterCount).toBe(784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10);
  });

  it('refuses a model without parameters, and a loss that reaches none', () => {
    const layers = (list: string) => `name: a\nmodel:\n  input: [4]\n  output: [4]\n  layers: [${list}]\n`;
    const regression = 'objective: { type: regression }\n';
    expect(refused(layers('{ type: relu }') + regression)).toMatch(
      /^my\.yaml:5: .*no layer has parameters that are trained, so there is nothing to train/,
    );
    const own = (from: string) =>
      `${layers('{ type: dense, units: 4 }, { type: relu }')}` +
      `  loss: { version: 1, from: [${from}], target: { dtype: f32, shape: [4] }, nodes: [[sum, 0, { axes: [1] }], [sum, 1, { axes: [1] }]], loss: 3 }\n`;
    expect(refused(own('input, relu1'))).toMatch(
      /^my\.yaml:6: .*loss: it depends on no layer that is trained/,
    );
    expect(() => parseJobFile(own('relu1, input'), 'my.yaml')).not.toThrow();
  });

  it('takes a list of no layers to freeze, as programs make it', () => {
    const { model } = parseJobFile(
      'name: a\nmodel: { preset: mnist-mlp }\ntraining: { freeze: [] }\n',
      'my.yaml',
    );
    expect(model.parameters.filter(({ frozen }) => frozen)).toEqual([]);
  });

  it('refuses class weights whose sums leave float32', () => {
    const weighted = (weights: string) =>
      `name: a\nmodel: { preset: mnist-mlp }\nobjective: { type: classification, classWeights: [${weights}] }\n`;
    const ten = (weight: string) => Array<string>(10).fill(weight).join(', ');
    expect(refused(weighted(ten('1e38')))).toMatch(
      /^my\.yaml:3: objective\.classWeights\.0: expected .* 1000000000/,
    );
    expect(refused(weighted(ten('1e-46')))).toMatch(
      /^my\.yaml:3: objective\.classWeights\.0: expected 0, or at least 1e-9/,
    );
    for (const weight of ['1e9', '1e-9', '0, 1'])
      expect(() =>
        parseJobFile(weighted(ten(weight).split(', ').slice(0, 10).join(', ')), 'my.yaml'),
      ).not.toThrow();
  });

  it('takes replicas as shards, and refuses what only local steps have', () => {
    const head = 'name: a\nmodel: { preset: mnist-mlp }\n';
    const local = (exchange: string, more = '') =>
      parseJobFile(`${head}exchange: { every: 50, ${exchange} }\n${more}`, 'my.yaml').spec;
    expect(local('replicas: 4').training.shards).toBe(4);
    expect(local('', 'training: { shards: 3 }').training.shards).toBe(3);
    // As a run of it is checked again.
    expect(checkJob(JSON.parse(JSON.stringify(local('replicas: 4')))).spec.training.shards).toBe(4);
    expect(refused(`${head}exchange: { every: 50, replicas: 4 }\ntraining: { shards: 3 }\n`)).toBe(
      'my.yaml:3: exchange.replicas: 4 replicas, but training.shards is 3; they are the same number: remove one of them',
    );
    for (const name of ['replicas: 4', 'outer: { momentum: 0.5 }', 'optimizerState: reset'])
      expect(refused(`${head}exchange:\n  ${name}\n`)).toMatch(
        /^my\.yaml:4: exchange\.(replicas|outer|optimizerState): applies only to local steps; set exchange\.every, such as 50$/,
      );
    expect(refused(`${head}exchange: { precision: fp8 }\n`)).toMatch(
      /^my\.yaml:3: exchange\.precision: .*f32.*bf16.*int8/,
    );
    expect(refused(`${head}training: { batch: 4 }\nexchange: { every: 2, replicas: 5 }\n`)).toBe(
      'my.yaml:4: exchange.replicas: 5 replicas of a batch of 4; expected at most one per sample',
    );
    expect(refused(`${head}exchange: { every: 2, outer: { learningRate: 1e30 } }\n`)).toMatch(
      /^my\.yaml:3: exchange\.outer\.learningRate: /,
    );
    expect(refused(`${head}exchange: { every: 0 }\n`)).toMatch(/^my\.yaml:3: exchange\.every: /);
  });

  it('accepts every preset', () => {
    for (const preset of Object.values(jobPresets)) expect(checkJob(preset).spec.name).toBe(preset.name);
  });

  it('gives the same job again when its own result is checked, as a resumed coordinator does', () => {
    const { spec } = checkJob(jobPresets['mnist-mlp']);
    expect(checkJob(JSON.parse(JSON.stringify(spec))).spec).toEqual(spec);
  });

  it('names file, line, path and what would be right', () => {
    const file = 'name: a\nmodel: { preset: mnist-mlp }\ntraining:\n  epochs: 3\n  bacth: 64\n';
    expect(refused(file)).toMatch(/^my\.yaml:5: training\.bacth: .*did you mean 'batch'/);
    const imput = 'name: a\nmodel: { imput: [2], classes: 2, layers: [{ type: dense, units: 2 }] }\n';
    expect(refused(imput)).toMatch(
      /did you mean 'input' or 'output'\? Available: preset, input, classes, output, layers, definitions, loss$/,
    );
    expect(refused('name: a\nmodel: { preset: mnist-mlp }\ntraining:\n  epochs: -1\n')).toMatch(
      /^my\.yaml:4: training\.epochs:/,
    );
    expect(refused('name: a\nmodel:\n  preset: mnist-mpl\n')).toMatch(
      /^my\.yaml:3: no preset 'mnist-mpl'; did you mean 'mnist-mlp' .*Available: .*resnet-18/,
    );
    expect(refused('name: a\nmodel:\n  preset: resnet-18\n  clases: 10\n')).toMatch(
      /^my\.yaml:4: preset resnet-18: no option 'clases'; did you mean 'classes'/,
    );
    expect(refused('name: a\nmodel:\n  preset: gpt\n  heads: 0\n')).toMatch(
      /^my\.yaml:4: preset gpt: heads is 0; expected an integer from 1 to 1024/,
    );
    expect(refused('name: a\nmodel: { preset: gpt, heads: 5 }\n')).toMatch(
      /^my\.yaml:2: layers\[3\] \(transformerBlock\): heads is 5; expected a divisor of 128/,
    );
    expect(refused('name: a\nmodel: { preset: mnist-mlp }\ntraining: { batch: 2, shards: 3 }\n')).toContain(
      'at most one per sample',
    );
    const head = 'name: a\nmodel: { preset: mnist-mlp }\ntraining:\n  optimizer:\n    type: sgd\n';
    expect(refused(`${head}    momentum: 1\n`)).toMatch(
      /^my\.yaml:6: training\.optimizer\.momentum: expected a number below 1/,
    );
    expect(refused(`${head}    nesterov: true\n`)).toMatch(
      /^my\.yaml:6: training\.optimizer\.nesterov: .*momentum/,
    );
  });

  it('names the line of a misspelt layer and the layer that was meant', () => {
    const file =
      'name: a\nmodel:\n  input: [4]\n  classes: 2\n  layers:\n    - type: dense\n      units: 3\n    - type: rleu\n    - type: dense\n      units: 2\n';
    const message = refused(file);
    expect(message).toMatch(/^my\.yaml:8: /);
    expect(message).toContain('rleu');
    expect(message).toContain('relu');
  });

  it('knows the formats of data by their name, each with its own keys and defaults', () => {
    const data = (section: string) => `name: a\nmodel: { preset: mnist-mlp }\ndata:\n${section}`;
    const of = (section: string) => parseJobFile(data(section), 'my.yaml').spec.data;
    expect(of('  path: x\n')).toMatchObject({ format: 'idx', path: 'x', mean: 0.1307, augment: [] });
    expect(of('  format: imagefolder\n  path: x\n  size: 32\n')).toMatchObject({
      size: 32,
      channels: 3,
      fit: 'cover',
    });
    expect(of('  format: csv\n  path: x\n  target: y\n')).toMatchObject({
      task: 'classification',
      missing: 'fail',
    });
    expect(of('  format: text\n  path: x\n')).toMatchObject({ objective: 'classification', context: 128 });
    expect(of('  format: series\n  path: x\n  window: 9\n')).toMatchObject({ horizon: 1, stride: 1 });
    expect(of('  format: imagefolder\n  path: x\n  augment:\n    - type: crop\n')).toMatchObject({
      augment: [{ type: 'crop', padding: 4 }],
    });
    expect(refused(data('  format: text\n  path: x\n  windw: 9\n'))).toMatch(
      /^my\.yaml:6: data\.windw: unknown key; available: format, path, test, layout, validation, seed, objective, [^;]*pad/,
    );
    expect(refused(data('  format: cvs\n  path: x\n'))).toMatch(/^my\.yaml:4: data\.format: .*csv/);
    expect(refused(data('  format: csv\n  path: x\n'))).toMatch(/^my\.yaml:\d: data\.target: /);
    expect(refused(data('  augment:\n    - type: rotate\n      degrees: 200\n'))).toMatch(
      /^my\.yaml:6: data\.augment\.0\.degrees: .*180/,
    );
    expect(refused(data('  augment:\n    - type: shear\n'))).toMatch(/^my\.yaml:5: data\.augment\.0\.type: /);
  });

  it('refuses mixup before other steps, and more parts of a shard than samples', () => {
    const file = (more: string) => `name: a\nmodel: { preset: mnist-mlp }\n${more}`;
    expect(
      parseJobFile(file('data: { augment: [{ type: crop }, { type: mixup }] }'), 'a').spec.data,
    ).toMatchObject({
      augment: [{ type: 'crop' }, { type: 'mixup', alpha: 0.2 }],
    });
    expect(refused(file('data:\n  augment: [{ type: mixup }, { type: crop }]\n'))).toMatch(
      /^my\.yaml:4: data\.augment: mixup must be the last step, and appear only once/,
    );
    expect(refused(file('training:\n  batch: 8\n  accumulate: 5\n'))).toMatch(
      /^my\.yaml:5: training\.accumulate: 5 parts of each of 2 shards of a batch of 8; expected at most one per sample/,
    );
    expect(refused(file('training:\n  ema: { decay: 1 }\n'))).toMatch(/^my\.yaml:4: training\.ema\.decay: /);
  });

  it('takes the objective from the job, the preset or the classes, and the data as it needs them', () => {
    const of = (text: string) => parseJobFile(`name: a\n${text}`, 'my.yaml');
    const layers = 'layers: [{ type: dense, units: 1 }]';
    expect(of('model: { preset: mnist-mlp }').objective).toEqual({ type: 'classification' });
    expect(of('model: { preset: bert }\ndata: { format: text, path: x }').spec).toMatchObject({
      objective: { type: 'masked-token' },
      data: { objective: 'masked-token' },
    });
    const table = `model: { input: [4], output: [1], ${layers} }\ndata: { format: csv, path: x, target: y }`;
    expect(of(`${table}\nobjective: { type: binary }`).spec.data).toMatchObject({ task: 'regression' });
    expect(refused(`name: a\n${table}\n`)).toMatch(/^my\.yaml: objective is missing; a model with model/);
    expect(refused(`name: a\n${table}\nobjective: { type: classification }\n`)).toMatch(
      /^my\.yaml:4: objective classification requires a model with classes.*output is \[1\]/,
    );
    expect(
      refused('name: a\nmodel: { preset: gpt }\ndata: { format: text, path: x, objective: masked-token }\n'),
    ).toMatch(/objective next-token requires data\.objective: next-token, but it is masked-token/);
    expect(refused('name: a\nmodel: { preset: gpt }\ndata: { format: csv, path: x, target: y }\n')).toMatch(
      /objective next-token does not work with data of format csv/,
    );
  });

  it('refuses what is no YAML, with the line', () => {
    expect(refused('name: a\nmodel: {')).toMatch(/^my\.yaml:2: /);
    expect(refused('')).toContain('my.yaml');
    expect(refused('- 1')).toContain('my.yaml');
  });
});

describe('the form of a table', () => {
  const data = (options: object) => () =>
    checkJob({
      name: 'x',
      model: { input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] },
      data: { format: 'csv', path: 't.csv', target: 'y', ...options },
    });

  it('takes what files are written in, and refuses what can not be', () => {
    expect(
      data({ decimal: ',', thousands: '.', encoding: 'latin1', quote: '', header: false }),
    ).not.toThrow();
    expect(data({ thousands: '.' })).toThrow(/decimal and thousands are the same character/);
    expect(data({ encoding: 'ebcdic' })).toThrow(/data\.encoding: unknown encoding/);
  });
});

it.each([
  '',
  '.',
  '..',
  '-x',
  '--help',
  '.hidden',
  'a/b',
  '\u{1f600}',
  '\u0301e',
  'a\u202eb',
  'a\u200bb',
  '日本'.repeat(33),
  'a\n',
  'a\u001b[2J',
  'x'.repeat(200),
])('no job is named %j: its name begins ids, folders and arguments', (name) => {
  expect(() => parseJobFile(JSON.stringify({ name, model: { preset: 'mnist-mlp' } }), 'job')).toThrow(/name/);
});

it.each([
  [
    'training: { epochs: 1e308 }',
    'model: { preset: mnist-mlp }',
    /^[^\n]*training\.epochs: expected a number of at most 100000$/,
  ],
  [
    'training: { epochs: -1e308 }',
    'model: { preset: mnist-mlp }',
    /^[^\n]*training\.epochs: expected a number above 0$/,
  ],
  ['', 'model: { preset: tabular, features: 3, outputs: 2, hidden: [2e9] }', /integers from 1 to 16777216/],
])('names the limit that %s %s is beyond', (training, model, says) => {
  expect(refused(`name: a\n${model}\n${training}\n`)).toMatch(says);
});

it.each([
  ['training: { learningRate: "0,001" }', 'training.learningRate: expected a number, not text; write 0.001'],
  [
    'training: { learningRate: 0,001 }',
    'training.learningRate: expected a number above 0; write decimals with a point, such as 0.001',
  ],
  ['training: { math: slow }', 'training.math: expected one of exact, fast'],
  ['training: { epochs: 1.5 }', 'training.epochs: expected a whole number'],
  ['training: { optimizer: { type: adamm } }', 'training.optimizer.type: expected one of sgd, adam, adamw'],
  ['data: { format: tsv }', 'data.format: expected one of idx, imagefolder, csv, text, series, packed'],
  ['data: { format: csv, path: "", target: y }', 'data.path: it is empty'],
])('says in plain words what is wrong with %s', (line, says) => {
  const [first] = refused(`name: a\nmodel: { preset: mnist-mlp }\n${line}\n`).split('\n');
  expect(first).toBe(`my.yaml:3: ${says}`);
});
