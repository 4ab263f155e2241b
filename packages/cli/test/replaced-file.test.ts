/** No output replaces a file that is none of its kind: a mistyped option would cost the job file, the data or the weights. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCodes } from '@kasane/protocol/errors';
import { encodeModelFile } from '@kasane/tensor/io/model-file';
import { exportOnnx } from '@kasane/tensor/io/onnx/export';
import { buildModel, initializeParameters } from '@kasane/tensor/nn/model';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OutputKind, requireReplaceable } from '../src/files/replaced-file.ts';
import { kasane } from './support/kasane.ts';

let folder: string;
const table = `a,kind\n${Array.from({ length: 20 }, (_, i) => `${i},${i % 2 ? 'odd' : 'even'}`).join('\n')}\n`;
const model = buildModel({ input: [1], classes: 2, layers: [{ type: 'dense', units: 2 }] });
const weights = encodeModelFile({
  model,
  parameters: initializeParameters(model, 1),
  about: { job: 'kind', preparation: { classes: ['even', 'odd'] } },
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  writeFileSync(join(folder, 'kind.csv'), table);
  writeFileSync(join(folder, 'kind.safetensors'), weights);
  const job = {
    name: 'kind',
    model: { input: [1], classes: 2, layers: [{ type: 'dense', units: 2 }] },
    data: { format: 'csv', path: 'kind.csv', target: 'kind' },
    training: { epochs: 1, batch: 4 },
  };
  writeFileSync(join(folder, 'kind.json'), JSON.stringify(job));
  for (const name of ['photos/cat', 'photos/dog']) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let i = 0; i < 3; i++)
      await sharp({
        create: { width: 4, height: 4, channels: 3, background: { r: i, g: 9 * name.length, b: 0 } },
      })
        .png()
        .toFile(join(folder, name, `${i}.png`));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  [['train', 'kind.json', '--out', 'kind.json'], 'kind.json'],
  [['train', 'kind.json', '--out', 'kind.csv'], 'kind.csv'],
  [['train', 'kind.json', '--profile', 'kind.csv'], 'kind.csv'],
  [['sweep', 'kind.json', '--out', 'kind.csv'], 'kind.csv'],
  [['worker', '--coordinator', '127.0.0.1:1', '--profile', 'kind.json'], 'kind.json'],
  [['predict', 'kind.safetensors', '3', '--out', 'kind.csv'], 'kind.csv'],
  [['predict', 'kind.safetensors', '3', '--out', 'kind.safetensors'], 'kind.safetensors'],
  [['export', 'kind.safetensors', '--format', 'onnx', '-o', 'kind.csv'], 'kind.csv'],
  [['eval', 'kind.safetensors', '--data', 'kind.csv', '--confusion', 'kind.csv'], 'kind.csv'],
  [['data', 'inspect', 'photos', '--set', 'size=4', '--sheet', 'kind.csv'], 'kind.csv'],
  [['data', 'inspect', 'photos', '--set', 'size=4', '--sheet', 'photos/cat/0.png'], 'photos/cat/0.png'],
])('%j', { timeout: 60_000 }, async (args, file) => {
  const before = readFileSync(join(folder, file));
  if (args[0] === 'sweep') {
    const job = JSON.parse(readFileSync(join(folder, 'kind.json'), 'utf8')) as object;
    const search = { parameters: { 'training.learningRate': { log: [0.001, 0.1] } } };
    writeFileSync(join(folder, 'sweep.json'), JSON.stringify({ ...job, search }));
    args = ['sweep', 'sweep.json', ...args.slice(2)];
  }
  const ended = await kasane(args, { cwd: folder });
  expect(ended.stderr).toMatch(/another kind of file|inside the data/);
  expect(ended).toMatchObject({ code: errorCodes.USAGE.exit, stdout: '' });
  expect(ended.stderr).toContain(file);
  expect(readFileSync(join(folder, file))).toEqual(before);
});

test.each([
  [['train', 'kind.json', '--out', 'new.x', '--profile', './new.x'], /--profile \.\/new\.x: the weights/],
  [['train', 'kind.json', '--out', 'new.x', '--profile', 'NEW.x'], /--profile NEW\.x: the weights/],
  [['train', 'kind.json', '--out', 'new.x', '--tensorboard', 'new.x'], /--tensorboard new\.x: the weights/],
  [['import', 'kind.onnx', '-o', 'new.safetensors'], /--output new\.safetensors: the weights would be/],
  [['sweep', 'best.job.json', '--out', 'best.safetensors'], /would replace best\.job\.json; set --out/],
  [['sweep', 'on.json', '--out', 'kind.safetensors'], /would replace \S+kind\.init\.safetensors, from which/],
  [['sweep', 'two-3.job.json', '--out', 'two.safetensors'], /would replace two-3\.job\.json; set --out/],
])('%j', { timeout: 60_000 }, async (args, why) => {
  const job = JSON.parse(readFileSync(join(folder, 'kind.json'), 'utf8')) as object;
  const search = { trials: 1, parameters: { 'training.learningRate': { log: [0.001, 0.1] } } };
  const sweep = JSON.stringify({ ...job, search });
  writeFileSync(join(folder, 'best.job.json'), sweep);
  const metric = ['testAccuracy', 'testLoss'];
  writeFileSync(join(folder, 'two-3.job.json'), JSON.stringify({ ...job, search: { ...search, metric } }));
  const on = { ...search, sampler: 'population', population: 2, trials: 4 };
  writeFileSync(join(folder, 'kind.init.safetensors'), weights);
  writeFileSync(
    join(folder, 'on.json'),
    JSON.stringify({ ...job, init: 'kind.init.safetensors', search: on }),
  );
  writeFileSync(join(folder, 'kind.onnx'), await exportOnnx(model, initializeParameters(model, 1)));
  expect(await kasane(args, { cwd: folder })).toMatchObject({
    code: errorCodes.USAGE.exit,
    stdout: '',
    stderr: expect.stringMatching(why),
  });
  for (const name of ['new.x', 'new.safetensors', 'best.safetensors'])
    expect(existsSync(join(folder, name)), name).toBe(false);
  expect(readFileSync(join(folder, 'best.job.json'), 'utf8')).toBe(sweep);
});

test('each kind replaces its own, what is empty, and nothing else', () => {
  const heads: { readonly [K in OutputKind]: Uint8Array | string } = {
    weights,
    onnx: '\x08\x08\x12\x06kasane',
    predictions: 'input,label,probability\n',
    'model card': '<!-- Kasane model card -->\n\n# digits:3\n',
    'confusion matrix': 'actual,even,odd\n',
    profile: '{"traceEvents":[\n',
    sheet: Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]),
  };
  const kinds = Object.keys(heads) as OutputKind[];
  const path = join(folder, 'there');
  for (const there of kinds) {
    writeFileSync(path, heads[there]);
    for (const kind of kinds) {
      const ask = () => requireReplaceable(path, kind, '--out');
      if (kind === there) expect(ask, kind).not.toThrow();
      else expect(ask, `${kind} in place of ${there}`).toThrow(/^--out .*another kind of file/);
    }
  }
  writeFileSync(path, '');
  for (const kind of kinds) expect(() => requireReplaceable(path, kind, '--out')).not.toThrow();
  rmSync(path);
  for (const kind of kinds) expect(() => requireReplaceable(path, kind, '--out')).not.toThrow();
});
