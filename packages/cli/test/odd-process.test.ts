/** The real command in a process that something was taken from: its folder, its streams, files it may open, rights on what it makes. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../src/bin.js', import.meta.url));
/** What starts it in a clone. */
const script = fileURLToPath(new URL('../../../scripts/kasane.mjs', import.meta.url));
const LIMIT_MS = 120_000;
const UNREACHABLE = 69;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-odd-'));
  writeFileSync(join(folder, 'xor.csv'), `a,b,y\n${'0,0,no\n0,1,yes\n1,0,yes\n1,1,no\n'.repeat(8)}`);
  const job = {
    name: 'tiny',
    model: { input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] },
    data: { format: 'csv', path: join(folder, 'xor.csv'), target: 'y' },
    training: { epochs: 1, batch: 8 },
  };
  const search = { trials: 2, parameters: { 'training.learningRate': { log: [0.001, 0.1] } } };
  for (const [name, what] of Object.entries({ tiny: job, train: job, sweep: { ...job, search } }))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(what));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `kasane ...args` by a shell that does something first. */
function within(
  shell: string,
  args: readonly string[],
  program = main,
): Promise<{ code: number | null; stderr: string }> {
  const child = spawn('sh', ['-c', shell, 'sh', process.execPath, program, ...args], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1', KASANE_CONFIG: '/nowhere/config.json' },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stderr }));
  });
}

it.each([
  ['an installed kasane', main],
  ['that of a clone', script],
])('a working directory that was deleted: %s', { timeout: 2 * LIMIT_MS }, async (_, program) => {
  const shell = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"';
  const help = await within(shell, ['--help'], program);
  expect(help.code, help.stderr).toBe(0);
  const trained = await within(shell, ['train', join(folder, 'tiny.json'), '--workers', '1'], program);
  expect(trained).toEqual({
    code: 66,
    stderr: 'kasane: the working directory no longer exists; cd to another one\n',
  });
});

it.each([
  ['64 open files', 'ulimit -n 64 && exec "$@"'],
  ['20 GB of addresses', 'ulimit -v 20000000 && NODE_OPTIONS=--disable-wasm-trap-handler exec "$@"'],
  ['no standard input', 'exec "$@" <&-'],
  ['no standard output', 'exec "$@" >&-'],
  ['neither', 'exec "$@" <&- >&-'],
  ['files that only their owner may use', 'umask 077 && exec "$@"'],
])('%s', { timeout: 3 * LIMIT_MS }, async (_, shell) => {
  const help = await within(shell, ['--help']);
  expect(help.code, help.stderr).toBe(0);
  const jobs = await within(shell, ['jobs', '--coordinator', '127.0.0.1:9']);
  expect(jobs.code, jobs.stderr).toBe(UNREACHABLE);
  expect(jobs.stderr.trimEnd().split('\n')).toHaveLength(1);
  const out = join(folder, 'weights.safetensors');
  const trained = await within(shell, [
    ...['train', join(folder, 'tiny.json'), '--workers', '1', '--slots', '1', '--out', out],
  ]);
  expect(trained.stderr).not.toMatch(/a bug|^\s+at /m);
  expect(trained.code, trained.stderr).toBe(0);
});

it.each([
  ['error', 'train', '2>/dev/full', 0, ''],
  ['error', 'sweep', '2>/dev/full', 0, ''],
  [
    'output',
    'train',
    '>/dev/full',
    74,
    'kasane: standard output cannot be written (ENOSPC): what is printed',
  ],
])(
  'standard %s of %s on a full disk: trained weights are written all the same',
  { timeout: LIMIT_MS },
  async (_, command, redirection, code, said) => {
    const out = join(folder, 'full.safetensors');
    const args = [command, join(folder, `${command}.json`), '--workers', '1', '--out', out];
    const trained = await within(`exec "$@" ${redirection}`, args);
    expect(trained.stderr).toContain(said);
    expect(trained.code, trained.stderr).toBe(code);
    expect(existsSync(out)).toBe(true);
    rmSync(out);
  },
);

it.each([
  ['train', ['train', 'job.json', '--workers', '1']],
  ['coordinator', ['coordinator', '--port', '0', '--state', 'state']],
])(
  '%s with too few open files: the limit is named, and nothing else',
  { timeout: LIMIT_MS },
  async (_, args) => {
    const { code, stderr } = await within('ulimit -n 40 && cp tiny.json job.json && exec "$@"', args);
    expect(stderr).toMatch(/^kasane: the limit of 40 open files is too low: .* \(ulimit -n 1024\)\n$/);
    expect(code).toBe(71);
  },
);

