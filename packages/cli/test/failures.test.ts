/** What is wrong on the command line gives one clear line, the exit code of the table, and no stack. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCodes } from '@kasane/protocol/errors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kasane } from './support/kasane.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  const job = (layer: string) =>
    `name: x\nmodel:\n  input: [784]\n  classes: 10\n  layers:\n    - { type: ${layer}, units: 10 }\n`;
  writeFileSync(join(folder, 'misspelt.yaml'), job('dence'));
  writeFileSync(join(folder, 'broken.yaml'), 'name: [x\n');
  writeFileSync(
    join(folder, 'twice.yaml'),
    'name: x y\nmodel: { preset: mnist-mlp }\ntraining: { epochs: -1 }\n',
  );
  for (const name of ['rows.csv', 'a.JPG']) writeFileSync(join(folder, name), 'x,y\n'.repeat(3_000));
  writeFileSync(join(folder, 'cut.safetensors'), Buffer.from([9, 0, 0]));
  writeFileSync(join(folder, 'key.yaml'), 'name: x\nmodel: { preset: mnist-mlp }\ntraining: { epoch: 1 }\n');
  const image = { model: { preset: 'resnet-18', classes: 2, image: [8, 8] } };
  const jobs = {
    images: { ...image, data: { format: 'imagefolder', path: 'absent', size: 8 } },
    packed: { ...image, data: { format: 'packed', path: 'absent' } },
    texts: {
      model: { preset: 'gpt', tokens: 9, context: 4 },
      data: { format: 'text', path: 'absent', context: 4 },
    },
    weights: { model: { preset: 'mnist-mlp' }, init: 'absent' },
  };
  for (const [name, job] of Object.entries(jobs))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ name, ...job }));
  writeFileSync(join(folder, 'section.yaml'), 'name: x\nmodel: { preset: mnist-mlp }\ntraning: {}\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Case {
  readonly args: readonly string[];
  readonly exit: number;
  readonly says: RegExp;
  readonly env?: Readonly<Record<string, string>>;
}

const { exit: usage } = errorCodes.USAGE;
const invalid = errorCodes.JOB_INVALID.exit;
const { exit: missing } = errorCodes.NO_INPUT;
const cases: readonly Case[] = [
  { args: ['train', '--workers', '0'], exit: usage, says: /--workers.*'0'.*whole number from 1 to 256/ },
  { args: ['train', '--workers', '1.5'], exit: usage, says: /--workers.*'1\.5'/ },
  { args: ['train', '--workers', ''], exit: usage, says: /--workers/ },
  { args: ['train', '--out', ''], exit: usage, says: /option '--out <file>' is empty/ },
  { args: ['data', 'pack', 'x', ''], exit: usage, says: /argument <folder> is empty/ },
  { args: ['predict', 'x', '', ''], exit: usage, says: /^kasane: argument <inputs> is empty/ },
  { args: ['predict', 'x', ''], exit: usage, says: /^kasane: argument <inputs> is empty/ },
  { args: ['predict', '-x.txt'], exit: usage, says: /for a file of that name, use \.\/-x\.txt/ },
  { args: ['train', '--slots', '-1'], exit: usage, says: /--slots/ },
  { args: ['train', '--epochs', '0'], exit: usage, says: /--epochs/ },
  { args: ['train', '--learning-rate', 'fast'], exit: usage, says: /--learning-rate.*number above 0/ },
  { args: ['train', '--math', 'rough'], exit: usage, says: /exact, fast/ },
  { args: ['train', '--backend', 'quantum'], exit: usage, says: /wasm, webgpu, auto/ },
  { args: ['train', '--bogus'], exit: usage, says: /unknown option '--bogus'/ },
  { args: ['train', '--shards', '8', '--batch', '4'], exit: invalid, says: /8 shards of a batch of 4/ },
  { args: ['train', 'nothing-here'], exit: missing, says: /nothing-here.*mnist-mlp/ },
  {
    args: ['train', 'nothing-here.yaml'],
    exit: missing,
    says: /here\.yaml: file not found \(`kasane init` creates/,
  },
  {
    args: ['train', 'rows.csv'],
    exit: invalid,
    says: /rows\.csv: a table, .* `kasane init job\.yaml --data rows\.csv`/,
  },
  { args: ['submit', 'a.JPG'], exit: invalid, says: /a\.JPG: an image, not a job file; .* --data FOLDER`/ },
  {
    args: ['train', 'cut.safetensors'],
    exit: invalid,
    says: /weights, not a job file; to start from them, write init: cut/,
  },
  { args: ['train', 'misspelt.yaml'], exit: invalid, says: /misspelt\.yaml:6:.*dence.*dense/ },
  { args: ['train', 'broken.yaml'], exit: invalid, says: /broken\.yaml:\d+:/ },
  {
    args: ['train', 'twice.yaml'],
    exit: invalid,
    says: /^kasane: \S*twice\.yaml:1: name: .*\n {2}\S*twice\.yaml:\d+: /,
  },
  { args: ['submit', 'misspelt.yaml'], exit: invalid, says: /misspelt\.yaml:6:/ },
  { args: ['train', '--data', 'absent'], exit: missing, says: /absent/ },
  { args: ['train', 'images.json'], exit: missing, says: /absent: folder not found/ },
  { args: ['train', 'packed.json'], exit: missing, says: /absent: folder not found/ },
  { args: ['train', 'texts.json'], exit: missing, says: /absent: file or folder not found/ },
  {
    args: ['train', 'weights.json'],
    exit: missing,
    says: /^kasane: init: \S*absent: file or folder not found/,
  },
  { args: ['init', 'new.yaml', '--data', 'absent.csv'], exit: missing, says: /absent\.csv/ },
  { args: ['trian'], exit: usage, says: /unknown command 'trian'.*train/ },
  { args: ['watch'], exit: usage, says: /missing required argument 'job'/ },
  { args: ['coordinator', '--port', '70000'], exit: usage, says: /--port.*65535/ },
  { args: ['jobs', '--coordinator', 'somewhere'], exit: usage, says: /HOST:PORT/ },
  { args: ['jobs'], env: { KASANE_COORDINATOR: 'nowhere' }, exit: usage, says: /KASANE_COORDINATOR/ },
  // Node's recursive mkdir never returns there.
  ...(process.platform === 'linux'
    ? [
        {
          args: ['coordinator', '--state', '/proc/kasane/state'],
          exit: 73,
          says: /state directory.*\/proc\/kasane/,
        },
        {
          args: ['cert', 'dev', '/proc/kasane/tls'],
          exit: missing,
          says: /\/proc\/kasane.*check the path/,
        },
        {
          args: ['context', 'add', 'lab', '--coordinator', '127.0.0.1:9'],
          env: { KASANE_CONFIG: '/proc/kasane/config.json' },
          exit: missing,
          says: /\/proc\/kasane.*check the path/,
        },
      ]
    : []),
  // A token that nobody could show is refused wherever one is given.
  ...['coordinator', 'worker', 'jobs'].map((command) => ({
    args: [command],
    env: { KASANE_TOKEN: 'two words' },
    exit: usage,
    says: /^kasane: the token contains spaces/,
  })),
  {
    args: ['predict', 'cut.safetensors', 'x.png'],
    exit: errorCodes.FILE_DAMAGED.exit,
    says: /cut\.safetensors/,
  },
  {
    args: ['predict', 'absent.safetensors', 'x.png'],
    exit: missing,
    says: /absent\.safetensors/,
  },
  { args: ['train', '--epoch', '3'], exit: usage, says: /unknown option '--epoch'.*--epochs/ },
  { args: ['train', '--workers'], exit: usage, says: /--workers <n>.*argument missing/ },
  { args: ['train', 'a', 'b'], exit: usage, says: /too many arguments/ },
  { args: ['statsu'], exit: usage, says: /unknown command 'statsu'.*status/ },
  { args: ['submit'], exit: usage, says: /missing required argument 'job'/ },
  {
    args: ['submit', 'key.yaml'],
    exit: invalid,
    says: /key\.yaml:3: training\.epoch:.*did you mean 'epochs'/,
  },
  {
    args: ['submit', 'section.yaml'],
    exit: invalid,
    says: /section\.yaml:3: traning:.*did you mean 'training'/,
  },
  { args: ['submit', '.'], exit: invalid, says: /\.: a folder.*kasane init job\.yaml --data \./ },
  { args: ['train', '--out', '.'], exit: usage, says: /a folder; set --out to a file/ },
  { args: ['train', '--out', 'key.yaml/x'], exit: usage, says: /cannot be written.*--out/ },
  { args: ['predict', 'cut.safetensors'], exit: usage, says: /missing required argument 'inputs'/ },
  { args: ['predict', 'x', 'y', '--temperature', '-1'], exit: usage, says: /--temperature.*at least 0/ },
  { args: ['export'], exit: usage, says: /missing required argument 'model'/ },
  { args: ['export', 'cut.safetensors', '--format', 'keras'], exit: usage, says: /onnx, safetensors/ },
  {
    args: ['eval', 'folder/none'],
    exit: missing,
    says: /folder\/none: file not found/,
  },
  { args: ['layers', 'con2d'], exit: invalid, says: /no layer type 'con2d'; did you mean 'conv2d'/ },
  { args: ['models', 'resnet-19'], exit: invalid, says: /resnet-19.*resnet-18/ },
  { args: ['train', 'mnist-mpl'], exit: missing, says: /mnist-mpl: .*did you mean 'mnist-mlp'/ },
  { args: ['submit', 'mnist-cn'], exit: missing, says: /mnist-cn: .*did you mean 'mnist-cnn'/ },
  { args: ['submit', 'x', '--priority', 'high'], exit: usage, says: /--priority.*from -1000 to 1000/ },
  { args: ['priority', 'x', '2000'], exit: usage, says: /2000.*from -1000 to 1000/ },
  { args: ['priority', 'x'], exit: usage, says: /missing required argument 'n'/ },
  { args: ['puase', 'x'], exit: usage, says: /unknown command 'puase'.*pause/ },
  { args: ['pause'], exit: usage, says: /missing required argument 'job'/ },
  { args: ['pause', 'x', '--jsn'], exit: usage, says: /unknown option '--jsn'.*--json/ },
  { args: ['resume', 'x', '--epochs', '0'], exit: usage, says: /--epochs.*at least 1/ },
  { args: ['retry'], exit: usage, says: /missing required argument 'job'/ },
  { args: ['delete'], exit: usage, says: /missing required argument 'jobs'/ },
  { args: ['delete', 'x'], exit: usage, says: /asks first.*--yes/ },
  { args: ['drain'], exit: usage, says: /missing required argument 'worker'/ },
  { args: ['top', 'x'], exit: usage, says: /too many arguments/ },
  { args: ['help', 'trian'], exit: usage, says: /^kasane: unknown command 'trian' \(Did you mean train\?\)/ },
  { args: ['trian', '--help'], exit: usage, says: /^kasane: unknown command 'trian' / },
  { args: ['help', 'model', 'regster'], exit: usage, says: /^kasane: unknown command 'regster' .*register/ },
  { args: ['worker', '--connect-timeout', 'soon'], exit: usage, says: /--connect-timeout.*whole number/ },
];

test('there are thirty of them at least', () => {
  expect(cases.length).toBeGreaterThanOrEqual(30);
});

describe.concurrent('wrong input', () => {
  test.each(cases)('kasane $args', { timeout: 180_000 }, async ({ args, env, exit, says }) => {
    const ended = await kasane(args, { cwd: folder, ...(env && { env }) });
    expect(ended.stderr).toMatch(says);
    // A job file with several faults has a line for each.
    expect(ended.stderr).toMatch(/^kasane: [^\n]+\n(?: {2}[^\n]+:\d+: [^\n]+\n)*$/);
    expect(ended.stdout).toBe('');
    expect(ended.code).toBe(exit);
  });
});

test('an unreachable coordinator is named, with how to start one', { timeout: 180_000 }, async () => {
  // A port that was free a moment ago, and that nobody listens on.
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  const commands = [
    ['jobs'],
    ['workers'],
    ['watch', 'x'],
    ['cancel', 'x'],
    ['delete', 'x', '--yes'],
    ['pause', 'x'],
    ['retry', 'x'],
    ['priority', 'x', '-5'],
    ['drain', 'x'],
    ['top'],
    ['predict', 'x', 'y.png'],
    ['dashboard'],
  ];
  // Side by side: each takes as long as Node takes to start.
  const all = commands.map(async (args) => {
    const ended = await kasane([...args, '--coordinator', `127.0.0.1:${port}`]);
    // A job file with several faults has a line for each.
    expect(ended.stderr).toMatch(/^kasane: [^\n]+\n(?: {2}[^\n]+:\d+: [^\n]+\n)*$/);
    expect(ended.stderr).toContain(`127.0.0.1:${port}`);
    expect(ended.stderr).toContain('kasane coordinator');
    expect(ended.code).toBe(errorCodes.UNREACHABLE.exit);
  });
  await Promise.all(all);
});

test('a truncated data file is named', { timeout: 60_000 }, async () => {
  // Header of 3 images of 28 x 28, and not one pixel.
  const header = Buffer.from([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 28]);
  const data = mkdtempSync(join(folder, 'data-'));
  for (const name of ['train-images-idx3-ubyte', 't10k-images-idx3-ubyte'])
    writeFileSync(join(data, name), header);
  for (const name of ['train-labels-idx1-ubyte', 't10k-labels-idx1-ubyte']) {
    writeFileSync(join(data, name), Buffer.from([0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2]));
  }
  const ended = await kasane(['train', '--data', data]);
  expect(ended.stderr).toMatch(/^kasane: [^\n]*train-images-idx3-ubyte[^\n]*\n$/);
  expect(ended.stdout).toBe('');
  expect(ended.code).toBe(errorCodes.DATA_INVALID.exit);
});

test('a label out of range is named', { timeout: 60_000 }, async () => {
  const data = mkdtempSync(join(folder, 'data-'));
  const images = Buffer.concat([
    Buffer.from([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 28]),
    Buffer.alloc(3 * 784),
  ]);
  for (const part of ['train', 't10k']) {
    writeFileSync(join(data, `${part}-images-idx3-ubyte`), images);
    writeFileSync(join(data, `${part}-labels-idx1-ubyte`), Buffer.from([0, 0, 8, 1, 0, 0, 0, 3, 0, 11, 2]));
  }
  const ended = await kasane(['train', '--data', data]);
  expect(ended.stderr).toMatch(
    /^kasane: [^\n]*train labels reach 11[^\n]*10 classes; labels count from 0[^\n]*\n$/,
  );
  expect(ended.code).toBe(errorCodes.DATA_INVALID.exit);
});

test('a port in use is named, and nothing is left behind', { timeout: 60_000 }, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const args = [
    'coordinator',
    '--port',
    String(port),
    '--state',
    join(folder, 'state'),
    '--log-level',
    'error',
  ];
  const ended = await kasane(args);
  await new Promise((resolve) => server.close(resolve));
  expect(ended.stderr).toMatch(/^kasane: [^\n]+\n$/);
  expect(ended.stderr).toContain(`127.0.0.1:${port}`);
  expect(ended.stdout).toBe('');
  expect(ended.code).toBe(errorCodes.CANNOT_LISTEN.exit);
});

test('listening beyond loopback needs a token', { timeout: 60_000 }, async () => {
  const args = ['coordinator', '--host', '0.0.0.0', '--port', '0', '--state', join(folder, 'open')];
  const ended = await kasane([...args, '--log-level', 'error']);
  expect(ended.stderr).toMatch(/^kasane: [^\n]*--token[^\n]*\n$/);
  expect(ended.code).not.toBe(0);
});

test.skipIf(process.platform !== 'linux')(
  'a WebGPU adapter that is not there is named, by the worker and by a cluster that needs it',
  {
    timeout: 60_000,
  },
  async () => {
    const env = { VK_ICD_FILENAMES: '/nowhere', VK_DRIVER_FILES: '/nowhere' };
    for (const args of [['worker'], ['train', '--math', 'fast', '--workers', '1']]) {
      const ended = await kasane([...args, '--backend', 'webgpu'], { env });
      // The driver's loader has its say first.
      expect(ended.stderr.trim().split('\n').at(-1)).toMatch(/^kasane: .*there is no WebGPU adapter/);
      expect(ended.code).toBe(errorCodes.BACKEND.exit);
    }
  },
);
