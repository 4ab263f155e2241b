/** Packed data in S3: requests that a server accepts by the published algorithm, and one line for everything that it refuses. */
import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { readSamples } from '../src/dataset.ts';
import { type Access, anywhere } from '../src/files/access.ts';
import { openData } from '../src/open.ts';
import { packDataset } from '../src/packed/pack-dataset.ts';
import { openPacked } from '../src/packed/packed.ts';
import { fetchFile } from '../src/packed/remote.ts';
import { askS3, placeInS3, s3Settings } from '../src/packed/s3.ts';

const folder = mkdtempSync(join(tmpdir(), 'kasane-s3-'));
const ID = 'AKIAEXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

/** The signature of a request, by "Authenticating Requests (AWS Signature Version 4)" in the reference of Amazon S3. */
function signatureOf(request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>, secret: string): string {
  const { authorization = '', ...headers } = request.headers;
  const [, date, region, signed] =
    /Credential=[^/]+\/(\d{8})\/([\w-]+)\/s3\/aws4_request, ?SignedHeaders=([\w;-]+)/.exec(authorization)!;
  const names = signed!.split(';');
  const [path, query = ''] = request.url!.split('?');
  const canonical = [
    ...[request.method, path, query],
    ...names.map((name) => `${name}:${String(headers[name]).trim()}`),
    ...['', names.join(';'), headers['x-amz-content-sha256']],
  ].join('\n');
  const scope = `${date}/${region}/s3/aws4_request`;
  const digest = createHash('sha256').update(canonical).digest('hex');
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, digest].join('\n');
  const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
  const key = [date!, region!, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return hmac(key, text).toString('hex');
}

