/** The Redis of an embedded cluster: real servers, really killed parents. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBinary, startRedis } from '@kasane/cli/internal/redis/start';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';

const temporary = mkdtempSync(join(tmpdir(), 'kasane-redis-test-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

/** What a Redis at this address answers, or why it does not. */
async function ping(url: string): Promise<string> {
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
  let why = '';
  redis.on('error', (error) => {
    why = error.message;
  });
  try {
    await redis.connect();
    return await redis.ping();
  } catch (error) {
    return why || (error as Error).message;
  } finally {
    redis.disconnect();
  }
}

async function eventually(condition: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    if (await condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

describe('startRedis', { timeout: 30_000 }, () => {
  it('starts one that only its password opens, and leaves nothing', async () => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = temporary;
    const redis = await startRedis().finally(() => {
      process.env.TMPDIR = before;
      if (before === undefined) delete process.env.TMPDIR;
    });
    expect(await ping(redis.url)).toBe('PONG');
    const { host } = new URL(redis.url);
    expect(host).toMatch(/^127\.0\.0\.1:/);
    expect(await ping(`redis://${host}`)).toMatch(/NOAUTH/);
    expect(readdirSync(temporary)).toHaveLength(1);
    await redis.close();
    await redis.close();
    expect(await ping(redis.url)).toMatch(/ECONNREFUSED/);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('goes away, with its folder, when the process that started it is killed', async () => {
    const module = JSON.stringify(import.meta.resolve('@kasane/cli/internal/redis/start'));
    const script = `const { startRedis } = await import(${module});
      console.log((await startRedis()).url);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: fileURLToPath(new URL('..', import.meta.url)),
    });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const url = line.toString().trim();
    expect(await ping(url)).toBe('PONG');
    expect(readdirSync(temporary)).toHaveLength(1);
    parent.kill('SIGKILL');
    expect(await eventually(async () => /ECONNREFUSED/.test(await ping(url)))).toBe(true);
    expect(await eventually(async () => readdirSync(temporary).length === 0)).toBe(true);
  });

  it.each([
    [
      'echo "Can\'t open the log file: No space left on device" >&2; exit 1',
      /log file .*no space left.* df -i/,
    ],
    ['echo "1:M 01 Dec 2026 00:00:00.000 # Fatal: Can\'t initialize Background Jobs."', /ulimit -u and -v/],
    [
      'echo "1:M 01 Dec 2026 00:00:00.000 # Fatal: no \\033[1mmood" > "$(dirname "$1")/log"; exit 1',
      /it said 'Fatal: no \\u001b\[1mmood'/,
    ],
  ])('says why one does not start: %s', async (script, why) => {
    const path = join(temporary, 'server.sh');
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const starting = startBinary({ path, description: 'a script' }).finally(() => rmSync(path));
    await expect(starting).rejects.toThrow(why);
  });

  it('takes the one that is named, and leaves it running', async () => {
    const own = await startRedis();
    const named = await startRedis({ url: own.url });
    expect(named.description).toBe(`Redis at ${new URL(own.url).host}`);
    await named.close();
    expect(await ping(own.url)).toBe('PONG');
    const { host } = new URL(own.url);
    for (const url of [`redis://${host}`, `redis://:wrong@${host}`])
      await expect(startRedis({ url })).rejects.toMatchObject({
        code: 'NOT_ALLOWED',
        message: expect.stringMatching(
          /^the Redis at 127\.0\.0\.1:\d+ (requires a|rejects this) password; .*PASSWORD@/,
        ),
      });
    await own.close();
  });

  it('refuses an address that is none, and one where nothing answers', async () => {
    await expect(startRedis({ url: 'localhost:6379' })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(startRedis({ url: 'redis://127.0.0.1:1' })).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(/^no Redis answers at 127\.0\.0\.1:1: connection refused/),
    });
  });
});
