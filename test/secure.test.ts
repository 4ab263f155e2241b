/**
 * A cluster of commands, each a process of its own, over mutual TLS with tokens of several scopes: the gRPC port, the data link, the
 * page, and Redis, whose password belongs to a user of its access control. What is secret is in no log, no list of processes and no
 * stored job.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { environmentOf, findRedis, freePort } from '@kasane/cli/internal/redis/start';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CleanUp, smallMnist, temporaryDirectory } from './support/cluster.ts';
import { main } from './support/commands.ts';
import { commandLines } from './support/processes.ts';

const cleanUp = new CleanUp();
const folder = temporaryDirectory(cleanUp);
const state = join(folder, 'state');
const certificates = join(folder, 'certificates');
const pem = (name: string) => join(certificates, `${name}.pem`);
const data = smallMnist(temporaryDirectory(cleanUp), 2000, 200);
const REDIS_USER = 'kasane-user';
const REDIS_PASSWORD = 'redis-password-that-nobody-sees';
/** Everything that any of the processes has written. */
let output = '';
let address = '';
let page = '';
let redisUrl = '';
let coordinator: ChildProcess;
const tokens: Record<string, string> = {};
const secrets = () => [REDIS_PASSWORD, ...Object.values(tokens)];
const tls = ['--tls-ca', pem('ca'), '--tls-cert', pem('client'), '--tls-key', pem('client-key')];

/** Starts a command that stays; resolves with the first match of its output. */
async function start(args: readonly string[], said: RegExp): Promise<[ChildProcess, RegExpMatchArray]> {
  const env = {
    ...process.env,
    KASANE_CONFIG: join(folder, 'config.json'),
    NODE_EXTRA_CA_CERTS: pem('ca'),
  };
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  cleanUp.add(() => child.kill('SIGKILL'));
  let own = '';
  const found = new Promise<RegExpMatchArray>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        own += text;
        const match = said.exec(own);
        if (match) resolve(match);
      });
    }
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}: ${own}`)));
  });
  return [child, await found];
}

/** Runs a command to its end and returns its standard output; rejects with what it says. */
async function kasane(args: readonly string[], token?: string): Promise<string> {
  const { KASANE_TOKEN: _, ...others } = process.env;
  const env = {
    ...others,
    KASANE_CONFIG: join(folder, 'config.json'),
    ...(token && { KASANE_TOKEN: token }),
  };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, ...args], { env });
  output += stderr;
  return stdout.trim();
}
const ask = (token: string, ...args: string[]) => kasane([...args, '--coordinator', address, ...tls], token);

/** A Redis that speaks TLS alone; its default user is off. Returns its URL. */
async function secureRedis(): Promise<string> {
  const port = await freePort();
  const config = [
    'bind 127.0.0.1',
    ...['port 0', `tls-port ${port}`, 'tls-auth-clients no'],
    ...[`tls-ca-cert-file ${pem('ca')}`, `tls-cert-file ${pem('server')}`],
    `tls-key-file ${pem('server-key')}`,
    ...['save ""', 'appendonly no', 'maxmemory-policy noeviction', `dir ${folder}`],
    'user default off',
    // As a shared Redis has one for each of its tenants.
    `user ${REDIS_USER} on >${REDIS_PASSWORD} ~{kasane:* &* +@all`,
  ];
  const file = join(folder, 'redis.conf');
  writeFileSync(file, `${config.join('\n')}\n`, { mode: 0o600 });
  const binary = await findRedis();
  const child = spawn(binary.path, [file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environmentOf(binary) },
  });
  cleanUp.add(() => child.kill('SIGKILL'));
  for await (const said of child.stdout) if (/Ready to accept connections/.test(String(said))) break;
  child.stdout.resume();
  return `rediss://${REDIS_USER}:${REDIS_PASSWORD}@127.0.0.1:${port}`;
}

beforeAll(async () => {
  await kasane(['cert', 'dev', certificates]);
  redisUrl = await secureRedis();
  for (const [name, scope] of Object.entries({ read: 'read', submit: 'submit', work: 'work', gone: 'read' }))
    tokens[name] = await kasane(['token', 'create', name, '--scope', scope, '--state', state]);
  const [child, match] = await start(
    [
      ...['coordinator', '--host', '0.0.0.0', '--port', '0', '--state', state, '--redis', redisUrl],
      ...['--dashboard-port', '0', '--data-root', data, '--log-level', 'trace'],
      ...['--tls-ca', pem('ca'), '--tls-cert', pem('server'), '--tls-key', pem('server-key')],
    ],
    /^Coordinator at \S+:(\d+),[\s\S]*Dashboard at (\S+)/m,
  );
  coordinator = child;
  address = `127.0.0.1:${match[1]}`;
  page = match[2]!;
});
afterAll(() => cleanUp.run());

