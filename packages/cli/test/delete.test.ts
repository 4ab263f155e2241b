/** `kasane delete`: asks on a terminal, guesses nothing without one, and deletes all of what it is given or none. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from '../../../test/support/cluster.ts';
import { main } from '../../../test/support/commands.ts';
import { needing } from '../../../test/support/needs.ts';
import { kasane } from './support/kasane.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
afterAll(() => cleanUp.run());
let submit: () => Promise<string>;
let cancelled: () => Promise<string>;
beforeAll(async () => {
  await cluster.start();
  const { client } = cluster;
  cleanUp.add(() => client.close());
  const data = { format: 'idx', path: smallMnist(temporaryDirectory(cleanUp), 100, 20) };
  const job = { name: 'gone', model: { preset: 'mnist-mlp' }, data, training: { epochs: 1, batch: 10 } };
  submit = () => client.submit(JSON.stringify(job));
  cancelled = async () => {
    const id = await submit();
    await client.cancel(id);
    return id;
  };
});
const run = (...args: readonly string[]) =>
  kasane(['delete', ...args, '--coordinator', cluster.address], { limitMs: 60_000 });
async function listed(): Promise<readonly string[]> {
  const { client } = cluster;
  return (await client.list().finally(() => client.close())).map(({ id }) => id);
}

it('deletes all of several jobs or none, once each', { timeout: 120_000 }, async () => {
  const [one, two, waits] = [await cancelled(), await cancelled(), await submit()];
  const refused = await run('--yes', one, two, waits);
  expect(refused).toMatchObject({ code: 65, stdout: '' });
  expect(refused.stderr).toMatch(
    new RegExp(`^kasane: job ${waits} is (queued|running); only jobs that have ended can be deleted: .*\n$`),
  );
  const unknown = await run('--yes', one, 'nobody');
  expect(unknown).toMatchObject({ code: 66, stdout: '' });
  expect(unknown.stderr).toContain("there is no job 'nobody'");
  expect(await listed()).toEqual([waits, two, one]);
  expect(await run('--yes', one, one)).toMatchObject({ code: 0, stdout: `${one} deleted (0 B)\n` });
  expect((await run('--yes', two, '--json')).stdout).toBe(`{"job":"${two}","bytes":0}\n`);
  expect(await listed()).toEqual([waits]);
});

it('asks on a terminal; what is not a yes is a no', {
  timeout: 120_000,
  ...needing(['script']),
}, async () => {
  const id = await cancelled();
  const answering = async (keys: string) => {
    const command = `'${process.execPath}' '${main}' delete ${id} --coordinator ${cluster.address}`;
    const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env: { ...process.env, KASANE_CONFIG: '/nowhere/config.json', TERM: 'xterm' },
    });
    cleanUp.add(() => child.kill('SIGKILL'));
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      const asked = text.includes('[y/N]');
      text += more;
      if (!asked && text.includes('[y/N]')) child.stdin.write(keys);
    });
    const [code] = await once(child, 'close');
    return { code, text };
  };
  for (const no of ['\r', 'n\r', 'yesterday\r', '\x04']) {
    const { code, text } = await answering(no);
    expect(text).toContain(`Delete ${id} with its history, checkpoints and weights? This cannot be undone.`);
    expect([code, /nothing was deleted/.test(text)]).toEqual([0, true]);
  }
  expect(await listed()).toContain(id);
  expect((await answering('y\r')).text).toContain(`${id} deleted`);
  expect(await listed()).not.toContain(id);
});
