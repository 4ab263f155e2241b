/** What `kasane doctor` makes of machines as they may be. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { issueAuthority } from '../src/commands/cert/issue.ts';
import {
  checkCertificates,
  checkCoordinator,
  checkDisk,
  checkKernels,
  checkMemory,
  checkNode,
  checkPort,
  checkRedis,
  checkWritable,
  writtenFolders,
} from '../src/commands/doctor/checks.ts';
import { clockAhead, clockTrouble } from '../src/commands/doctor/clock.ts';
import { type StartedRedis, startRedis } from '../src/redis/start.ts';
import { kasane } from './support/kasane.ts';

let folder: string;
let redis: StartedRedis;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kasane-test-'));
  redis = await startRedis();
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await redis.close();
});

it('knows which Node is needed, and which is better', () => {
  expect(checkNode('20.20.0')).toMatchObject({ state: 'wrong', todo: expect.stringMatching(/22\.18/) });
  expect(checkNode('22.17.9').state).toBe('wrong');
  expect(checkNode('22.18.0').state).toBe('note');
  expect(checkNode('24.0.0')).toMatchObject({
    state: 'ok',
    found: expect.stringMatching(/^24\.0\.0, \d+ processors$/),
  });
});

it("runs the kernels' self-test", () => {
  expect(checkKernels()).toMatchObject({ name: 'Arithmetic', found: expect.stringMatching(/kernel/) });
  expect(checkKernels().state).not.toBe('wrong');
});

it('reads what a Redis does when it is full', async () => {
  expect(await checkRedis(redis.url)).toMatchObject({
    state: 'ok',
    found: expect.stringMatching(/^\d+\.\d+.* noeviction$/),
  });
  const client = new Redis(redis.url);
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  const finding = await checkRedis(redis.url);
  client.disconnect();
  expect(finding).toMatchObject({
    state: 'wrong',
    todo: expect.stringMatching(/CONFIG SET maxmemory-policy noeviction/),
  });
  expect(await checkRedis('http://127.0.0.1')).toMatchObject({
    state: 'wrong',
    found: expect.stringMatching(/redis:\/\/HOST:PORT/),
  });
  expect(await checkRedis(undefined)).toMatchObject({
    state: 'ok',
    found: expect.stringMatching(/started when needed/),
  });
});

it('says which port is taken', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  expect(await checkPort('Port', port, '--port')).toMatchObject({
    state: 'note',
    todo: expect.stringMatching(/--port/),
  });
  await new Promise((resolve) => server.close(resolve));
  expect(await checkPort('Port', port, '--port')).toMatchObject({ state: 'ok', found: `${port} is free` });
  expect(await checkCoordinator({ coordinator: `127.0.0.1:${port}` })).toMatchObject({
    state: 'wrong',
    todo: expect.stringMatching(/kasane coordinator/),
  });
});

it('knows how far a clock is off, but for what the answer took', () => {
  expect(clockAhead(1_000, 900, 1_100)).toBe(0);
  expect(clockAhead(9_100, 900, 1_100)).toBe(8_000);
  expect(clockTrouble(clockAhead(9_100, 900, 1_100))?.found).toBe("its clock is 8 s ahead of this machine's");
  expect(clockTrouble(-61_000)?.found).toBe("its clock is 61 s behind this machine's");
  expect(clockTrouble(4_000)).toBeUndefined();
});

it('reads how long certificates are valid', async () => {
  const path = join(folder, 'cert.pem');
  const day = 86_400_000;
  writeFileSync(path, (await issueAuthority(30)).cert);
  expect(checkCertificates('--tls-ca', path)).toMatchObject({
    state: 'ok',
    found: expect.stringMatching(/until 20/),
  });
  expect(checkCertificates('--tls-ca', path, Date.now() + 20 * day).state).toBe('note');
  expect(checkCertificates('--tls-ca', path, Date.now() + 31 * day)).toMatchObject({
    state: 'wrong',
    found: expect.stringMatching(/expired on 20/),
  });
  expect(checkCertificates('--tls-ca', path, Date.now() - 9 * day)).toMatchObject({
    state: 'wrong',
    todo: expect.stringMatching(/clock/),
  });
  writeFileSync(path, 'no certificate');
  expect(checkCertificates('--tls-cert', path)).toMatchObject({
    state: 'wrong',
    found: expect.stringMatching(/no PEM certificate/),
  });
  expect(checkCertificates('--tls-cert', join(folder, 'nowhere')).state).toBe('wrong');
});

it('measures room, in folders that are not there yet too', () => {
  expect(checkDisk(join(folder, 'not/yet')).state).not.toBe('wrong');
  expect(checkDisk('/x', 50e6).state).toBe('wrong');
  expect(checkDisk('/x', 1e9).state).toBe('note');
  expect(checkDisk('/x', 9e9).state).toBe('ok');
  expect(checkMemory(1e8, 1e10)).toMatchObject({ state: 'note', found: '0.1 GiB of 9.3 GiB free' });
  expect(writtenFolders('/state').map((one) => one.folder)).toEqual(['/state', tmpdir()]);
});

it('finds folders in which nothing can be made, and leaves nothing in the others', () => {
  expect(checkWritable('/dev/null/state', 'x')).toMatchObject({
    state: 'wrong',
    found: expect.stringMatching(/a part of the path is a file, not a folder$/),
  });
  expect(checkWritable('/proc/state', 'x')).toMatchObject({
    state: 'wrong',
    found: expect.stringMatching(/^\/proc\/state cannot be written to: /),
  });
  expect(checkWritable(join(folder, 'not/there/yet'), 'x')).toBeUndefined();
  expect(existsSync(join(folder, 'not'))).toBe(false);
});

it('as a command: a line each, or JSON, and an exit code', { timeout: 60_000 }, async () => {
  const [plain, json] = await Promise.all([
    kasane(['doctor', '--redis', redis.url]),
    kasane(['doctor', '--json', '--redis', 'redis://127.0.0.1:1']),
  ]);
  expect(plain.stdout).toMatch(/^ok +Node/m);
  expect(plain.stdout).toMatch(/^(ok|note) +WebGPU/m);
  expect(json.code).toBe(69);
  const findings = JSON.parse(json.stdout) as { name: string; state: string }[];
  expect(findings.find(({ name }) => name === 'Redis')).toMatchObject({ state: 'wrong' });
});