it('trains over TLS, gradients too', { timeout: 600_000 }, async () => {
  // On the command line, so that there is something to hide.
  await start(
    [
      ...['worker', '--coordinator', address, '--slots', '1', '--token', tokens.work!, ...tls],
      ...['--no-shared-memory', '--log-level', 'trace'],
    ],
    /connected to/,
  );
  const file = join(folder, 'job.yaml');
  writeFileSync(
    file,
    `name: secret\nmodel: { preset: mnist-mlp }\ndata: { path: ${data} }\ntraining: { epochs: 2, batch: 100, shards: 2 }\n`,
  );
  const id = await ask(tokens.submit!, 'submit', file);
  expect(await ask(tokens.read!, 'watch', id)).toContain(`${id} succeeded`);
  expect(await ask(tokens.read!, 'workers', '--json')).toContain('"slots":1');
});

it('takes no job that names what is not its own to name', async () => {
  const model = 'name: greedy\nmodel: { preset: mnist-mlp }\n';
  const jobs: readonly [string, RegExp][] = [
    ['data: { path: /etc }', /only files in .*--data-root/],
    [`data: { path: ${data} }\ninit: /etc/passwd`, /init: .*--data-root/],
    [
      "data: { format: packed, path: 'http://169.254.169.254/x' }",
      /address of this machine or its network.*--url-host/,
    ],
  ];
  await Promise.all(
    jobs.map(async ([text, says], index) => {
      const file = join(folder, `greedy-${index}.yaml`);
      writeFileSync(file, `${model}${text}\n`);
      await expect(ask(tokens.submit!, 'submit', file)).rejects.toThrow(says);
    }),
  );
});

it('says what is wrong to those who come in another way', { timeout: 600_000 }, async () => {
  const to = ['jobs', '--coordinator', address];
  await kasane(['token', 'revoke', 'gone', '--state', state]);
  await Promise.all([
    expect(ask(tokens.read!, 'submit', 'mnist-mlp')).rejects.toThrow(/has the scope read; .*'submit'/),
    expect(ask(tokens.work!, 'jobs')).rejects.toThrow(/has the scope work; .*'read'/),
    expect(ask(tokens.gone!, 'jobs')).rejects.toThrow(/is revoked/),
    expect(kasane([...to, ...tls])).rejects.toThrow(/a token is missing/),
    expect(kasane(to, tokens.read)).rejects.toThrow(/uses TLS, set --tls-ca/),
    expect(kasane([...to, '--tls-ca', pem('ca')], tokens.read)).rejects.toThrow(
      /if it requires client certificates, set --tls-cert/,
    ),
  ]);
});

it('has a doctor who looks at Redis, coordinator and certificates through TLS', async () => {
  const doctor = (url: string) =>
    promisify(execFile)(
      process.execPath,
      [main, 'doctor', '--json', '--redis', url, '--coordinator', address, ...tls],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: pem('ca'), KASANE_TOKEN: tokens.read } },
    ).then(
      ({ stdout }) => stdout,
      ({ stdout }: { stdout: string }) => stdout,
    );
  const found = async (url: string) => {
    const all = JSON.parse(await doctor(url)) as { name: string; state: string; found: string }[];
    return Object.fromEntries(all.map((finding) => [finding.name, finding]));
  };
  const [right, wrongPassword, plain] = await Promise.all([
    found(redisUrl),
    found(redisUrl.replace(REDIS_PASSWORD, 'guessed')),
    found(redisUrl.replace('rediss:', 'redis:')),
  ]);
  expect(right.Redis).toMatchObject({ state: 'ok', found: expect.stringContaining('noeviction') });
  expect(right.Coordinator).toMatchObject({ state: 'ok', found: expect.stringContaining(address) });
  for (const flag of ['--tls-ca', '--tls-cert'])
    expect(right[flag]).toMatchObject({ state: 'ok', found: expect.stringMatching(/until 20\d\d-/) });
  expect(wrongPassword.Redis).toMatchObject({
    state: 'wrong',
    found: expect.stringContaining('rejects this password'),
  });
  expect(plain.Redis).toMatchObject({ state: 'wrong' });
});

it('serves the page to those who show a certificate', async () => {
  const options = { ca: readFileSync(pem('ca')) };
  const shown = { cert: readFileSync(pem('client')), key: readFileSync(pem('client-key')) };
  const fetched = (more: object) =>
    new Promise<number>((resolve, reject) => {
      get(page, { ...options, ...more }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      }).on('error', reject);
    });
  expect(page).toMatch(/^https:/);
  expect(await fetched(shown)).toBe(200);
  await expect(fetched({})).rejects.toThrow();
});

it('keeps secrets to itself: no log, no list of processes, no stored job has them', async () => {
  const processes = commandLines();
  expect(processes.get(coordinator.pid!)).toContain('kasane coordinator');
  for (const secret of secrets()) {
    expect([...processes.values()].join('\n')).not.toContain(secret);
    expect(output).not.toContain(secret);
    for (const path of readdirSync(state, { recursive: true, withFileTypes: true })) {
      if (path.isFile())
        expect(readFileSync(join(path.parentPath, path.name)).includes(secret), path.name).toBe(false);
    }
  }
  expect(output.length).toBeGreaterThan(1000);
  expect(existsSync(join(state, 'kasane.sqlite'))).toBe(true);
  coordinator.kill('SIGTERM');
  expect(await once(coordinator, 'exit')).toEqual([0, null]);
});
