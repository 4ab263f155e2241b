/** Help answers without loading what only commands need. */
import { readFileSync } from 'node:fs';
import { type ErrorCode, errorCodes } from '@kasane/protocol/errors';
import { expect, test } from 'vitest';
import { kasane } from './support/kasane.ts';

/** Writes the address of every loaded module to standard error when the process ends. */
const spy = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  import { writeSync } from 'node:fs';
  const loaded = [];
  registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
  process.on('exit', () => writeSync(2, loaded.join('\\n')));
`)}`;
const watched = { nodeArguments: ['--import', spy] };
/** A few lines each, which load nothing themselves. */
const light =
  /(protocol\/src\/ports\/address|plain-text|token-text|regular-file|make-folders|system-errors|ip-ranges)\.ts$/;
const heavy =
  /grpc|bullmq|ioredis|sharp|\/zod|cli-progress|pino|\/ink\/|\/react|yoga|opentelemetry|@kasane|packages\/(protocol|coordinator|worker|tensor)/;

test('the spy sees what a command loads', { timeout: 60_000 }, async () => {
  const { stderr } = await kasane(['schema'], watched);
  expect(stderr).toMatch(/packages\/protocol\/src\/job\/job\.ts/);
});

test.each([['--help'], ['--version'], ['train', '--help'], ['train', '--workers', '0']])(
  'kasane %s %s loads nothing heavy',
  { timeout: 60_000 },
  async (...args) => {
    const { stderr } = await kasane(args, watched);
    const loaded = stderr.split('\n').filter((line) => line.startsWith('file:'));
    expect(loaded.some((url) => url.endsWith('cli/src/main.ts'))).toBe(true);
    expect(loaded.filter((url) => heavy.test(url) && !light.test(url))).toEqual([]);
  },
);

test.each(['jobs', 'workers', 'status'])(
  'kasane %s loads nothing of what coordinators and workers need',
  { timeout: 60_000 },
  async (name) => {
    const { stderr } = await kasane([name, '--coordinator', '127.0.0.1:9'], watched);
    expect(stderr).toMatch(/packages\/protocol\/src\/grpc\/client\.ts/);
    const more = /bullmq|ioredis|sharp|\/zod|\/yaml\/|cli-progress|pino|packages\/(coordinator|worker)\//;
    expect(stderr.split('\n').filter((line) => line.startsWith('file:') && more.test(line))).toEqual([]);
  },
);

test('kasane train starts nothing for a job that is not one', { timeout: 60_000 }, async () => {
  const { stderr } = await kasane(['train', 'mnist-mpl'], watched);
  expect(stderr).toContain("did you mean 'mnist-mlp'");
  expect(stderr).not.toMatch(
    /cli\/src\/commands\/train\/(worker-processes|cluster)\.ts|packages\/(coordinator|worker)\//,
  );
});

test('every command has help, on standard output', { timeout: 120_000 }, async () => {
  const { stdout, code } = await kasane(['--help']);
  expect(code).toBe(0);
  const [list, examples] = stdout.split('\nExamples:\n');
  expect(examples).toContain('kasane train');
  const names = [...list!.matchAll(/^ {2}([a-z-]+) /gm)]
    .map(([, name]) => name!)
    .filter((name) => name !== 'help');
  expect(names).toEqual(expect.arrayContaining(['train', 'predict', 'eval', 'export', 'status', 'doctor']));
  const each = async (names: readonly string[]) => {
    for (const name of names) {
      const help = await kasane([name, '--help']);
      expect(help).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout).toContain(`Usage: kasane ${name}`);
      expect(help.stdout).toMatch(/\nExamples:\n {2}\S*.*kasane /);
    }
  };
  const half = Math.ceil(names.length / 2);
  await Promise.all([each(names.slice(0, half)), each(names.slice(half))]);
});

test('docs/cli.md tells of commands and exit codes as they are', { timeout: 60_000 }, async () => {
  const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
  const { stdout } = await kasane(['--help']);
  const commands = [...page.matchAll(/^\| `kasane ([a-z-]+)`/gm)].map(([, name]) => name!);
  expect(commands.length).toBeGreaterThan(25);
  for (const name of commands) expect(stdout).toContain(`\n  ${name} `);
  const rows = [...page.matchAll(/^\| (\d+) +\| (.*)$/gm)];
  const told = rows.flatMap(([, exit, text]) =>
    [...text!.matchAll(/`([A-Z_]+)`/g)].map(([, code]) => [code!, Number(exit)] as const),
  );
  expect(told.length).toBeGreaterThan(10);
  for (const [code, exit] of told) expect(errorCodes[code as ErrorCode], code).toMatchObject({ exit });
});

test('completion: a script, and suggestions', { timeout: 60_000 }, async () => {
  expect((await kasane(['completion', 'bash'])).stdout).toContain('kasane');
  const suggested = await kasane(['complete', '--', 'pre']);
  expect(suggested.stdout).toMatch(/^predict\t/m);
});

test('schema is JSON', { timeout: 60_000 }, async () => {
  const { stdout } = await kasane(['schema']);
  expect(JSON.parse(stdout)).toMatchObject({
    type: 'object',
    anyOf: [{ required: ['name', 'model'] }, { required: ['extends'] }],
  });
});
