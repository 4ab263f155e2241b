/** `kasane top` in a real terminal, and its lines without one, beside a real run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { afterAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, TestCluster, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';
import { needing } from './support/needs.ts';

const cleanUp = new CleanUp();
const cluster = new TestCluster(cleanUp);
afterAll(() => cleanUp.run());

/** A process, and what it has written. */
class Watched {
  text = '';
  readonly child: ChildProcess;
  #heard = () => {};

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args, {
      env: { ...process.env, KASANE_CONFIG: '/nowhere/config.json', TERM: 'xterm' },
    });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
      this.#heard();
    });
    this.child.on('exit', () => this.#heard());
    cleanUp.add(() => this.child.kill('SIGKILL'));
  }

  /** Types keys, and resolves when what is written from then on says this. */
  async press(keys: string, says: RegExp): Promise<void> {
    const from = this.text.length;
    this.child.stdin!.write(keys);
    await this.says(says, from);
  }

  async says(what: RegExp, from = 0): Promise<void> {
    while (!what.test(this.text.slice(from))) {
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.text.slice(-2000)}`);
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
  }
}

it(
  'shows curves, layers and workers, and pauses, resumes and cancels by keys',
  needing(['script']),
  async () => {
    await cluster.start();
    const worker = await cluster.worker();
    const { client } = cluster;
    const id = await client.submit(
      JSON.stringify({
        name: 'shown',
        model: { preset: 'mnist-mlp' },
        data: { path: smallMnist(temporaryDirectory(cleanUp), 2_000, 100) },
        training: { epochs: 1000, batch: 20, shards: 2 },
      }),
    );
    const top = `'${process.execPath}' '${main}' top --coordinator ${cluster.address}`;
    const plain = new Watched(process.execPath, [main, 'top', '--coordinator', cluster.address]);
    const screen = new Watched('script', [
      '--quiet',
      '--return',
      '--command',
      `stty rows 30 columns 120; ${top}`,
      '/dev/null',
    ]);
    await screen.says(new RegExp(`> ${id}`));
    await screen.says(/[\u2801-\u28ff]/);
    await screen.press('2', /GRADIENT.*UPDATE\/WEIGHT/);
    await screen.press('3', /BACKEND/);
    await screen.press('\t', /\[1 curves\]/);
    await screen.press('h', /raise or lower its priority/);
    await screen.press('+', new RegExp(`${id} has priority 1`));
    await screen.press('p', new RegExp(`${id} paused`));
    expect(await client.get(id)).toMatchObject({ state: JobState.JOB_STATE_PAUSED, priority: 1 });
    await plain.says(new RegExp(`${id} {2}paused`));
    await screen.press('p', /is already paused/);
    await screen.press('r', new RegExp(`${id} continues`));
    await plain.says(new RegExp(`${id} {2}resumed`));
    await screen.press('c', new RegExp(`cancel ${id}\\?`));
    // The question is gone: were it asked again before that is drawn, nothing would be written.
    await screen.press('n', /q quit/);
    expect((await client.get(id)).state).not.toBe(JobState.JOB_STATE_CANCELLED);
    await screen.press('c', new RegExp(`cancel ${id}\\?`));
    await screen.press('y', new RegExp(`${id} cancelled`));
    expect((await client.get(id)).state).toBe(JobState.JOB_STATE_CANCELLED);
    await plain.says(new RegExp(`${id} {2}cancelled`));
    worker.kill('SIGKILL');
    await plain.says(/ {2}disconnected: /);

    const left = once(screen.child, 'exit');
    screen.child.stdin!.write('q');
    expect(await left).toEqual([0, null]);
    const stopped = once(plain.child, 'exit');
    plain.child.kill('SIGTERM');
    expect(await stopped).toEqual([0, null]);
    const lines = plain.text.trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}\S+ {2}[a-z ]+/);
    expect(plain.text).toMatch(/ {2}joined \(1 slot, wasm/);
    client.close();
  },
);
