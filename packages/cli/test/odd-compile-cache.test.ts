/** Folders for compiled code in which nothing can be made: Node's own recursive mkdir would never return. */
import { expect, it } from 'vitest';
import { kasane } from './support/kasane.ts';

it.skipIf(process.platform !== 'linux').each(['/proc', '/proc/nowhere at all', '/dev/null'])(
  'starts without a cache below %s',
  { timeout: 120_000 },
  async (folder) => {
    const { code, stdout } = await kasane(['--version'], {
      env: { XDG_CACHE_HOME: folder, HOME: folder, NODE_COMPILE_CACHE: '' },
      limitMs: 100_000,
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d/);
  },
);
