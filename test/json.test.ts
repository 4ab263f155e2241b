/**
 * What programs read: every verb of the command line has `--json` and says in its help what that prints, and what it then really
 * prints has exactly those keys. The list of verbs is the program's own, so a new one is asked, too.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { everyCommand } from '@kasane/cli/internal/program/every-command';
import { helpOf, jsonShape, verbsOf } from '@kasane/cli/internal/program/help-text';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';

/** Verbs without `--json`, and why. docs/cli.md says so, too. */
const without: Readonly<Record<string, string>> = {
  worker: 'it prints a log and no result; --log-format json',
  schema: 'what it prints is JSON',
  completion: 'what it prints is for a shell',
};

const verbs = verbsOf(await everyCommand());
const shapes = new Map(verbs.map(({ name, command }) => [name, jsonShape(command).join('\n')]));

describe.each(verbs)('kasane $name', ({ name, command }) => {
  it('has examples', () => {
    expect(helpOf(command)).toMatch(/^Examples:\n {2}.*kasane/m);
  });

  it('has --json and says what that prints, or has a reason not to', () => {
    const flag = command.options.some((option) => option.long === '--json');
    expect({ flag, told: shapes.get(name) !== '' }).toEqual({ flag: !(name in without), told: flag });
  });
});

/** The keys of each object that a shape shows, as `{ a, b: [{ c }] }` shows a and b. */
function keysOf(shape: string): string[][] {
  const as = /as in kasane (\w+)/.exec(shape);
  if (as && !shape.includes('{')) return keysOf(shapes.get(as[1]!)!);
  const found: string[][] = [];
  let depth = 0;
  let key = '';
  for (const character of shape) {
    if (depth === 1 && (character === ',' || character === '}')) {
      found.at(-1)!.push(/^\s*(\w+)/.exec(key)![1]!);
      key = '';
    } else if (depth === 1) key += character;
    if (depth === 0 && character === '{') found.push([]);
    if (character === '{' || (character === '[' && depth > 0)) depth++;
    else if (depth > 0 && (character === '}' || character === ']')) depth--;
  }
  return found;
}

it('shapes are read as they are meant', () => {
  expect(keysOf('[{ a, b: "x", c: [{ d, e }], f: { g } }]')).toEqual([['a', 'b', 'c', 'f']]);
  expect(keysOf('of one:  { a }\nof two: { b,\n c }')).toEqual([['a'], ['b', 'c']]);
  expect(keysOf('the job, as in kasane jobs')[0]).toContain('waitingFor');
});

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

