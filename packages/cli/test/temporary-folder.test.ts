/** What a killed process left in the place for temporary files goes with the next start, and nothing of a living one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeEach, expect, it, vi } from 'vitest';
import { commandLines } from '../../../test/support/processes.ts';
import { disownFolder, makeTemporaryFolder, sweepTemporaryFolders } from '../src/files/temporary-folder.ts';
import { endOrphan } from '../src/redis/start.ts';

const place = mkdtempSync(join(tmpdir(), 'kasane-test-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));
beforeEach(() => {
  vi.stubEnv('TMPDIR', place);
});
afterEach(() => {
  vi.unstubAllEnvs();
});
const nothing = async () => {};

/** A process that runs this in the package's folder, until it is killed; with the first line that it prints. */
async function running(script: string) {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', `${script}; setInterval(() => {}, 1000);`],
    {
      cwd: join(import.meta.dirname, '..'),
      env: { ...process.env, TMPDIR: place },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, line: line.toString().trim() };
}

it('a killed one goes; those of the living, of others and without an owner stay', {
  timeout: 60_000,
}, async () => {
  const own = makeTemporaryFolder();
  const module = JSON.stringify(import.meta.resolve('@kasane/cli/internal/files/temporary-folder'));
  const { child, line } = await running(
    `console.log((await import(${module})).makeTemporaryFolder('redis-'))`,
  );
  mkdirSync(join(place, 'kasane-without-owner'));
  mkdirSync(join(place, 'kasane-odd'));
  writeFileSync(join(place, 'kasane-odd/owner.json'), '{"pid":-1,"began":7}');
  expect(await sweepTemporaryFolders(nothing)).toEqual([]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await sweepTemporaryFolders(nothing)).toEqual([line]);
  expect(readdirSync(place).sort()).toEqual(
    [own.slice(place.length + 1), 'kasane-odd', 'kasane-without-owner'].sort(),
  );
});

it('a number that belongs to another process now, and another machine', async () => {
  const [reused, elsewhere, kept] = [makeTemporaryFolder(), makeTemporaryFolder(), makeTemporaryFolder()];
  const owner = JSON.parse(readFileSync(join(reused!, 'owner.json'), 'utf8'));
  if (owner.began !== '') {
    writeFileSync(join(reused!, 'owner.json'), JSON.stringify({ ...owner, began: '1' }));
    expect(await sweepTemporaryFolders(nothing)).toEqual([reused]);
  }
  writeFileSync(
    join(elsewhere!, 'owner.json'),
    JSON.stringify({ ...owner, pid: 4_194_303, where: 'elsewhere' }),
  );
  writeFileSync(join(kept!, 'owner.json'), JSON.stringify({ ...owner, pid: 4_194_303 }));
  disownFolder(kept!);
  expect(await sweepTemporaryFolders(nothing)).toEqual([]);
});

it.runIf(process.platform === 'linux')(
  'a Redis whose supervisor was killed too is ended',
  { timeout: 60_000 },
  async () => {
    const module = JSON.stringify(import.meta.resolve('@kasane/cli/internal/redis/start'));
    const { child, line: url } = await running(
      `console.log((await (await import(${module})).startRedis()).url)`,
    );
    const [supervisor] = [...commandLines()].find(
      ([, command]) => command.includes('kasane-redis') && command.includes(place),
    )!;
    process.kill(supervisor, 'SIGKILL');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const redis = new Redis(url, { retryStrategy: () => null });
    redis.on('error', () => {});
    const gone = once(redis, 'end');
    expect(await redis.ping()).toBe('PONG');
    const [folder] = await sweepTemporaryFolders(endOrphan);
    expect(existsSync(folder!)).toBe(false);
    await gone;
  },
);
