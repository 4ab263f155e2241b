/** The Redis of `kasane train` dies: it is started again, and the training ends with the same bits. */
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { main, runCommand } from './support/commands.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** The Redis server among what a process has started. */
function redisOf(pid: number): number | undefined {
  const lines = execFileSync('ps', ['-e', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).trim().split('\n');
  const processes = lines.map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line)!);
  const family = new Set([pid]);
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const [, own, parent] of processes) if (family.has(Number(parent))) family.add(Number(own));
  }
  const found = processes.find(
    ([, own, , args]) => family.has(Number(own)) && /^\S*(redis|valkey)-server\b/.test(args!),
  );
  return found && Number(found[1]);
}

it('goes on to the same digest', async () => {
  const folder = temporaryDirectory(cleanUp);
  const { REDIS_URL: _, ...env } = process.env;
  const job = join(folder, 'job.json');
  const spec = {
    name: 'kept',
    model: { preset: 'mnist-mlp' },
    data: { path: smallMnist(temporaryDirectory(cleanUp), 1_000, 100) },
    training: { epochs: 15, batch: 20, shards: 2, seed: 3 },
  };
  writeFileSync(job, JSON.stringify(spec));
  const args = [
    'train',
    job,
    '--workers',
    '1',
    '--slots',
    '1',
    '--json',
    '--out',
    join(folder, 'out.safetensors'),
  ];
  const quiet = JSON.parse((await runCommand(args, { REDIS_URL: '' })).stdout);
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  cleanUp.add(() => child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  while (!/epoch +[1-9]/i.test(stderr + stdout) && child.exitCode === null) await sleep(20);
  const redis = redisOf(child.pid!);
  expect(redis, stderr).toBeDefined();
  process.kill(redis!, 'SIGKILL');
  expect(await closed).toBe(0);
  expect(JSON.parse(stdout).digest).toBe(quiet.digest);
  expect(stderr).toMatch(/Redis has not answered since \d\d:\d\d:\d\d/);
  expect(stderr).not.toMatch(/\[ioredis\]|Unhandled/);
});
