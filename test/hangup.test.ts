/** The terminal is closed from which a command was started with nohup: it goes on, with all its processes, also without npm. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';
import { startCommand } from './support/commands.ts';
import { smallTableJob } from './support/small-table.ts';

const script = fileURLToPath(new URL('../scripts/kasane.mjs', import.meta.url));
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

it('a training, as npm and a shell start it', { timeout: 120_000 }, async () => {
  const folder = temporaryDirectory(cleanUp);
  const [log, weights] = [join(folder, 'nohup.out'), join(folder, 't.safetensors')];
  smallTableJob(folder, 150);
  const said = openSync(log, 'a');
  const command = [process.execPath, script, 'train', 'job.json', '--workers', '2', '--out', weights];
  const shell = spawn('sh', ['-c', '"$@"; :', 'sh', ...command], {
    detached: true,
    stdio: ['ignore', said, said],
    env: { ...process.env, npm_lifecycle_event: 'kasane', INIT_CWD: folder },
  });
  closeSync(said);
  cleanUp.add(() => {
    if (!existsSync(weights)) process.kill(-shell.pid!, 'SIGKILL');
  });
  const ended = once(shell, 'exit');
  while (!/^epoch +2\//m.test(readFileSync(log, 'utf8'))) await sleep(20);
  process.kill(-shell.pid!, 'SIGHUP');
  expect(await ended).toEqual([null, 'SIGHUP']);
  while (!/^SHA-256|^kasane: /m.test(readFileSync(log, 'utf8'))) await sleep(100);
  const text = readFileSync(log, 'utf8');
  expect(text).toMatch(/^epoch 150\/150/m);
  expect(text).not.toMatch(/exited|stopped/);
  expect(existsSync(weights)).toBe(true);
});

it('a coordinator and its worker', { timeout: 60_000 }, async () => {
  const state = join(temporaryDirectory(cleanUp), 'state');
  const [coordinator, [, address]] = await startCommand(
    cleanUp,
    ['coordinator', '--port', '0', '--dashboard-port', '0', '--state', state],
    /^Coordinator at (\S+),/,
  );
  const [worker] = await startCommand(
    cleanUp,
    ['worker', '--coordinator', address!, '--slots', '1'],
    /connected|joined|coordinator/i,
  );
  for (const child of [coordinator, worker]) child.kill('SIGHUP');
  await sleep(500);
  for (const child of [worker, coordinator]) {
    expect(child.signalCode).toBe(null);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  }
});
