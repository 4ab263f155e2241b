/**
 * The path of a state directory is taken by another one while a coordinator still runs on the first: when that ends, which has SQLite
 * delete its log by path, nothing of the second is lost.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CoordinatorClient } from '@kasane/protocol/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import type { ProcessStarted } from './support/coordinator-process.ts';

const cleanUp = new CleanUp();
afterAll(() => cleanUp.run());

let job: string;
beforeAll(() => {
  const path = smallMnist(temporaryDirectory(cleanUp), 64, 16);
  job = JSON.stringify({ name: 'kept', model: { preset: 'mnist-mlp' }, data: { path } });
});

/** A coordinator that can be killed, and a client of it. */
async function other(redisUrl: string, stateDirectory: string) {
  const child: ChildProcess = fork(new URL('./support/coordinator-process.ts', import.meta.url), {
    env: { ...process.env, KASANE_COORDINATOR_PROCESS: JSON.stringify({ redisUrl, stateDirectory }) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  cleanUp.add(() => child.kill('SIGKILL'));
  const [{ address }] = (await once(child, 'message')) as [ProcessStarted];
  const client = new CoordinatorClient({ coordinator: address });
  cleanUp.add(() => client.close());
  const kill = async () => {
    client.close();
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { client, kill };
}

it.each(['moved away', 'below a folder that is moved away', 'removed'])(
  'a first one that was %s',
  async (how) => {
    const folder = join(temporaryDirectory(cleanUp), 'folder');
    const state = join(folder, 'state');
    const first = new TestCluster(cleanUp, {}, state);
    await first.start();
    const { client } = first;
    cleanUp.add(() => client.close());
    const own = await client.submit(job);
    const [from, to] = how.startsWith('below') ? [folder, `${folder}.away`] : [state, `${state}.away`];
    if (how === 'removed') rmSync(state, { recursive: true });
    else renameSync(from, to);

    const second = await other(first.redisUrl, state);
    const ids = [await second.client.submit(job), await second.client.submit(job)];
    await first.stopCoordinator();
    expect(existsSync(join(state, 'kasane.sqlite-wal'))).toBe(true);
    ids.push(await second.client.submit(job));
    await second.kill();
    const restarted = await other(first.redisUrl, state);
    expect((await restarted.client.list()).map(({ id }) => id)).toEqual(ids.toReversed());
    await restarted.kill();

    if (how === 'removed') return;
    const away = await other(first.redisUrl, how.startsWith('below') ? join(to, 'state') : to);
    expect((await away.client.list()).map(({ id }) => id)).toEqual([own]);
    await away.kill();
  },
);
