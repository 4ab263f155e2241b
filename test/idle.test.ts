/** Who has nothing to do uses next to nothing: CPU time of real processes. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoordinatorClient } from '@kasane/protocol/client';
import { afterAll, expect, it } from 'vitest';
import { Child } from './chaos/child.ts';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';

const SECONDS = 10;
/** Part of one core. */
const IDLE = 0.01;
/** What is busy here takes caches and half a core from others, who need more CPU time for the same: the least of so many looks counts. */
const LOOKS = 3;
const START_MS = 60_000;
const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

/** That each of these processes uses less than `IDLE` of a core while nothing happens. */
async function expectIdle(children: readonly Child[]): Promise<void> {
  const least = children.map(() => Number.POSITIVE_INFINITY);
  for (let look = 0; look < LOOKS && Math.max(...least) >= IDLE; look++) {
    const before = children.map(({ cpuSeconds }) => cpuSeconds);
    await sleep(1000 * SECONDS);
    for (const [index, { cpuSeconds }] of children.entries())
      least[index] = Math.min(least[index]!, (cpuSeconds - before[index]!) / SECONDS);
  }
  for (const used of least) expect(used).toBeLessThan(IDLE);
}

it.skipIf(process.platform !== 'linux')(
  'idle processes use under 1 % of a core',
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
