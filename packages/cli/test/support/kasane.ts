/** Runs the real command in a process of its own. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/bin.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeArguments?: readonly string[];
  readonly cwd?: string;
  /** After so many milliseconds it is killed, and its code is null. */
  readonly limitMs?: number;
}

/** `kasane ...args`, with nothing of the tester's own settings. */
export function kasane(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { KASANE_COORDINATOR: _c, KASANE_TOKEN: _t, KASANE_DEBUG: _d, REDIS_URL: _r, ...env } = process.env;
  const child = spawn(process.execPath, [...(options.nodeArguments ?? []), main, ...args], {
    env: { ...env, NO_COLOR: '1', KASANE_CONFIG: '/nowhere/config.json', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(options.limitMs !== undefined && { timeout: options.limitMs, killSignal: 'SIGKILL' as const }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
