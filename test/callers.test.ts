/**
 * Every gRPC method against every kind of caller: who may not is refused with a typed error, it is logged once, and a worker's
 * and a user's streams beside it do not notice. The methods are read from the generated definitions: new ones are in the table.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  status,
} from '@grpc/grpc-js';
import { type Issued, issue, issueAuthority } from '@kasane/cli/internal/commands/cert/issue';
import { startRedis } from '@kasane/cli/internal/redis/start';
import { type Coordinator, startCoordinator } from '@kasane/coordinator/coordinator';
import { TokenStore } from '@kasane/coordinator/internal/store/tokens';
import { allows, methodScopes, type Scope, scopes } from '@kasane/protocol/scopes';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CleanUp, temporaryDirectory } from './support/cluster.ts';

const cleanUp = new CleanUp();
const lines: { msg: string; level: number; peer?: string }[] = [];
const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
const tokens = {} as Record<Scope | 'revoked' | 'expired', string>;
let plain: Coordinator;
let secure: Coordinator;
let store: TokenStore;
let authority: Issued;
const bystanders: Conversation[] = [];
const certificates = {} as Record<'server' | 'client' | 'expired' | 'stranger', Issued>;

beforeAll(async () => {
  const redis = await startRedis({ url: process.env.REDIS_URL });
  cleanUp.add(() => redis.close());
  authority = await issueAuthority(2);
  const hosts = ['127.0.0.1', 'localhost'];
  const client = { name: 'client', hosts: [], use: 'client' } as const;
  certificates.server = await issue(authority, { name: 'server', hosts, use: 'server', days: 2 });
  certificates.client = await issue(authority, { ...client, days: 2 });
  certificates.expired = await issue(authority, { ...client, days: -2 });
  certificates.stranger = await issue(await issueAuthority(2), { ...client, days: 2 });
  const stateDirectory = temporaryDirectory(cleanUp);
  store = new TokenStore(stateDirectory);
  cleanUp.add(() => store.close());
  for (const scope of scopes) tokens[scope] = store.create({ name: scope, scopes: [scope] }).token;
  tokens.revoked = store.create({ name: 'revoked', scopes: ['admin'] }).token;
  store.revoke('revoked');
  tokens.expired = store.create({ name: 'expired', scopes: ['admin'], expiresAt: Date.now() - 1 }).token;
  const options = { host: '127.0.0.1', port: 0, redisUrl: redis.url, stateDirectory, log };
  plain = await startCoordinator(options);
  cleanUp.add(() => plain.close());
  const { cert, key } = certificates.server;
  const tls = { cert: Buffer.from(cert), key: Buffer.from(key), ca: Buffer.from(authority.cert) };
  secure = await startCoordinator({
    ...options,
    stateDirectory: join(stateDirectory, 'secure'),
    token: 'shared',
    tls,
  });
  cleanUp.add(() => secure.close());
  bystanders.push(
    new Conversation(plain, tokens.read),
    new Conversation(secure, 'shared', withCertificate(certificates.client)),
  );
  for (const bystander of bystanders) expect(await bystander.ask()).toContain('kasane.v1.Training');
});
afterAll(() => cleanUp.run());

const withCertificate = (shown?: Issued) =>
  credentials.createSsl(
    Buffer.from(authority.cert),
    shown ? Buffer.from(shown.key) : null,
    shown ? Buffer.from(shown.cert) : null,
  );

interface Outcome {
  readonly code: number;
  /** Of the protocol package's table. */
  readonly error: string;
}

/** Calls a method with an empty message; resolves with how it ended, or OK once it answers. */
function call(
  { address }: Coordinator,
  path: string,
  token: string | undefined,
  by: ChannelCredentials = credentials.createInsecure(),
): Promise<Outcome> {
  const client = new Client(address, by, { 'grpc.use_local_subchannel_pool': 1 });
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  const raw = (bytes: Buffer) => bytes;
  const stream = client.makeBidiStreamRequest(path, raw, raw, metadata, { deadline: Date.now() + 20_000 });
  return new Promise<Outcome>((resolve) => {
    stream.on('data', () => resolve({ code: status.OK, error: '' }));
    stream.on('error', () => {});
    stream.on('status', ({ code, metadata: trailer }) =>
      resolve({ code, error: String(trailer.get('kasane-error')[0] ?? '') }),
    );
    stream.write(Buffer.alloc(0));
    stream.end();
  }).finally(() => {
    stream.cancel();
    client.close();
  });
}

/** A stream that stays: it asks which services there are, again and again. */
class Conversation {
  readonly ended: Promise<Outcome>;
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;

