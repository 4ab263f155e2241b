/**
 * Objects in S3 and what speaks its protocol (MinIO, R2, Ceph), asked for with signed requests (AWS Signature Version 4): all of aws4fetch.
 * Credentials, region and endpoint are said by whoever runs the process, as to every other program that uses S3, and never by a job.
 */
import { join } from 'node:path';
import { kindOfPath, readRegularSync } from '@kasane/tensor/internal/node/regular-file';
import { DataError } from '../dataset.ts';
import { isS3 } from '../files/access.ts';
import { homeFolder } from '../files/user-folders.ts';
import type { Ask } from './remote.ts';

/** Bytes of a file with credentials. */
const FILE_BYTES = 1 << 20;

type Env = Readonly<Record<string, string | undefined>>;

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3Settings {
  /** Undefined: requests are not signed, as for public buckets. */
  readonly keys: Keys | undefined;
  readonly region: string;
  /** Undefined: that of AWS. */
  readonly endpoint: URL | undefined;
}

/** @throws DataError where what is said is not whole */
export function s3Settings(env: Env = process.env): S3Settings {
  const profile = env.AWS_PROFILE || 'default';
  const home = homeFolder(env);
  const read = (variable: string, name: string) => {
    const path = env[variable] || (home === undefined ? undefined : join(home, '.aws', name));
    if (path === undefined || (!env[variable] && kindOfPath(path) === 'nothing'))
      return { path, sections: new Map<string, Map<string, string>>() };
    return { path, sections: sectionsOf(readRegularSync(path, FILE_BYTES).toString()) };
  };
  const config = read('AWS_CONFIG_FILE', 'config');
  const shared = env.AWS_ACCESS_KEY_ID ? undefined : read('AWS_SHARED_CREDENTIALS_FILE', 'credentials');
  const said = config.sections.get(profile) ?? config.sections.get(`profile ${profile}`);
  const held = shared?.sections.get(profile) ?? (shared && said);
  if (env.AWS_PROFILE && shared && !held)
    throw new DataError(`AWS_PROFILE: ${shared.path} has no profile '${profile}'`);
  const id = env.AWS_ACCESS_KEY_ID || held?.get('aws_access_key_id');
  const secret = env.AWS_ACCESS_KEY_ID ? env.AWS_SECRET_ACCESS_KEY : held?.get('aws_secret_access_key');
  const token = env.AWS_ACCESS_KEY_ID ? env.AWS_SESSION_TOKEN : held?.get('aws_session_token');
  if (id && !secret)
    throw new DataError(
      env.AWS_ACCESS_KEY_ID
        ? 'AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY'
        : `${shared?.path}: profile '${profile}' has no aws_secret_access_key`,
    );
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || said?.get('endpoint_url');
  return {
    keys:
      id && secret
        ? { accessKeyId: id, secretAccessKey: secret, ...(token && { sessionToken: token }) }
        : undefined,
    region: env.AWS_REGION || env.AWS_DEFAULT_REGION || said?.get('region') || 'us-east-1',
    endpoint: endpoint ? endpointOf(endpoint) : undefined,
  };
}

/** An INI file as the AWS tools write it. */
function sectionsOf(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name] = /^\s*\[([^\]]+)\]/.exec(line) ?? [];
    if (name !== undefined) {
      section = new Map();
      sections.set(name.trim(), section);
    }
    // What is indented belongs to another key.
    const [, key, value] = /^([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== undefined) section.set(key.toLowerCase(), value!);
  }
  return sections;
}

function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.pathname !== '/' ||
    url.search !== ''
  )
    throw new DataError(
      `AWS_ENDPOINT_URL: '${text}'; expected the URL of a server, such as https://minio.example:9000`,
    );
  return url;
}

/** The bucket and key that `s3://bucket/key` names. @throws DataError */
export function placeInS3(place: string): { readonly bucket: string; readonly key: string } {
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]*)\/?(.*)$/is.exec(place) ?? [];
  if (!isS3(place) || !/^[a-z0-9][\w.-]{1,61}[a-z0-9]$/i.test(bucket) || bucket.includes('..'))
    throw new DataError(`${place}: expected s3://BUCKET/FOLDER`);
  if (key.split('/').some((part) => part === '.' || part === '..' || part === ''))
    throw new DataError(`${place}: expected s3://BUCKET/FOLDER, without '.', '..' and empty names`);
  return { bucket, key };
}