describe('what is printed is what the help says', () => {
  const folder = temporaryDirectory(cleanUp);
  const file = (name: string) => join(folder, name);
  const env = { ...process.env, KASANE_CONFIG: file('config.json'), NO_COLOR: '1' };
  let address = '';
  const asked = new Set<string>();

  /** Every object that a verb printed has the keys of a shape in its help. */
  function check(
    verb: string,
    stdout: string,
    options: { readonly none?: boolean } = {},
  ): Record<string, unknown>[] {
    asked.add(verb);
    const shape = shapes.get(verb)!;
    const allowed = keysOf(shape).map((keys) => keys.sort());
    const records = stdout
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .flatMap((line): Record<string, unknown>[] => {
        const printed = JSON.parse(line);
        return Array.isArray(printed) ? printed : [printed];
      });
    if (!options.none) expect(records.length, verb).toBeGreaterThan(0);
    for (const record of records)
      expect(allowed, `${verb}: ${shape}`).toContainEqual(Object.keys(record).sort());
    return records;
  }

  /** Runs `kasane VERB ARGUMENTS --json` to its end. */
  async function kasane(verb: string, ...args: readonly string[]): Promise<Record<string, unknown>[]> {
    const all = [main, ...verb.split(' '), ...args, '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, all, { env, cwd: folder });
    return check(verb, stdout);
  }
  const ask = (verb: string, ...args: readonly string[]) => kasane(verb, ...args, '--coordinator', address);

  /** Starts a verb that stays. @returns its first line of output, checked */
  async function stays(
    verb: string,
    ...args: readonly string[]
  ): Promise<[Record<string, unknown>, ChildProcess]> {
    const child = spawn(process.execPath, [main, verb, ...args, '--json'], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    cleanUp.add(() => child.kill('SIGKILL'));
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    return [check(verb, line)[0]!, child];
  }

  const job = (name: string, epochs: number) => {
    writeFileSync(
      file(`${name}.yaml`),
      `name: ${name}\nmodel: { preset: mnist-mlp }\ndata: { path: ${file('mnist')} }\ntraining: { epochs: ${epochs}, batch: 100, shards: 2 }\n`,
    );
    return file(`${name}.yaml`);
  };

  beforeAll(async () => {
    const data = smallMnist(temporaryDirectory(cleanUp), 500, 100);
    const parts = ['train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'];
    await promisify(execFile)('mkdir', [file('mnist')]);
    for (const part of parts) copyFileSync(join(data, `${part}-ubyte`), join(file('mnist'), `${part}-ubyte`));
    const [serves] = await stays(
      'coordinator',
      '--port',
      '0',
      '--dashboard-port',
      '0',
      '--state',
      file('state'),
    );
    address = serves.address as string;
    expect((await fetch(serves.dashboard as string)).status).toBe(200);
  });

  it('of files and models, without a coordinator', async () => {
    const [made] = await kasane('init', 'made.yaml', '--data', file('mnist'), '--yes');
    expect(made).toMatchObject({ file: 'made.yaml', job: { data: { format: 'idx' } } });
    await Promise.all([
      kasane('models'),
      kasane('layers'),
      kasane('layers', 'conv2d'),
      kasane('data inspect', 'made.yaml'),
      kasane('data get'),
      kasane('data get', 'xor'),
      kasane('version'),
    ]);
    await kasane('find-lr', job('rising', 1), '--steps', '20', '--workers', '1');
    await kasane('find-batch', job('rising', 1), ...['--from', '20', '--to', '40', '--seconds', '0.2']);
    const [[packed]] = await Promise.all([
      kasane('data pack', 'made.yaml', 'packed'),
      kasane('models', 'mnist-cnn'),
      kasane('cert dev', 'certificates'),
    ]);
    expect(packed).toMatchObject({ train: 500, test: 100 });
    const state = ['--state', file('other')];
    const [token] = await kasane('token create', 'me', '--scope', 'read', ...state);
    const [revoked] = await kasane('token revoke', 'me', ...state);
    expect(revoked).toMatchObject({ id: token!.id, state: 'revoked' });
    await kasane('token list', ...state);
    await kasane('context add', 'lab', '--coordinator', '127.0.0.1:1', '--token', 'secret');
    const [used] = await kasane('context use', 'lab');
    expect(used).toEqual({ name: 'lab', coordinator: '127.0.0.1:1', token: true, current: true });
    expect(await kasane('context list')).toEqual([used]);
    expect(await kasane('context remove', 'lab')).toEqual([{ ...used, current: false }]);
  });

  it('of a cluster', async () => {
    // Nobody computes yet: it can be paused, and go on, and be ended.
    const [{ job: waits } = {}] = await ask('submit', job('waits', 1));
    expect(await ask('pause', waits as string)).toMatchObject([{ job: waits, state: 'paused' }]);
    expect(await ask('priority', waits as string, '5')).toMatchObject([{ priority: 5 }]);
    expect(await ask('resume', waits as string)).toMatchObject([
      { job: waits, state: expect.stringMatching(/queued|running/) },
    ]);
    expect(await ask('cancel', waits as string)).toMatchObject([{ job: waits, state: 'cancelled' }]);
    const [{ job: id } = {}] = await ask('retry', waits as string);
    const computes = spawn(process.execPath, [main, 'worker', '--coordinator', address, '--slots', '1'], {
      stdio: 'ignore',
    });
    cleanUp.add(() => computes.kill('SIGKILL'));
    const followed = await ask('watch', id as string);
    expect(followed.at(-1)).toMatchObject({ job: id, state: 'succeeded' });

    const [happening, top] = await stays('top', '--coordinator', address);
    expect(happening).toMatchObject({ event: 'joined' });
    top.kill();
    const [page, dashboard] = await stays('dashboard', '--port', '0', '--coordinator', address);
    expect((await fetch(page.url as string)).status).toBe(200);
    dashboard.kill();

    writeFileSync(
      file('sweep.yaml'),
      `${readFileSync(job('swept', 1), 'utf8')}search: { trials: 2, parameters: { training.batch: { choices: [50, 100] } } }\n`,
    );
    const [begun] = await ask('sweep', 'sweep.yaml', '--detach');
    await ask('sweeps', begun!.sweep as string, '--watch');
    expect(await ask('sweeps')).toMatchObject([{ sweep: begun!.sweep, state: 'succeeded', trials: 2 }]);
    const [copied] = await kasane('backup', 'copy', '--state', file('state'));
    expect(copied).toMatchObject({ folder: file('copy'), jobs: 4, missing: [] });
    const [[worker]] = await Promise.all([
      ask('workers'),
      ask('jobs'),
      ask('runs'),
      ask('runs diff', id as string, waits as string),
      ask('status'),
      ask('logs', id as string),
    ]);
    await Promise.all([ask('eval', id as string), ask('export', id as string, '-o', 'model.safetensors')]);
    await ask('export', id as string, '-o', 'net.onnx');
    expect(await kasane('import', 'net.onnx')).toMatchObject([
      { file: 'net.yaml', parameters: expect.any(Number) },
    ]);
    await ask('model register', id as string, 'digits:1', '--alias', 'best');
    const [[card]] = await Promise.all([
      ask('model card', 'digits:best'),
      ask('model show', 'digits:1'),
      ask('model list'),
    ]);
    expect(card).toMatchObject({ model: 'digits:1' });
    expect(await ask('model alias', 'digits:best', '--remove')).toMatchObject([{ aliases: [], before: '1' }]);
    expect(await ask('model delete', '--yes', 'digits:1')).toMatchObject([{ model: 'digits:1' }]);
    expect(await ask('delete', '--yes', waits as string)).toEqual([
      { job: waits, bytes: expect.any(Number) },
    ]);
    await ask('drain', worker!.id as string);
    await sharp({ create: { width: 28, height: 28, channels: 3, background: 'gray' } }).toFile(
      file('digit.png'),
    );
    await kasane('predict', 'model.safetensors', 'digit.png');
    // Says that something is wrong where this machine lacks something: what it prints counts here.
    const doctor = execFile(process.execPath, [main, 'doctor', '--json', '--coordinator', address], { env });
    let found = '';
    doctor.stdout!.on('data', (text: string) => {
      found += text;
    });
    await once(doctor, 'close');
    check('doctor', found);
  });

  it('of a training here', async () => {
    const [trained] = await kasane('train', job('here', 1), '--workers', '1', '--out', 'here.safetensors');
    expect(trained).toMatchObject({ epochs: 1, steps: 5 });
    const [swept] = await kasane('sweep', 'sweep.yaml', '--workers', '1', '--out', 'swept.safetensors');
    expect(swept).toMatchObject({ state: 'succeeded', jobFile: file('swept.job.json') });
  });

  it('none is left out', () => {
    const all = verbs.map(({ name }) => name).filter((name) => !(name in without));
    expect([...asked].sort()).toEqual(all.sort());
  });
});
