/** Workers that are forked before the cluster that they are for. */
import { once } from 'node:events';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from '../../../test/support/cluster.ts';
import { EmbeddedCluster } from '../src/commands/train/cluster.ts';
import { type ForkedWorker, forkWorker, withWorkers } from '../src/commands/train/worker-processes.ts';
import { kasane } from './support/kasane.ts';

const cleanUp = new CleanUp();
const folder = temporaryDirectory(cleanUp);
afterAll(() => cleanUp.run());

const options = { slots: 1 };

it('end when they are let go of before they know a coordinator', { timeout: 60_000 }, async () => {
  const { child } = forkWorker(options);
  cleanUp.add(() => child.kill('SIGKILL'));
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it('do not outlive what they are for', { timeout: 60_000 }, async () => {
  let there: readonly ForkedWorker[] = [];
  const body = withWorkers(2, options, async (forked) => {
    there = forked;
    throw new Error('no such job');
  });
  await expect(body).rejects.toThrow('no such job');
  expect(there).toHaveLength(2);
  for (const { child } of there) {
    if (child.signalCode === null) await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');
  }
});

it('are replaced where they ended before the cluster had them', { timeout: 60_000 }, async () => {
  const worker = forkWorker(options);
  worker.child.kill('SIGKILL');
  await once(worker.child, 'close');
  const replaced = new Promise<string>((resolve) => {
    const cluster = new EmbeddedCluster({
      ...{ workers: 1, slots: 1, backend: 'wasm', gpuStorage: 'f32', forked: [worker] },
      log: pino({ level: 'silent' }),
      say: (line) => {
        if (line.includes('exited')) resolve(line);
      },
    });
    cleanUp.add(() => cluster.close());
    void cluster.start();
  });
  expect(await replaced).toMatch(/a worker exited \(SIGKILL\);.* it is restarted/);
});

it('leave what they have compiled to the next ones', { timeout: 120_000 }, async () => {
  const data = smallMnist(temporaryDirectory(cleanUp), 200, 50);
  const env = { NODE_COMPILE_CACHE: join(folder, 'compiled') };
  const train = (more: Readonly<Record<string, string>>) =>
    kasane(['train', '--data', data, '--epochs', '1', '--workers', '1', '--out', join(folder, 'model')], {
      env: { ...env, ...more },
    });
  expect(await train({})).toMatchObject({ code: 0 });
  const { stderr } = await train({ NODE_DEBUG_NATIVE: 'COMPILE_CACHE' });
  for (const file of ['process', 'slot-thread'])
    expect(stderr).toMatch(new RegExp(`V8 code cache for ESM \\S+/${file}\\.ts was accepted`));
});
