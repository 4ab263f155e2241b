/** The real command, started with every odd value of every variable that is read: it works, or says in one line what is wrong. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Ended, kasane } from './support/kasane.ts';
import { variables } from './support/variables.ts';

/** What never ends is killed, however busy the machine is. */
const LIMIT_MS = 120_000;
const UNREACHABLE = 69;
let folder: string;
let job: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-odd-'));
  job = join(folder, 'tiny.json');
  writeFileSync(join(folder, 'xor.csv'), `a,b,y\n${'0,0,no\n0,1,yes\n1,0,yes\n1,1,no\n'.repeat(8)}`);
  writeFileSync(
    job,
    JSON.stringify({
      name: 'tiny',
      model: { input: [2], classes: 2, layers: [{ type: 'dense', units: 2 }] },
      data: { format: 'csv', path: join(folder, 'xor.csv'), target: 'y' },
      training: { epochs: 1, batch: 8 },
    }),
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  // Folders that a command made, as it was asked to.
  for (const { odd = [] } of Object.values(variables))
    for (const value of odd)
      if (/^\/tmp\/(a '|x{100})/.test(value)) rmSync(value, { recursive: true, force: true });
});

const all = Object.entries(variables).map(([name, { odd = [], exits = [] }]) => ({
  name,
  values: ['', ...odd],
  exits,
}));

/** The nth value of each variable at once: those that do not end a command do not meet each other. */
function together(of: typeof all): Record<string, string>[] {
  const most = Math.max(...of.map(({ values }) => values.length));
  return Array.from({ length: most }, (_, n) =>
    Object.fromEntries(of.map(({ name, values }) => [name, values[n % values.length]!])),
  );
}
const start = (args: readonly string[], env: Record<string, string>) =>
  kasane(args, { env: { ...env }, cwd: folder, limitMs: LIMIT_MS });

/** Never a fault of ours for one of the user's. Stacks are Node's warnings, where a variable asks for them. */
function expectPlain({ stderr }: Ended, why: string): void {
  expect(stderr, why).not.toContain('a bug');
}

// PATH is where Redis is looked for; without one there is nothing to train with.
const harmless = all.filter(({ name, exits }) => exits.length === 0 && name !== 'PATH');
const ending = all.filter(({ exits }) => exits.length > 0);
/** What `jobs` has no use for. */
const others = [
  'KASANE_ALLOW_LOCAL_URLS',
  'KASANE_CACHE',
  'KASANE_CACHE_GB',
  'KASANE_METRICS_PORT',
  'KASANE_METRICS_TOKEN',
  'REDIS_URL',
];
const read = ending.filter(({ name }) => !others.includes(name));
const unread = ending.filter(({ name }) => others.includes(name));

it.each(together(all))('help, whatever the variables say (%#)', { timeout: LIMIT_MS }, async (env) => {
  const ended = await start(['--help'], env);
  expect(ended.code, ended.stderr).toBe(0);
  expect(ended.stdout).toContain('kasane train');
});

it.each(together(harmless))(
  'doctor and a training, with odd values that end nothing (%#)',
  {
    timeout: 2 * LIMIT_MS,
  },
  async (env) => {
    const healthy = await start(['doctor'], env);
    expectPlain(healthy, 'doctor');
    expect([0, UNREACHABLE], healthy.stdout + healthy.stderr).toContain(healthy.code);
    const trained = await start(
      ['train', job, '--workers', '1', '--slots', '1', '--out', join(folder, 'weights.safetensors')],
      env,
    );
    expectPlain(trained, 'train');
    expect(trained.code, trained.stderr).toBe(0);
  },
);

it.each(read)(
  '$name: each odd value ends a command in one line, or is of no account',
  {
    timeout: 10 * LIMIT_MS,
  },
  async ({ name, values, exits }) => {
    for (const value of values) {
      const why = `${name}=${value.slice(0, 80)}`;
      const ended = await start(['jobs'], { KASANE_COORDINATOR: '127.0.0.1:9', [name]: value });
      expectPlain(ended, why);
      expect([UNREACHABLE, ...exits], `${why}: ${ended.stderr}`).toContain(ended.code);
      expect(ended.stderr.trimEnd().split('\n'), why).toHaveLength(1);
    }
  },
);

it.each(together(unread))('jobs, with odd values of what it does not read (%#)', async (env) => {
  const ended = await start(['jobs'], { KASANE_COORDINATOR: '127.0.0.1:9', ...env });
  expectPlain(ended, 'jobs');
  expect(ended.code, ended.stderr).toBe(UNREACHABLE);
  expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1);
});

it.each(together(unread))('doctor, with odd values that end a command (%#)', async (env) => {
  const ended = await start(['doctor'], env);
  expectPlain(ended, 'doctor');
  expect([0, ...unread.flatMap(({ exits }) => exits)], ended.stdout + ended.stderr).toContain(ended.code);
});
