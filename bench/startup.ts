/**
 * How long one waits: `kasane --help`, and `kasane train` until its first step, with Redis running, against Node doing nothing.
 *
 *     pnpm bench startup [--rounds 9]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { CoordinatorClient } from '@kasane/protocol/client';
import { median } from './support/median.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' } } });
const kasane = fileURLToPath(new URL('../packages/cli/src/bin.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'kasane-bench-'));

async function whole(args: readonly string[]): Promise<number> {
  const began = performance.now();
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  await once(child, 'exit');
  return performance.now() - began;
}

/** From the start of the process until its coordinator tells of a step. */
async function firstStep(redisUrl: string): Promise<number> {
  const began = performance.now();
  const options = ['train', 'mnist-mlp', '--out', join(directory, 'model.safetensors')];
  const child = spawn(process.execPath, [kasane, ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, REDIS_URL: redisUrl, NO_COLOR: '1' },
  });
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stderr })) {
    const address = /coordinator at ([\d.:]+)/.exec(line)?.[1];
    if (!address) continue;
    const client = new CoordinatorClient({ coordinator: address });
    let took: number | undefined;
    while (took === undefined) {
      const [job] = await client.list();
      if (!job) {
        await sleep(5);
        continue;
      }
      for await (const { step } of client.watch(job.id)) {
        if (step === 0) continue;
        took = performance.now() - began;
        break;
      }
    }
    client.close();
    child.kill('SIGTERM');
    await ended;
    return took;
  }
  throw new Error('kasane train ended without a coordinator');
}

const redis = await startRedis({ log: () => {} });
try {
  const rows = {
    'node -e 0': () => whole(['-e', '0']),
    'kasane --help': () => whole([kasane, '--help']),
    'kasane train, first step': () => firstStep(redis.url),
  };
  const times = Object.fromEntries(Object.keys(rows).map((name) => [name, [] as number[]]));
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [name, run] of Object.entries(rows)) times[name]!.push(await run());
  const node = median(times['node -e 0']!);
  for (const [name, list] of Object.entries(times)) {
    const shortest = Math.min(...list).toFixed(0);
    console.log(
      `${name.padEnd(26)} ${median(list).toFixed(0).padStart(6)} ms in the median, ${shortest} at least: ${(median(list) / node).toFixed(1)} times node`,
    );
  }
} finally {
  await redis.close();
  rmSync(directory, { recursive: true, force: true });
}
