import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const main = fileURLToPath(new URL('../src/bin.js', import.meta.url));

it.each([['coordinator'], ['submit'], []])(
  'a reader that leaves ends help without a word: %s',
  async (...command) => {
    const child = spawn(process.execPath, [main, ...command, '--help'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    let said = '';
    child.stderr.on('data', (piece) => (said += piece));
    const [code] = await once(child, 'close');
    expect(said).toBe('');
    expect(code).toBe(141);
  },
);
