/** `kasane import`: the job file and weights that an ONNX file becomes, what they are good for, and what is refused. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCodes } from '@kasane/protocol/errors';
import { parseJobFile } from '@kasane/protocol/job-file';
import { encodeModelFile, modelMetadata } from '@kasane/tensor/io/model-file';
import { exportOnnx } from '@kasane/tensor/io/onnx/export';
import { buildModel, initializeParameters } from '@kasane/tensor/nn/model';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kasane } from './support/kasane.ts';

const model = buildModel({
  input: [4],
  classes: 2,
  layers: [{ type: 'dense', units: 8 }, { type: 'tanh' }, { type: 'dense', units: 2 }],
});
const parameters = initializeParameters(model, 1);
const twoInputs = buildModel({
  output: [2],
  layers: [
    { type: 'input', name: 'left', shape: [3] },
    { type: 'input', name: 'right', shape: [3] },
    { type: 'concat', from: ['left', 'right'] },
    { type: 'dense', units: 2 },
  ],
});
const about = {
  job: 'tiny',
  objective: { type: 'classification' },
  preparation: { classes: ['no', 'yes'] },
};
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  writeFileSync(join(folder, 'tiny.safetensors'), encodeModelFile({ model, parameters, about }));
  const { format: _, ...metadata } = modelMetadata(model, about);
  writeFileSync(join(folder, 'tiny.onnx'), await exportOnnx(model, parameters, { metadata }));
  writeFileSync(join(folder, 'two.onnx'), await exportOnnx(twoInputs, initializeParameters(twoInputs, 1)));
  writeFileSync(join(folder, 'broken.onnx'), readFileSync(join(folder, 'tiny.onnx')).subarray(0, 300));
  const masks = buildModel({ input: [4], output: [3], layers: [{ type: 'dense', units: 3 }] });
  const ofMasks = { job: 'masks', objective: { type: 'binary', loss: 'dice' } };
  const trained = { model: masks, parameters: initializeParameters(masks, 1), about: ofMasks };
  writeFileSync(join(folder, 'masks.safetensors'), encodeModelFile(trained));
  const { format: __, ...kept } = modelMetadata(masks, ofMasks);
  writeFileSync(join(folder, 'masks.onnx'), await exportOnnx(masks, trained.parameters, { metadata: kept }));
  mkdirSync(join(folder, 'out'));
  const rows = Array.from(
    { length: 40 },
    (_, i) => `${i % 7},${i % 5},${i % 3},${i % 2},${i % 4 < 2 ? 'no' : 'yes'}`,
  );
  writeFileSync(join(folder, 'rows.csv'), `a,b,c,d,kind\n${rows.join('\n')}\n`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('writes a job file and weights that predict as before', { timeout: 60_000 }, async () => {
  const ended = await kasane(['import', 'tiny.onnx', '-o', 'out/again.yaml', '--json'], { cwd: folder });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ended.stdout)).toMatchObject({
    ...{ file: 'out/again.yaml', weights: join('out', 'again.safetensors'), opset: 17, producer: 'kasane' },
    ...{ input: [4], output: [2], layers: 3, parameters: model.parameterCount },
    notes: ['the 2 outputs are taken as class scores'],
  });
  const job = parseJobFile(readFileSync(join(folder, 'out/again.yaml'), 'utf8'), 'again.yaml');
  expect(job.spec).toMatchObject({ name: 'again', init: './again.safetensors' });
  expect(job.model.parameters.map(({ name }) => name)).toEqual(model.parameters.map(({ name }) => name));
  const predict = (file: string) => kasane(['predict', file, '0.5,1,-2,0.25', '--json'], { cwd: folder });
  const [before, after] = await Promise.all([predict('tiny.safetensors'), predict('out/again.safetensors')]);
  expect(before.code).toBe(0);
  expect(after.stdout).toBe(before.stdout);
  const back = ['export', 'out/again.safetensors', '-o', 'out/back.onnx', '--json'];
  expect(await kasane(back, { cwd: folder })).toMatchObject({ code: 0 });
});

test('guesses the data section, and the job trains on', { timeout: 120_000 }, async () => {
  const given = ['import', 'tiny.onnx', '-o', 'out/rows.yaml', '--data', 'rows.csv', '--target', 'kind'];
  const ended = await kasane(given, { cwd: folder });
  expect(ended).toMatchObject({ code: 0 });
  expect(ended.stdout).toContain('Train it with: kasane train out/rows.yaml');
  const trained = await kasane(
    ['train', 'out/rows.yaml', '--epochs', '2', '--out', 'out/trained.safetensors'],
    {
      cwd: folder,
    },
  );
  expect(trained.code, trained.stderr).toBe(0);
  expect(trained.stdout + trained.stderr).toMatch(/4 of 4 parameters loaded/);
});

test('gives a model whose outputs are no classes an objective', { timeout: 60_000 }, async () => {
  const objectives: [string, string[], object][] = [
    ['tiny.onnx', ['--numbers'], { type: 'regression' }],
    ['masks.onnx', [], { type: 'binary', loss: 'dice' }],
  ];
  for (const [source, more, objective] of objectives) {
    const ended = await kasane(['import', source, '-o', 'out/numbers.yaml', '--force', ...more, '--json'], {
      cwd: folder,
    });
    expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
    const job = parseJobFile(readFileSync(join(folder, 'out/numbers.yaml'), 'utf8'), 'numbers.yaml');
    expect(job.spec).toMatchObject({ objective });
    const isSaid = /its outputs are taken for numbers \(objective regression\)/.test(ended.stdout);
    expect(isSaid).toBe(objective === objectives[0]![2]);
  }
  const predict = (file: string) => kasane(['predict', file, '0.5,1,-2,0.25', '--json'], { cwd: folder });
  const [before, after] = await Promise.all([
    predict('masks.safetensors'),
    predict('out/numbers.safetensors'),
  ]);
  expect(before).toMatchObject({ code: 0, stderr: '' });
  expect(after.stdout).toBe(before.stdout);
});

test('gives no prediction where the output is not finite', { timeout: 60_000 }, async () => {
  const large = { model, parameters: parameters.map(() => 3e38), about };
  writeFileSync(join(folder, 'large.safetensors'), encodeModelFile(large));
  expect(await kasane(['predict', 'large.safetensors', '1,1,1,1'], { cwd: folder })).toMatchObject({
    ...{ code: errorCodes.DATA_INVALID.exit, stdout: '' },
    stderr: expect.stringMatching(/^kasane: 1,1,1,1: the output of the model is not finite/),
  });
});

test('takes another number of classes', { timeout: 60_000 }, async () => {
  const given = ['import', 'tiny.onnx', '-o', 'out/five.yaml', '--classes', '5'];
  expect(await kasane(given, { cwd: folder })).toMatchObject({ code: 0, stderr: '' });
  const job = parseJobFile(readFileSync(join(folder, 'out/five.yaml'), 'utf8'), 'five.yaml');
  expect(job.model.description).toMatchObject({ classes: 5 });
  expect(job.model.parameters.at(-1)).toMatchObject({ name: 'dense2.bias', shape: [5] });
});

test.each([
  [['nothing.onnx'], errorCodes.NO_INPUT.exit, /nothing\.onnx: file not found/],
  [['broken.onnx'], errorCodes.FILE_DAMAGED.exit, /not an ONNX file, or a damaged one/],
  [['tiny.safetensors', '-o', 'x.yaml'], errorCodes.FILE_DAMAGED.exit, /not an ONNX file, or a damaged one/],
  [['tiny.onnx'], errorCodes.USAGE.exit, /tiny\.safetensors already exists: give another name with --output/],
  [['tiny.onnx', '-o', 'x.yaml', '--shape', 'a,b'], errorCodes.USAGE.exit, /--shape a,b: expected sizes/],
  [
    ['tiny.onnx', '-o', 'x.yaml', '--shape', '5'],
    errorCodes.DATA_INVALID.exit,
    /the shape \[5\] does not match/,
  ],
  [
    ['two.onnx', '--shape', '5'],
    errorCodes.DATA_INVALID.exit,
    /two\.onnx: the file has the inputs left, right: name each with --shape, such as/,
  ],
  [
    ['two.onnx', '--shape', '5', 'left=3'],
    errorCodes.USAGE.exit,
    /--shape 5: name the input of each shape, such as NAME=5/,
  ],
  [
    ['tiny.onnx', '-o', 'x.yaml', '--result', 'tanh1/Tanh:0', '--classes', '3'],
    errorCodes.USAGE.exit,
    /does not end in a dense layer/,
  ],
  [
    ['tiny.onnx', '-o', 'x.yaml', '--result', 'q'],
    errorCodes.DATA_INVALID.exit,
    /no node has the output "q"/,
  ],
] as const)('%j is refused', { timeout: 60_000 }, async (args, code, message) => {
  const ended = await kasane(['import', ...args], { cwd: folder });
  expect(ended).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(message) });
});
