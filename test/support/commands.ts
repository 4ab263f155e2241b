/** Commands as processes of their own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { CleanUp } from './cluster.ts';

/** What `kasane` runs. */
export const main = fileURLToPath(new URL('../../packages/cli/src/bin.js', import.meta.url));

type Environment = Readonly<Record<string, string>>;

/** Starts a command that stays; resolves with the first match of its output. */
export async function startCommand(
  cleanUp: CleanUp,
  args: readonly string[],
  said: RegExp,
  env: Environment = {},
): Promise<[ChildProcess, RegExpMatchArray]> {
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  const child = spawn(process.execPath, [main, ...args], { stdio, env: { ...process.env, ...env } });
  cleanUp.add(() => child.kill('SIGKILL'));
  child.stderr.setEncoding('utf8');
  const found = new Promise<RegExpMatchArray>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        const match = said.exec(line);
        if (match) resolve(match);
      });
    }
    child.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code}`)));
  });
  return [child, await found];
}

/** Runs a command to its end. Rejects when its exit code is not 0. @returns what it printed, without the last newline */
export async function runCommand(
  args: readonly string[],
  env: Environment = {},
  nodeArguments: readonly string[] = [],
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const all = [...nodeArguments, main, ...args];
  const options = { env: { ...process.env, ...env }, maxBuffer: 16 << 20 };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, all, options);
  return { stdout: stdout.trim(), stderr };
}
