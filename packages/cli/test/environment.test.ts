/** Odd environments: whatever a variable says, a command works, or ends with one plain line and the right exit code. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { sources } from '../../../test/support/sources.ts';
import { type Ended, kasane } from './support/kasane.ts';
import { everyValue, variables } from './support/variables.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const job = join(folder, 'job.yaml');
writeFileSync(join(folder, 'points.csv'), `a,b,kind\n${'0,1,x\n1,0,y\n'.repeat(20)}`);
writeFileSync(
  job,
  'name: odd\nmodel: { preset: tabular, features: 2, outputs: 2, hidden: [2] }\ndata: { format: csv, path: points.csv, target: kind }\ntraining: { epochs: 1, batch: 8, shards: 2 }\n',
);
/** The passwords in the odd values of REDIS_URL. */
const SECRET = /p@ss|o%rd|w:o/;

it('knows every variable that is read', () => {
  const read = [...sources()].flatMap(([, text]) =>
    [
      ...text.matchAll(
        /\benv\.([A-Za-z_]\w*)|\.env\('([A-Z_]+)'\)|FromEnv\('([A-Z_]+)'\)|variable: '([A-Z_]+)'/g,
      ),
    ]
      .map((match) => match.slice(1).find((name) => name !== undefined)!)
      .filter((name) => /^[A-Za-z_]*[A-Z_]{3,}\w*$/.test(name)),
  );
  expect(new Set(read).size).toBeGreaterThan(20);
  const known = (name: string) => Object.hasOwn(variables, name) || name.startsWith('OTEL_');
  expect([...new Set(read)].filter((name) => !known(name))).toEqual([]);
});

/** Nothing of Node's stacks, of undefined values, or of blame for us. */
function expectPlain({ code, stdout, stderr }: Ended, what: string, allowed: readonly number[]) {
  expect([0, ...allowed], `${what}: ${stderr}`).toContain(code);
  expect(stderr, what).not.toMatch(/a bug|undefined|\n\s+at |Unhandled|throw er;|node:internal/);
  if (code === 0) return;
  const last = stderr.trim().split('\n').at(-1) ?? '';
  expect(last, what).toMatch(/^kasane: \S/);
  expect(last, what).not.toMatch(/\bE(ACCES|NOENT|ROFS|NOTDIR|ISDIR|NAMETOOLONG|PERM|NOSPC)\b/);
  expect(stdout, what).toBe('');
}

interface Setting {
  readonly name: string;
  readonly value: string;
  readonly exits: readonly number[];
}

/** These variables, each with its odd values, and with none at all. */
function settings(names: readonly string[], most = 99): Setting[] {
  return names.flatMap((name) => {
    const { odd = [], exits = [] } = variables[name]!;
    return ['', ...odd].slice(0, most).map((value) => ({ name, value, exits }));
  });
}

/** All variables that change nothing a command says, each with one of its values. */
function harmless(turn: number): Record<string, string> {
  const started = ['PATH', 'NODE_OPTIONS', 'LD_LIBRARY_PATH', 'NODE_ENV'];
  const calm = Object.entries(variables).filter(
    ([name, { exits = [] }]) => exits.length === 0 && !started.includes(name),
  );
  return Object.fromEntries(
    calm.map(([name, { odd = [] }]) => {
      const values = [...odd, ...everyValue];
      return [name, values[turn % values.length]!];
    }),
  );
}

describe.concurrent('whatever variables say', { timeout: 300_000 }, () => {
  it.each([0, 1, 2, 3, 4])('kasane --help comes, turn %i', async (turn) => {
    const failing = Object.entries(variables).filter(([, { exits = [] }]) => exits.length > 0);
    const set = failing.map(([name, { odd = [] }]) => [
      name,
      [...odd, ...everyValue][turn % (odd.length + 4)]!,
    ]);
    const ended = await kasane(['--help'], {
      env: { ...harmless(turn), ...Object.fromEntries(set) },
      cwd: folder,
    });
    expectPlain(ended, '--help', []);
    expect(ended.stdout).toContain('Usage: kasane');
  });

  it.each([0, 1, 2, 3])('a job is trained, turn %i', async (turn) => {
    const out = join(folder, `out-${turn}.safetensors`);
    const env = { ...harmless(turn), TMPDIR: join(folder, `a 'quoted' "name" ${turn}`) };
    mkdirSync(env.TMPDIR);
    const ended = await kasane(['train', job, '--workers', '1', '--json', '--out', out], {
      env,
      cwd: folder,
    });
    expectPlain(ended, JSON.stringify(env), []);
    expect(JSON.parse(ended.stdout).model).toBe(out);
    expect(readdirSync(env.TMPDIR)).toEqual([]);
  });

  it.each([...settings(['HOME', 'TMPDIR'], 4), ...settings(['REDIS_URL'])])(
    'kasane train with $name=$value',
    async ({ name, value, exits }) => {
      const out = join(folder, 'out.safetensors');
      const options = { env: { [name]: value }, cwd: folder };
      const ended = await kasane(['train', job, '--workers', '1', '--json', '--out', out], options);
      expectPlain(ended, `${name}=${value}`, exits);
      expect(ended.stderr).not.toMatch(SECRET);
    },
  );

  it.each(
    settings(['HOME', 'TMPDIR', 'REDIS_URL', 'KASANE_CONFIG', 'KASANE_CONTEXT', 'KASANE_COORDINATOR', 'PATH'], 3),
  )('kasane doctor with $name=$value', async ({ name, value, exits }) => {
    const ended = await kasane(['doctor'], { env: { [name]: value }, cwd: folder });
    // What it finds wrong is on standard output.
    if (ended.code === 69) expectPlain({ ...ended, code: 0 }, `${name}=${value}`, []);
    else expectPlain(ended, `${name}=${value}`, exits);
    expect(ended.stdout).not.toMatch(/undefined|a bug/);
    expect(ended.stdout + ended.stderr).not.toMatch(SECRET);
  });

  it.each([...settings(['KASANE_TOKEN']), ...settings(['KASANE_TOKEN_FILE', 'KASANE_TLS_CA', 'grpc_proxy'], 3)])('kasane jobs with $name=$value', async ({ name, value, exits }) => {
    const env = { KASANE_COORDINATOR: '127.0.0.1:9', [name]: value };
    expectPlain(await kasane(['jobs'], { env, cwd: folder }), `${name}=${value}`, [69, ...exits]);
  });
});
