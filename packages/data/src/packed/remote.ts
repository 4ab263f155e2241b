/**
 * Files over http and https, each of a known greatest size. Hosts and addresses are judged by `access.ts`: a job file must not make a
 * worker ask services that trust their neighbours. Redirects are not followed.
 */
import { lookup as resolve } from 'node:dns';
import type { IncomingMessage } from 'node:http';
import type { LookupFunction } from 'node:net';
import { connectionWords, inWords, isInsecure } from '@kasane/tensor/internal/node/system-errors';
import { DataError } from '../dataset.ts';
import { type Access, checkUrl, isS3, mayConnect, privateMessage } from '../files/access.ts';

/** Milliseconds without a byte after which a request is given up, and how often it is tried. */
const SILENCE_MS = 20_000;
const TRIES = 3;
/** Bytes that come in so many milliseconds at least: whoever sends fewer keeps others from reading for hours. */
const PACE_MS = 30_000;
const PACE_BYTES = 1 << 19;
/** Interim responses of a server before its answer, at most. */
const INTERIM = 16;
/** From so many pieces on, each has so many bytes on average: pieces of one byte take the event loop for minutes. */
const PIECES = 10_000;
const PIECE_BYTES = 64;
/** Of an answer that says what is wrong. */
const REFUSAL_BYTES = 1 << 14;

/** Whether a place is on a server, and not a path. */
export const isUrl = (place: string): boolean => /^https?:\/\//i.test(place) || isS3(place);

/** A request. */
export interface Ask {
  /** As messages name it. */
  readonly place: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is wrong, by an answer other than 200 that does not pass. Default: its status. */
  readonly refused?: (status: number, headers: IncomingMessage['headers'], body: string) => DataError;
  /** Whether whoever runs the process has chosen the host. */
  readonly isTrusted?: true;
}

/**
 * Fetches a file. A broken connection is tried again.
 * @param most bytes
 * @param access what may be asked for
 * @throws DataError naming the URL
 */
export async function fetchFile(url: string, most: number, access: Access): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(await askFor(url), most, access);
    } catch (error) {
      if (access.signal?.aborted) throw new DataError(`${url}: reading was stopped`, { cause: error });
      if (error instanceof DataError) throw error;
      if (isInsecure(error)) throw new DataError(`${url}: ${why(error)}`, { cause: error });
      if (attempt === TRIES) {
        throw new DataError(`${url}: ${why(error)} (tried ${TRIES} times)`, { cause: error });
      }
      await new Promise((done) => setTimeout(done, 100 * 4 ** attempt));
    }
  }
}

/** Never empty, and without the system's codes. */
function why(error: unknown): string {
  const { message, code } = error as Error & { code?: string };
  const words = connectionWords(error);
  if (words !== undefined) return `${words}; check the address and the server`;
  return inWords(message) || code || 'the connection failed';
}

async function askFor(place: string): Promise<Ask> {
  if (!isS3(place)) return { place, url: new URL(place) };
  const { askS3, s3Settings } = await import('./s3.ts');
  return askS3(place, s3Settings());
}

async function fetchOnce(
  { place, url, headers = {}, refused, isTrusted }: Ask,
  most: number,
  given: Access,
): Promise<Buffer> {
  const access = isTrusted ? { ...given, hosts: [url.hostname.replace(/^\[|\]$/g, '')] } : given;
  checkUrl(url, access);
  // Imported where it is needed: it brings all of undici along, a tenth of what a worker loads.
  const { request: open } = await import(url.protocol === 'https:' ? 'node:https' : 'node:http');
  // Judged where the connection is made: a name may resolve to something else the second time.
  const lookup: LookupFunction = (name, options, callback) => {
    resolve(name, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const bad = addresses.find(({ address }) => !mayConnect(address, url, access));
      if (bad) return callback(new DataError(privateMessage(url, bad.address)), '', 0);
      if (options.all) return callback(null, addresses);
      callback(null, addresses[0]!.address, addresses[0]!.family);
    });
  };
  return new Promise((done, reject) => {
    // An agent of its own: the common one may go through a proxy (NODE_USE_ENV_PROXY), whose addresses nobody could judge.
    const { signal } = access;
    const request = open(
      url,
      { lookup, agent: false, headers, ...(signal && { signal }) },
      (response: IncomingMessage) => {
        answered = true;
        const status = response.statusCode ?? 0;
        if (status !== 200) {
          // 5xx and 429 pass; what is not there does not come.
          const passing = status >= 500 || status === 429;
          if (refused && !passing) {
            startOf(response).then((body) => reject(refused(status, response.headers, body)), reject);
            return;
          }
          response.resume();
          reject(
            passing
              ? new Error(`status ${status}`)
              : new DataError(`${place}: status ${status}; expected 200`),
          );
          return;
        }
        const refuse = (why: string) => {
          reject(new DataError(`${place}: ${why}`));
          request.destroy();
        };
        let pieces = 0;
        response.on('data', (piece: Buffer) => {
          pieces++;
          if (bytes + piece.length > most) return refuse(`more than ${most} bytes, which is the maximum`);
          if (pieces > PIECES && bytes < PIECE_BYTES * pieces)
            return refuse('the server sends it in pieces of a few bytes; use another server');
          whole = withRoom(whole, bytes, bytes + piece.length, most);
          whole.set(piece, bytes);
          bytes += piece.length;
        });
        response.on('end', () => done(whole.subarray(0, bytes)));
        response.on('error', reject);
      },
    );
    let whole = Buffer.alloc(0);
    let bytes = 0;
    let answered = false;
    let before = 0;
    const pace = setInterval(() => {
      if (bytes - before >= PACE_BYTES) {
        before = bytes;
        return;
      }
      const few = `${bytes - before} bytes in ${PACE_MS / 1000} s; expected at least ${PACE_BYTES}`;
      reject(new DataError(`${place}: the server is too slow: ${few}`));
      request.destroy();
    }, PACE_MS).unref();
    request.on('close', () => {
      clearInterval(pace);
      // A server that switches to another protocol gives neither an answer nor an error.
      if (!answered) reject(new Error('the connection was closed without an answer'));
    });
    // Such as `100 Continue`: each is parsed, and none is data.
    let interim = 0;
    request.on('information', () => {
      if (++interim <= INTERIM) return;
      reject(
        new DataError(`${place}: the server sends interim responses without an answer; use another server`),
      );
      request.destroy();
    });
    request.setTimeout(SILENCE_MS, () => request.destroy(new Error(`no data for ${SILENCE_MS / 1000} s`)));
    request.on('error', reject);
    request.end();
  });
}

/** What an answer that is none says, as far as it is short. */
async function startOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of response) {
    text += (piece as Buffer).toString('latin1');
    if (text.length > REFUSAL_BYTES) break;
  }
  return text;
}

/** The same memory, or larger one with its first `bytes`, where `wanted` bytes do not fit: what arrives in pieces is copied once or twice. */
function withRoom(
  whole: Buffer<ArrayBuffer>,
  bytes: number,
  wanted: number,
  most: number,
): Buffer<ArrayBuffer> {
  if (wanted <= whole.length) return whole;
  const larger = Buffer.allocUnsafe(Math.min(most, Math.max(wanted, 2 * whole.length, 1 << 16)));
  whole.copy(larger, 0, 0, bytes);
  return larger;
}
