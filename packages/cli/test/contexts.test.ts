/** Contexts: coordinators by name in a file that only its owner reads, and tokens that go nowhere else. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { add, list, remove, use } from '../src/commands/context/context.ts';
import { configFile, contextInUse, readConfig } from '../src/program/contexts.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  file = join(folder, 'a/config.json');
  vi.stubEnv('KASANE_CONFIG', file);
  vi.stubEnv('KASANE_CONTEXT', undefined);
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const said = () =>
  vi
    .mocked(process.stdout.write)
    .mock.calls.map(([text]) => String(text))
    .join('');

it('lies where the system has such files', () => {
  expect(configFile({ XDG_CONFIG_HOME: '/x' })).toBe(join('/x', 'kasane/config.json'));
  expect(configFile({ KASANE_CONFIG: '/y.json' })).toBe('/y.json');
});

it('the first is in use; another can be chosen, for good or once; the last one gone leaves none', () => {
  add('lab', { coordinator: 'lab:7420', token: 'secret' });
  add('home', { coordinator: 'home:7420' });
  expect(contextInUse()).toEqual({ coordinator: 'lab:7420', token: 'secret' });
  use('home');
  expect(contextInUse()).toEqual({ coordinator: 'home:7420' });
  expect(contextInUse({ KASANE_CONFIG: file, KASANE_CONTEXT: 'lab' })?.coordinator).toBe('lab:7420');
  remove('home');
  expect(contextInUse()).toBeUndefined();
  expect(Object.keys(readConfig().contexts)).toEqual(['lab']);
});

it('keeps tokens from others, and from what is printed', () => {
  add('lab', { coordinator: 'lab:7420', token: 'secret' });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  list({ json: true });
  list({});
  expect(said()).toContain('{"name":"lab","coordinator":"lab:7420","token":true,"current":true}');
  expect(said()).not.toContain('secret');
});

it('says what is wrong', () => {
  expect(() => add('a b', { coordinator: 'x:1' })).toThrow(
    /context 'a b': expected a name that starts with a letter or digit/,
  );
  add('lab', { coordinator: 'lab:7420' });
  expect(() => use('lbb')).toThrow(/no context 'lbb'; did you mean 'lab'/);
  expect(() => remove('lbb')).toThrow(/no context 'lbb'/);
  expect(() => contextInUse({ KASANE_CONFIG: file, KASANE_CONTEXT: 'x' })).toThrow(/available: lab/);
  writeFileSync(file, '{');
  expect(() => list({})).toThrow(/config\.json: .*; fix it, or remove it/);
  writeFileSync(file, '{"contexts":{"x":{}}}');
  expect(() => contextInUse()).toThrow(/context 'x' has no coordinator/);
});

describe('a command', () => {
  /** The options that a command of the program sees, with this command line. */
  async function seen(...args: string[]): Promise<Record<string, unknown>> {
    vi.resetModules();
    const { command, coordinator, program, token } = await import('../src/program/program.ts');
    let options: Record<string, unknown> = {};
    command('probe', '')
      .addOption(coordinator())
      .addOption(token())
      .action((given) => {
        options = given as Record<string, unknown>;
      });
    await program.parseAsync(['node', 'kasane', 'probe', ...args]);
    return options;
  }

  it('asks the coordinator of the context with its token, another one without', async () => {
    vi.stubEnv('KASANE_COORDINATOR', undefined);
    vi.stubEnv('KASANE_TOKEN', undefined);
    add('lab', { coordinator: 'lab:7420', token: 'secret' });
    expect(await seen()).toEqual({ coordinator: 'lab:7420', token: 'secret' });
    expect(await seen('--token', 'mine')).toEqual({ coordinator: 'lab:7420', token: 'mine' });
    expect(await seen('--coordinator', 'other:1')).toEqual({ coordinator: 'other:1' });
    vi.stubEnv('KASANE_COORDINATOR', 'third:1');
    expect(await seen()).toEqual({ coordinator: 'third:1' });
  });

  it('does not run where the context is wrong', async () => {
    vi.stubEnv('KASANE_CONTEXT', 'absent');
    await expect(seen()).rejects.toThrow(/no context 'absent'/);
    expect(await seen('--coordinator', 'other:1')).toEqual({ coordinator: 'other:1' });
  });
});