  constructor({ address }: Coordinator, token: string, by = credentials.createInsecure()) {
    const client = new Client(address, by, { 'grpc.use_local_subchannel_pool': 1 });
    cleanUp.add(() => client.close());
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const raw = (bytes: Buffer) => bytes;
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    this.#stream = client.makeBidiStreamRequest(path, raw, raw, metadata);
    this.#stream.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.#stream.on('status', ({ code, metadata: trailer }) =>
        resolve({ code, error: String(trailer.get('kasane-error')[0] ?? '') }),
      );
    });
  }

  /** ServerReflectionRequest with list_services (field 7) and no name. */
  async ask(): Promise<string> {
    this.#stream.write(Buffer.from([0x3a, 0]));
    const [answer] = (await once(this.#stream, 'data')) as [Buffer];
    return answer.toString('latin1');
  }
}

/** What was logged while `body` ran. */
async function logged(body: () => Promise<unknown>): Promise<string[]> {
  const before = lines.length;
  await body();
  return lines.slice(before).map(({ msg }) => msg);
}

const refused = { code: status.UNAUTHENTICATED, error: 'NOT_ALLOWED' };
const forbidden = { code: status.PERMISSION_DENIED, error: 'SCOPE' };
const methods = [...methodScopes];
const closed = methods.filter((entry): entry is [string, Scope] => entry[1] !== undefined);

it('has every method of every service in its table', () => {
  const path = new URL(import.meta.resolve('@kasane/protocol/descriptors'));
  const known = new Set(methodScopes.keys());
  // Names of services and methods stand in a descriptor set as they are (google/protobuf/descriptor.proto).
  const text = readFileSync(path).toString('latin1');
  // Where two services have a method of one name, that of the second begins with the service's.
  const services = [...text.matchAll(/\b(?:Sweeps|Models)?([A-Z]\w+)Request\b/g)].map(([, name]) => name!);
  const called = [...known].map((name) => name.split('/')[2]!);
  for (const name of new Set(services)) expect(called, `${name} has no scope`).toContain(name);
  expect(closed.length).toBeGreaterThanOrEqual(12);
});

describe.each(closed)('%s', (path, wanted) => {
  const wrong = scopes.filter((scope) => !allows([scope], wanted));
  const right = scopes.filter((scope) => allows([scope], wanted));

  it('refuses a caller without a token, with an unknown, a revoked or an expired one, and logs each once', async () => {
    const presented = {
      none: undefined,
      unknown: 'ksn_000000000000_x',
      revoked: tokens.revoked,
      expired: tokens.expired,
    };
    for (const [kind, token] of Object.entries(presented)) {
      const said = await logged(async () => {
        expect(await call(plain, path, token), kind).toEqual(refused);
        expect(await call(plain, path, token), kind).toEqual(refused);
      });
      expect(said, kind).toEqual([expect.stringMatching(/^refused \/\S+: /)]);
      expect(said[0]).toContain(path);
      if (token !== undefined) expect(said[0]).not.toContain(token);
    }
  });

  it.skipIf(wrong.length === 0)(`refuses ${wrong.join(', ')}, which is not ${wanted}`, async () => {
    for (const scope of wrong) {
      const said = await logged(async () =>
        expect(await call(plain, path, tokens[scope])).toEqual(forbidden),
      );
      expect(said).toEqual([
        expect.stringContaining(`the token has the scope ${scope}; this call needs one with '${wanted}'`),
      ]);
    }
  });

  it(`lets ${right.join(', ')} in`, async () => {
    for (const scope of right) {
      const { code, error } = await call(plain, path, tokens[scope]);
      expect([status.UNAUTHENTICATED, status.PERMISSION_DENIED, status.UNIMPLEMENTED]).not.toContain(code);
      expect(error).not.toBe('NOT_ALLOWED');
    }
    expect((await call(secure, path, 'shared', withCertificate(certificates.client))).error).not.toBe(
      'NOT_ALLOWED',
    );
  });

  it('answers nobody who comes without the right certificate, or without TLS', async () => {
    const callers = {
      'no certificate': withCertificate(),
      'an expired one': withCertificate(certificates.expired),
      "a stranger's": withCertificate(certificates.stranger),
      'plain text': credentials.createInsecure(),
    };
    for (const [kind, by] of Object.entries(callers))
      expect((await call(secure, path, 'shared', by)).code, kind).toBe(status.UNAVAILABLE);
    expect((await call(plain, path, tokens.admin, withCertificate(certificates.client))).code).toBe(
      status.UNAVAILABLE,
    );
  });
});

it('has logged each kind of connection that came to nothing once, however often it came', () => {
  const connections = lines
    .filter(({ msg }) => msg.startsWith('refused a connection: '))
    .map(({ msg }) => msg.slice(22));
  expect(connections).toHaveLength(5);
  for (const why of [
    'its certificate has expired',
    'it sent no client certificate',
    'it uses TLS, but this port does not',
    'it does not use TLS, but this port does',
    'its certificate is not accepted (UNABLE_TO_VERIFY_LEAF_SIGNATURE)',
  ])
    expect(connections).toContain(why);
});

it('serves health to anybody, and no method that it does not know', async () => {
  expect((await call(plain, '/grpc.health.v1.Health/Check', undefined)).code).toBe(status.OK);
  expect((await call(plain, '/kasane.v1.Jobs/Explode', tokens.admin)).code).toBe(status.UNIMPLEMENTED);
});

it('has no data link for anybody without a key from an authorised stream', async () => {
  const [host, port] = plain.address.split(':');
  const socket = connect(Number(port), host);
  socket.write(Buffer.concat([Buffer.from('KSL1'), Buffer.alloc(32, 7)]));
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  await new Promise((resolve) => socket.once('close', resolve));
  expect(received).toEqual([]);
});

it('ends a stream whose token is revoked, and no other', async () => {
  const { token, id } = store.create({ name: 'soon gone', scopes: ['read'] });
  const going = new Conversation(plain, token);
  expect(await going.ask()).toContain('kasane.v1.Jobs');
  const said = await logged(async () => {
    store.revoke(id);
    expect(await going.ended).toEqual(refused);
  });
  expect(said).toEqual([expect.stringContaining(`the token ${id} is revoked`)]);
});

it('has not disturbed those who were there all the time', async () => {
  for (const bystander of bystanders) expect(await bystander.ask()).toContain('kasane.v1.Training');
});