it.each([
  ['train', ['train', 'job.json', '--workers', '1']],
  ['coordinator', ['coordinator', '--port', '0', '--state', 'state']],
])(
  '%s where files may hardly have a size: the limit is named, and nothing waits',
  {
    timeout: LIMIT_MS,
  },
  async (_, args) => {
    const { code, stderr } = await within('cp tiny.json job.json && ulimit -f 100 && exec "$@"', args);
    expect(stderr).toMatch(
      /^kasane: the limit of \d+ KiB on the size of a file is too low: .* \(ulimit -f unlimited\)\n$/,
    );
    expect(code).toBe(73);
  },
);

it('weights of an earlier training are replaced with a note, where nobody has named their place', {
  timeout: LIMIT_MS,
}, async () => {
  const { code, stderr } = await within('mkdir -p .kasane && : >.kasane/tiny.safetensors && exec "$@"', [
    'train',
    'tiny.json',
    '--workers',
    '1',
  ]);
  expect(stderr).toMatch(/^Note: \S*\.kasane\/tiny\.safetensors is from an earlier training .* set --out/m);
  expect(code, stderr).toBe(0);
});

it('a training that fails late says that its progress is lost', { timeout: LIMIT_MS }, async () => {
  const rows = Array.from({ length: 64 }, (_, i) => `${i},${3 * i}`);
  writeFileSync(join(folder, 'line.csv'), `x,y\n${rows.join('\n')}\n`);
  const job = {
    name: 'diverges',
    model: { input: [1], output: [1], layers: [{ type: 'dense', units: 1 }] },
    data: { format: 'csv', path: 'line.csv', target: 'y' },
    objective: { type: 'regression' },
    training: { epochs: 60, batch: 32, learningRate: 3, optimizer: { type: 'sgd' } },
  };
  writeFileSync(join(folder, 'diverges.json'), JSON.stringify(job));
  const { code, stderr } = await within('exec "$@"', ['train', 'diverges.json', '--workers', '1']);
  expect(stderr).toMatch(/^epoch +2\/60 /m);
  expect(stderr).toMatch(/^Note: the progress of this run is lost\. To keep progress, .*\nkasane: .*\n$/m);
  expect(code).toBe(1);
});

it('a profile that cannot be written is named, after where the weights are', {
  timeout: LIMIT_MS,
}, async () => {
  const out = join(folder, 'profiled.safetensors');
  const options = ['--workers', '1', '--out', out, '--profile', join(folder, 'nowhere', 'p.json')];
  const { code, stderr } = await within('exec "$@" >&2', ['train', 'tiny.json', ...options]);
  expect(stderr).toMatch(
    /^Weights {2}\S+profiled\.safetensors\nSHA-256.*\nkasane: \S+nowhere\/p\.json: .*\n$/m,
  );
  expect(code).not.toBe(0);
});

it.each([
  ['train', ['tiny.json']],
  ['worker', ['--coordinator', '127.0.0.1:9']],
  ['coordinator', ['--state', 'state']],
])('few addresses for %s', { timeout: LIMIT_MS }, async (command, args) => {
  const { code, stderr } = await within('ulimit -v 20000000 && exec "$@"', [command, ...args]);
  expect(stderr).toMatch(
    /^kasane: the limit of 19 GiB on the address space is too low for WebAssembly: .*ulimit -v unlimited.*NODE_OPTIONS=--disable-wasm-trap-handler/,
  );
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(code).toBe(69);
});

it.each([
  ['train', ['tiny.json', '--workers', '1', '--slots', '1']],
  ['worker', ['--coordinator', '127.0.0.1:9', '--slots', '1']],
  ['coordinator', ['--state', 'state-of-few']],
])('too few addresses for the threads of %s', { timeout: LIMIT_MS }, async (command, args) => {
  const { code, stderr } = await within('ulimit -v 5000000 && exec "$@"', [command, ...args]);
  expect(stderr).toMatch(
    /^kasane: the limit of 4 GiB on the address space is too low: .*ulimit -v unlimited/,
  );
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(code).toBe(69);
});
