/** Commands by `npm run kasane`, as somebody with a checkout types them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { runCommand } from './support/commands.ts';
import { checkout } from './support/image.ts';

const cleanUp = new CleanUp();
const folder = temporaryDirectory(cleanUp);
afterAll(() => cleanUp.run());

it('paths are meant from where it is typed, and what stops npm stops the command', async () => {
  const npm = (...args: readonly string[]) =>
    spawn('npm', ['run', '-s', '--prefix', checkout, 'kasane', '--', ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const made = npm('init', 'made.yaml', '--yes', '--epochs', '2');
  expect(await once(made, 'exit')).toEqual([0, null]);
  expect(readFileSync(join(folder, 'made.yaml'), 'utf8')).toContain('name: made\n');
  const args = ['--port', '0', '--no-dashboard', '--state', join(folder, 'other')];
  const serving = npm('coordinator', ...args);
  const lines = createInterface({ input: serving.stdout! });
  const [line] = (await once(lines, 'line')) as [string];
  const there = /^Coordinator at (\S+),/.exec(line)![1]!;
  const closed = once(lines, 'close');
  serving.kill('SIGTERM');
  // Its output ends with it, and not with npm.
  await closed;
  await expect(runCommand(['jobs', '--coordinator', there])).rejects.toThrow(/no coordinator answers/);
});

it('the command stops when the script that started it is killed', async () => {
  const script = fileURLToPath(new URL('../scripts/kasane.mjs', import.meta.url));
  const args = ['coordinator', '--port', '0', '--no-dashboard', '--state', join(folder, 'killed')];
  const starting = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: starting.stdout! });
  const [line] = (await once(lines, 'line')) as [string];
  const there = /^Coordinator at (\S+),/.exec(line)![1]!;
  const closed = once(lines, 'close');
  starting.kill('SIGKILL');
  await closed;
  await expect(runCommand(['jobs', '--coordinator', there])).rejects.toThrow(/no coordinator answers/);
});
