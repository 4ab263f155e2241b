/** No token and no password stands in the list of processes: which every user of a machine can read. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { checkout } from './support/image.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** Command lines of a process and of all below it, as every user of the machine can read them. */
function commandLines(pid: number): string[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // it has ended
    }
  }
  const below = (id: number): boolean => id === pid || (id > 1 && below(parents.get(id) ?? 0));
  return [...parents.keys()].filter(below).flatMap((id) => {
    try {
      return [readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ')];
    } catch {
      return []; // it has ended
    }
  });
}

/** Passwords of the Redis servers among them, from their configurations. */
function passwordsOf(lines: readonly string[]): string[] {
  const folders = lines.flatMap((line) =>
    /^kasane-redis|\/bin\/sh/.test(line) ? [line.trim().split(' ').at(-1)!] : [],
  );
  return [...new Set(folders)].flatMap((folder) => {
    const config = join(folder, 'redis.conf');
    if (!existsSync(config)) return [];
    expect(statSync(config).mode & 0o077).toBe(0);
    return [/^requirepass (\S+)$/m.exec(readFileSync(config, 'utf8'))![1]!];
  });
}

function kasane(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const node = join(checkout, 'node_modules/.bin/node');
  const child = spawn(node, [join(checkout, 'packages/cli/src/bin.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, REDIS_URL: '', ...env },
  });
  cleanUp.add(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  return { pid: child.pid!, said: () => said };
}

const heard = (text: () => string, what: RegExp) =>
  vi.waitFor(() => expect(text()).toMatch(what), { timeout: 60_000, interval: 100 });

it.skipIf(!existsSync('/proc/self/cmdline'))(
  'of coordinator, worker, training, and the Redis that they start',
  { timeout: 180_000 },
  async () => {
    const secrets = ['token', 'metrics'].map(() => randomBytes(24).toString('hex'));
    const [token, metrics] = secrets as [string, string];
    const folder = temporaryDirectory(cleanUp);
    const one = kasane([
      ...['coordinator', '--port', '0', '--no-dashboard', '--state', join(folder, 'one')],
      ...['--token', token, '--metrics-port', '0', `--metrics-token=${metrics}`],
    ]);
    await heard(one.said, /Coordinator at (\S+:\d+)/);
    const address = /Coordinator at (\S+:\d+),/.exec(one.said())![1]!;
    const worker = kasane(['worker', '--coordinator', address, '--token', token]);
    await heard(worker.said, /connected to/);
    // Two workers are forked, and a Redis is started.
    const training = kasane(
      ['train', join(checkout, 'examples/xor.yaml'), '--workers', '2', '--slots', '1', '--epochs', '100000'],
      { KASANE_TOKEN: token, XDG_STATE_HOME: folder },
    );
    await heard(training.said, /Cluster: |epoch/);
    for (const { pid, said } of [one, worker, training]) {
      const lines = commandLines(pid);
      expect(lines.length).toBeGreaterThan(0);
      const redis = passwordsOf(lines);
      if (pid !== worker.pid) expect(redis).toHaveLength(1);
      for (const line of lines)
        for (const secret of [...secrets, ...redis]) expect(line).not.toContain(secret);
      for (const secret of [...secrets, ...redis]) expect(said()).not.toContain(secret);
    }
    expect(commandLines(training.pid).length).toBeGreaterThanOrEqual(4);
  },
);
