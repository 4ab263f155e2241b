/** Who has nothing to do sleeps: real processes, and how often they wake. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoordinatorClient } from '@kasane/protocol/client';
import { afterAll, expect, it } from 'vitest';
import { Child } from './chaos/child.ts';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';

const SECONDS = 5;
const WINDOWS = 4;
/** How often a process may be woken, in a second: 6 times by heartbeats and checks of the disk and of Redis. */
const WAKES = 30;
/** Part of one core. What woke it so seldom takes a hundredth, or several on a machine that others use: this is for what never sleeps. */
const BUSY = 0.3;
const START_MS = 60_000;
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** That each of these processes sleeps while nothing happens. What has just ended may still wake them, so they have several windows to be quiet in. */
async function expectIdle(children: readonly Child[]): Promise<void> {
  const look = () => children.map(({ waits, cpuSeconds }) => ({ waits, cpuSeconds }));
  for (let window = 1; ; window++) {
    const before = look();
    await sleep(1000 * SECONDS);
    const rates = look().map(({ waits, cpuSeconds }, index) => ({
      wakes: (waits - before[index]!.waits) / SECONDS,
      busy: (cpuSeconds - before[index]!.cpuSeconds) / SECONDS,
    }));
    if (window < WINDOWS && rates.some(({ wakes, busy }) => wakes >= WAKES || busy >= BUSY)) continue;
    for (const { wakes, busy } of rates) {
      expect(wakes).toBeLessThan(WAKES);
      expect(busy).toBeLessThan(BUSY);
    }
    return;
  }
}

it.skipIf(process.platform !== 'linux')(
  'idle processes sleep',
  async () => {
    const start = (name: string, options: string[]) => {
      const command = [process.execPath, main, ...options];
      const child = new Child(name, command, process.env);
      cleanUp.add(() => child.kill());
      return child;
    };
    const state = join(temporaryDirectory(cleanUp), 'state');
    // With the page that it serves.
    const listen = ['--port', '0', '--dashboard-port', '0', '--state', state];
    const coordinator = start('coordinator', ['coordinator', ...listen]);
    const { match } = await coordinator.line(/^Coordinator at ([\d.:]+\d)/, START_MS);
    const worker = start('worker', ['worker', '--coordinator', match[1]!, '--slots', '2']);
    await worker.line(/connected to/, START_MS);
    await sleep(2_000);
    await expectIdle([coordinator, worker]);

    // A job that waits for a worker is nothing to do, either.
    worker.signal('SIGTERM');
    await worker.exited;
    const client = new CoordinatorClient({ coordinator: match[1]! });
    cleanUp.add(() => client.close());
    const data = { path: smallMnist(temporaryDirectory(cleanUp), 500, 100) };
    await client.submit(JSON.stringify({ name: 'waits', model: { preset: 'mnist-mlp' }, data }));
    await sleep(3_000);
    await expectIdle([coordinator]);
  },
  180_000,
);