it('the check of signatures is that of the reference: its example of a GET', () => {
  const headers = {
    host: 'examplebucket.s3.amazonaws.com',
    range: 'bytes=0-9',
    'x-amz-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    'x-amz-date': '20130524T000000Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=x',
  };
  expect(
    signatureOf({ method: 'GET', url: '/test.txt', headers }, 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'),
  ).toBe('f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41');
});

/** What the server answers instead, once. */
let instead: ((response: ServerResponse) => void) | undefined;
let seen: IncomingMessage[] = [];
let server: Server;
let address = '';
const fault = (response: ServerResponse, status: number, code: string, more = '', headers = {}) =>
  response.writeHead(status, headers).end(`<?xml version="1.0"?><Error><Code>${code}</Code>${more}</Error>`);

function answer(request: IncomingMessage, response: ServerResponse): void {
  seen.push(request);
  if (instead) {
    instead(response);
    return;
  }
  const { authorization = '' } = request.headers;
  if (!authorization.includes(`Credential=${ID}/`))
    return void fault(response, 403, authorization === '' ? 'AccessDenied' : 'InvalidAccessKeyId');
  if (!authorization.endsWith(`Signature=${signatureOf(request, SECRET)}`))
    return void fault(response, 403, 'SignatureDoesNotMatch');
  const [, bucket, ...key] = decodeURIComponent(request.url!).split('/');
  if (bucket !== 'data') return void fault(response, 404, 'NoSuchBucket');
  try {
    response.end(readFileSync(join(folder, key.join('/'))));
  } catch {
    fault(response, 404, 'NoSuchKey');
  }
}

const place = "s3://data/odd name+(1)/é'*";
beforeAll(async () => {
  server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const samples = Array.from({ length: 12 }, (_, i) => ({ input: [i, i / 2], target: i % 2 }));
  await packDataset(
    join(folder, "odd name+(1)/é'*"),
    { input: { dtype: 'f32', shape: [2] }, target: { classes: ['a', 'b'] } },
    { train: samples, test: samples.slice(0, 5).map((each) => ({ ...each, input: [9, 9] })) },
  );
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  instead = undefined;
  seen = [];
  for (const name of [
    'AWS_PROFILE',
    'AWS_SESSION_TOKEN',
    'AWS_REGION',
    'AWS_DEFAULT_REGION',
    'AWS_ENDPOINT_URL_S3',
    'AWS_CONFIG_FILE',
    'AWS_SHARED_CREDENTIALS_FILE',
  ])
    vi.stubEnv(name, '');
  vi.stubEnv('HOME', folder);
  vi.stubEnv('KASANE_CACHE', join(folder, 'cache'));
  vi.stubEnv('AWS_ENDPOINT_URL', address);
  vi.stubEnv('AWS_ACCESS_KEY_ID', ID);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', SECRET);
});
afterEach(() => void vi.unstubAllEnvs());

it('reads packed data with signed requests, also of odd names', async () => {
  const { train } = await openData({ format: 'packed', path: place }, anywhere);
  const { inputs } = await readSamples(train, Uint32Array.of(3));
  expect([...new Float32Array(inputs.slice().buffer)]).toEqual([3, 1.5]);
  expect(seen).toHaveLength(2);
  expect(seen[0]!.headers).toMatchObject({ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' });
});

it('signs a session token too, and sends nothing where nobody has credentials', async () => {
  vi.stubEnv('AWS_SESSION_TOKEN', 'token+/=');
  await openPacked(place, undefined, anywhere);
  expect(seen[0]!.headers['x-amz-security-token']).toBe('token+/=');
  vi.stubEnv('AWS_ACCESS_KEY_ID', '');
  await expect(openPacked(place, undefined, anywhere)).rejects.toThrow(
    /: it is not public, and there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE$/,
  );
  expect(seen[1]!.headers.authorization).toBeUndefined();
});

it('takes keys, region and endpoint from the shared files', async () => {
  const credentials = `[default]\naws_access_key_id = no\naws_secret_access_key = no\n\n[lab]\naws_access_key_id=${ID}\naws_secret_access_key=${SECRET}\n`;
  const config = `[default]\nregion = eu-west-1\n[profile lab]\nregion=eu-central-1\nendpoint_url = ${address}\ns3 =\n  max_concurrent_requests = 20\n`;
  const files = {
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'),
    AWS_CONFIG_FILE: join(folder, 'config'),
  };
  writeFileSync(files.AWS_SHARED_CREDENTIALS_FILE, credentials);
  writeFileSync(files.AWS_CONFIG_FILE, config);
  expect(s3Settings({ ...files, AWS_PROFILE: 'lab' })).toEqual({
    keys: { accessKeyId: ID, secretAccessKey: SECRET },
    region: 'eu-central-1',
    endpoint: new URL(address),
  });
  expect(
    s3Settings({ ...files, AWS_REGION: 'auto', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }),
  ).toMatchObject({
    keys: { accessKeyId: 'a', secretAccessKey: 'b' },
    region: 'auto',
    endpoint: undefined,
  });
  expect(() => s3Settings({ ...files, AWS_PROFILE: 'none' })).toThrow(
    /AWS_PROFILE: .*credentials has no profile 'none'/,
  );
  expect(() => s3Settings({ AWS_ACCESS_KEY_ID: 'a' })).toThrow(
    'AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY',
  );
  expect(() => s3Settings({ AWS_ENDPOINT_URL: 'minio:9000' })).toThrow(
    /AWS_ENDPOINT_URL: 'minio:9000'; expected the URL/,
  );
});

it.each([
  ['data', 'eu-west-1', 'https://data.s3.eu-west-1.amazonaws.com/a/b%20c'],
  ['data.example', 'us-east-1', 'https://s3.us-east-1.amazonaws.com/data.example/a/b%20c'],
  ['data', 'cn-north-1', 'https://data.s3.cn-north-1.amazonaws.com.cn/a/b%20c'],
])('bucket %s in %s', async (bucket, region, url) => {
  const ask = await askS3(`s3://${bucket}/a/b c`, { keys: undefined, region, endpoint: undefined });
  expect(ask.url.href).toBe(url);
});

it.each([
  's3://',
  's3:///x',
  's3://a b/x',
  's3://evil.com@x/y',
  's3://data/../x',
  's3://data/./x',
  's3://data//x',
  's3://a..b/x',
])('%s is no place', (bad) => {
  expect(() => placeInS3(bad)).toThrow(/expected s3:\/\/BUCKET\/FOLDER/);
});

const told = () => fetchFile(`${place}/index.json`, 1e6, anywhere).catch((error: Error) => error.message);
it.each([
  [
    'an unknown key',
    { AWS_ACCESS_KEY_ID: 'other' },
    /: the access key is not known at http.*; check AWS_ACCESS_KEY_ID/,
  ],
  [
    'a wrong secret',
    { AWS_SECRET_ACCESS_KEY: 'other' },
    /: the secret key does not belong to the access key/,
  ],
] as const)('%s', async (_, env, why) => {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  expect(await told()).toMatch(why);
  expect(seen).toHaveLength(1);
});

it('what is not there', async () => {
  const get = (url: string) => fetchFile(url, 100, anywhere);
  await expect(get('s3://other/x')).rejects.toThrow(
    /s3:\/\/other\/x: there is no bucket 'other' at http:.*; check its name$/,
  );
  await expect(get('s3://data/gone/index.json')).rejects.toThrow(
    /: there is no such object; upload the whole folder/,
  );
});

const now = Date.now();
it.each([
  [
    'a bucket elsewhere',
    301,
    'PermanentRedirect',
    '',
    { 'x-amz-bucket-region': 'eu-west-3' },
    /: bucket 'data' is in the region eu-west-3, not us-east-1; set AWS_REGION=eu-west-3$/,
  ],
  [
    'a wrong region',
    400,
    'AuthorizationHeaderMalformed',
    '<Region>eu-west-3</Region>',
    {},
    /set AWS_REGION=eu-west-3$/,
  ],
  [
    'a redirect to another host',
    307,
    'TemporaryRedirect',
    '',
    { location: 'http://127.0.0.1:1/' },
    /redirects \(status 307\), which is not followed/,
  ],
  [
    'a redirect without a word',
    302,
    '',
    '',
    { location: 'http://127.0.0.1:1/' },
    /redirects \(status 302\), which is not followed/,
  ],
  [
    'a clock that is ahead',
    403,
    'RequestTimeTooSkewed',
    '',
    { date: new Date(now - 3_600_000).toUTCString() },
    /: the clock of this machine is 60 minutes ahead of that of the server; set the clock/,
  ],
  [
    'an expired token',
    400,
    'ExpiredToken',
    '',
    {},
    /: the session token has expired or is not valid; get new credentials/,
  ],
  [
    'a policy',
    403,
    'AccessDenied',
    '',
    {},
    /: the credentials may not read it \(s3:GetObject\), or it does not exist/,
  ],
  ['another error', 400, 'InvalidRequest', '', {}, /: status 400 \(InvalidRequest\); expected 200$/],
  ['an answer that is no XML', 418, '</Code>\n<b>', '', {}, /: status 418; expected 200$/],
] as const)('%s is one line', async (_, status, code, more, headers, why) => {
  instead = (response) => void fault(response, status, code, more, headers);
  const said = await told();
  expect(said).toMatch(why);
  expect(said).toMatch(/^s3:\/\/data\/[^\n]+$/);
  expect(String(said)).not.toContain(SECRET);
  expect(seen).toHaveLength(1);
});

it('a server that is busy is asked again', async () => {
  let times = 0;
  instead = (response) => {
    if (++times === 3) instead = undefined;
    fault(response, 503, 'SlowDown');
  };
  expect(await told()).toMatch(/status 503 \(tried 3 times\)$/);
});

it('is judged as paths are: by the folders that may be read', async () => {
  const beyond = (roots: Access['roots']): Access => ({ roots, hosts: [] });
  const [bucket] = place.split(' ');
  for (const roots of [
    ['s3://data'],
    ['S3://data/'],
    [place],
    ['/srv', `${place.slice(0, place.lastIndexOf('/'))}/`],
  ])
    await openPacked(place, undefined, beyond(roots));
  seen = [];
  for (const roots of [[], ['/'], ['s3://dat'], ['s3://data/other'], [bucket!], [`${place}/index.json`]]) {
    await expect(openPacked(place, undefined, beyond(roots)), String(roots)).rejects.toThrow(
      /data\.path: s3:.*--data-root/,
    );
    await expect(openData({ format: 'packed', path: place }, beyond(roots))).rejects.toThrow(/--data-root/);
  }
  await expect(openPacked('s3://data/x/../y', undefined, beyond(['s3://data/x']))).rejects.toThrow(
    /--data-root/,
  );
  expect(seen).toEqual([]);
  await expect(
    openData({ format: 'csv', path: `${place}/t.csv`, target: 'y' } as never, anywhere),
  ).rejects.toThrow(/format csv reads files, not URLs/);
});
