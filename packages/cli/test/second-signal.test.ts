/** A second signal ends a command at once, whatever its threads wait for: a disk that hangs lets go of nobody. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.skipIf(process.platform === 'win32')('ends while a thread of it is held in a system call', async () => {
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const script = join(folder, 'held.ts');
  writeFileSync(
    script,
    `import { stopAsked } from ${JSON.stringify(new URL('../src/process/stop.ts', import.meta.url))};
import { Worker } from 'node:worker_threads';
const held = "require('node:fs').openSync(" + JSON.stringify(${JSON.stringify(fifo)}) + ")";
new Worker(held, { eval: true }).on('online', () => console.log('held'));
await stopAsked();
console.log('stopping');
`,
  );
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const ended = once(child, 'exit');
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk));
    const hears = async (line: string) => {
      while (!said.includes(line)) await sleep(20);
    };
    await hears('held');
    child.kill('SIGTERM');
    await hears('stopping');
    await sleep(1_200); // what comes sooner is one request
    child.kill('SIGTERM');
    expect(await Promise.race([ended, sleep(20_000, 'it still runs')])).toEqual([null, 'SIGTERM']);
  } finally {
    child.kill('SIGKILL');
  }
});