/** As signatures have it (RFC 3986). */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

/** The request for an object. @throws DataError */
export async function askS3(place: string, settings: S3Settings): Promise<Ask> {
  const { bucket, key } = placeInS3(place);
  const { keys, region, endpoint } = settings;
  const path = key.split('/').map(encoded).join('/');
  // A name with a point is none that AWS has a certificate for; other servers seldom have names for buckets.
  const isInPath = endpoint !== undefined || bucket.includes('.');
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const server = endpoint ?? new URL(`https://s3.${region}.${suffix}`);
  const url = isInPath
    ? new URL(`${server.origin}/${bucket}/${path}`)
    : new URL(`https://${bucket}.${server.host}/${path}`);
  const refused = (status: number, headers: Headers, body: string) =>
    refusal(place, bucket, settings, status, headers, body);
  if (!keys) return { place, url, refused, isTrusted: true };
  const { AwsV4Signer } = await import('aws4fetch');
  const { headers } = await new AwsV4Signer({ url: url.href, ...keys, region, service: 's3' }).sign();
  return { place, url, headers: Object.fromEntries(headers), refused, isTrusted: true };
}

/** Headers of an answer. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>;

const elementIn = (body: string, name: string): string | undefined =>
  new RegExp(`<${name}>([^<]{0,200})</${name}>`).exec(body)?.[1];

/** Why an answer is none, in one line with the cure. */
function refusal(
  place: string,
  bucket: string,
  { keys, region, endpoint }: S3Settings,
  status: number,
  headers: Headers,
  body: string,
): DataError {
  const code = elementIn(body, 'Code') ?? '';
  const where = endpoint ? ` at ${endpoint.origin}` : '';
  const refuse = (why: string) => new DataError(`${place}: ${why}`);
  const own = String(headers['x-amz-bucket-region'] ?? elementIn(body, 'Region') ?? '');
  if (/^[a-z0-9-]{2,30}$/.test(own) && own !== region && (status === 301 || status === 307 || status === 400))
    return refuse(`bucket '${bucket}' is in the region ${own}, not ${region}; set AWS_REGION=${own}`);
  if (status >= 300 && status < 400)
    return refuse(
      `the server${where} redirects (status ${status}), which is not followed, because the request is signed for it; set AWS_REGION and AWS_ENDPOINT_URL to those of the bucket`,
    );
  switch (code) {
    case 'NoSuchBucket':
      return refuse(
        `there is no bucket '${bucket}'${where}; check its name${endpoint ? '' : ', and set AWS_ENDPOINT_URL if it is not at AWS'}`,
      );
    case 'InvalidAccessKeyId':
      return refuse(
        `the access key is not known${where}; check AWS_ACCESS_KEY_ID, AWS_PROFILE and AWS_ENDPOINT_URL`,
      );
    case 'SignatureDoesNotMatch':
      return refuse('the secret key does not belong to the access key; check AWS_SECRET_ACCESS_KEY');
    case 'ExpiredToken':
    case 'InvalidToken':
      return refuse('the session token has expired or is not valid; get new credentials (AWS_SESSION_TOKEN)');
    case 'RequestTimeTooSkewed':
      return refuse(`${clock(headers)}; set the clock of this machine`);
  }
  if (status === 404)
    return refuse(
      'there is no such object; upload the whole folder that `kasane data pack` has written, and check the path',
    );
  if (status === 403)
    return refuse(
      keys
        ? 'the credentials may not read it (s3:GetObject), or it does not exist; check the policy of the bucket and the path'
        : 'it is not public, and there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE',
    );
  return refuse(`status ${status}${/^\w{1,60}$/.test(code) ? ` (${code})` : ''}; expected 200`);
}

function clock({ date }: Headers): string {
  const minutes = Math.round((Date.now() - Date.parse(String(date))) / 60_000);
  if (!Number.isFinite(minutes) || minutes === 0)
    return 'the clock of this machine is not that of the server';
  return `the clock of this machine is ${Math.abs(minutes)} minutes ${minutes > 0 ? 'ahead of' : 'behind'} that of the server`;
}
