/**
 * The dashboard's web server: the page, a stream of server-sent events, and the few things that a user can do. It speaks for
 * whoever reaches it with its own token, so it listens on loopback, and refuses requests that another site's page makes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { type ClientOptions, CoordinatorClient } from '@kasane/protocol/client';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { JobState } from '@kasane/protocol/gen/kasane/v1/common';
import { hasEnded } from '@kasane/protocol/job-state';
import { isLoopback } from '@kasane/protocol/token';

/** How often the coordinator is asked while somebody looks. */
const POLL_MS = 500;
/** Bytes that a page may be behind before it is cut off; it comes back by itself. */
const BEHIND_BYTES = 4 << 20;
/** Pages at once. */
const VIEWERS = 64;

export interface DashboardOptions extends ClientOptions {
  /** Loopback: whoever reaches the page may do what the token may. Default 127.0.0.1. */
  readonly host?: string;
  /** 0 for a free one. */
  readonly port: number;
}

export interface Dashboard {
  /** http://host:port */
  readonly url: string;
  close(): Promise<void>;
}

/** @throws KasaneError CANNOT_LISTEN when the address is taken, or is not loopback */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { host = '127.0.0.1', port } = options;
  if (!isLoopback(host)) {
    throw new KasaneError(
      'CANNOT_LISTEN',
      `the dashboard on ${host} would let in anyone who reaches it: listen on 127.0.0.1, and use an SSH tunnel from elsewhere`,
    );
  }
  const client = new CoordinatorClient(options);
  const viewers = new Viewers(client, options.coordinator);
  const server = createServer((request, response) => {
    handle(request, response, client, viewers).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(502, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(messageOf(error));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      client.close();
      const right = 'choose another with --port, or stop what listens there';
      reject(
        new KasaneError('CANNOT_LISTEN', `cannot listen on ${host}:${port}: ${messageOf(error)}; ${right}`),
      );
    });
    server.listen(port, host, resolve);
  });
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async close() {
      viewers.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      client.close();
    },
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  client: CoordinatorClient,
  viewers: Viewers,
): Promise<void> {
  // A page of another site can have its name point here (DNS rebinding): the name that was asked for tells.
  const { hostname } = new URL(`http://${request.headers.host ?? ''}`);
  if (!isLoopback(hostname)) return refuse(response, 421, 'ask for this page by its loopback address');
  const url = new URL(request.url ?? '/', 'http://dashboard');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('cache-control', 'no-cache');
  if (request.method === 'GET') {
    if (url.pathname === '/events') return viewers.add(response, url.searchParams.get('job') ?? '');
    return serveFile(url.pathname, response);
  }
  const cancel = /^\/jobs\/([\w.-]+)\/cancel$/.exec(url.pathname);
  if (request.method === 'POST' && cancel) {
    // Forms of other sites cannot set it.
    if (request.headers['x-kasane'] !== 'dashboard') return refuse(response, 403, 'not from this page');
    await client.cancel(cancel[1]!);
    response.writeHead(204).end();
    return;
  }
  refuse(response, 404, 'there is nothing here');
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${why}\n`);
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  ts: 'text/javascript; charset=utf-8',
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:";

/** Where the page's files lie, by the first part of their path. */
const folders: Readonly<Record<string, URL>> = {
  '': new URL('../assets/', import.meta.url),
  page: new URL('./page/', import.meta.url),
  uplot: new URL('./', import.meta.resolve('uplot/dist/uPlot.esm.js')),
};

function serveFile(path: string, response: ServerResponse): void {
  const found = /^\/(?:(page|uplot)\/)?([\w.-]*)$/.exec(path);
  const name = found?.[2] || 'index.html';
  const folder = folders[found?.[1] ?? ''];
  let file = new URL(name, folder);
  // In the published package the page's modules are JavaScript already.
  if (!existsSync(file)) file = new URL(name.replace(/\.ts$/, '.js'), folder);
  const type = types[file.pathname.split('.').at(-1)!];
  if (!found || !type || !existsSync(file)) {
    refuse(response, 404, 'there is nothing here');
    return;
  }
  const text = readFileSync(file, 'utf8');
  const body = file.pathname.endsWith('.ts') ? stripTypeScriptTypes(text) : text;
  response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(body);
}

/** The pages that look, each with an event stream. */
class Viewers {
  readonly #client: CoordinatorClient;
  readonly #coordinator: string;
  readonly #viewers = new Map<ServerResponse, { stop: () => void }>();
  #timer: NodeJS.Timeout | undefined;
  #polling = false;
  #last = '';
  /** Of jobs, by the last answer that there was. */
  #states = new Map<string, JobState>();

  constructor(client: CoordinatorClient, coordinator: string) {
    this.#client = client;
    this.#coordinator = coordinator;
  }

  add(response: ServerResponse, job: string): void {
    if (this.#viewers.size >= VIEWERS) {
      refuse(response, 503, `${VIEWERS} pages look already, the limit`);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const viewer = { stop: () => {} };
    this.#viewers.set(response, viewer);
    if (/^[\w.-]+$/.test(job)) this.#follow(response, job, viewer);
    response.on('close', () => {
      viewer.stop();
      this.#viewers.delete(response);
    });
    if (this.#last) send(response, 'state', this.#last);
    if (!this.#polling) void this.#poll();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const [response, { stop }] of this.#viewers) {
      stop();
      response.end();
    }
    this.#viewers.clear();
  }

  /** Sends a job's metrics. A stream that ends before the job is known to have ended is opened again. */
  #follow(response: ServerResponse, job: string, viewer: { stop: () => void }): void {
    let ended = false;
    let retry: NodeJS.Timeout;
    let first = true;
    const open = () =>
      this.#client.watchMetrics(
        job,
        (message) => {
          const whole = message.layers.length > 0;
          send(response, whole ? 'metrics' : 'points', JSON.stringify(message));
          first = false;
        },
        () => {
          // One that waits has no metrics yet.
          const over = hasEnded(this.#states.get(job) ?? JobState.JOB_STATE_UNSPECIFIED);
          if (ended || (over && !first)) return;
          retry = setTimeout(
            () => {
              cancel = open();
            },
            first ? 1000 : 5000,
          );
        },
      );
    let cancel = open();
    viewer.stop = () => {
      ended = true;
      clearTimeout(retry);
      cancel();
    };
  }

  /** Asks the coordinator again and again while somebody looks; there is one such loop at most. */
  async #poll(): Promise<void> {
    this.#polling = true;
    let state: string;
    try {
      const [jobs, cluster] = await Promise.all([this.#client.list(), this.#client.status()]);
      this.#states = new Map(jobs.map((job) => [job.id, job.state]));
      state = JSON.stringify({ jobs, cluster });
    } catch (error) {
      state = JSON.stringify({ problem: `${this.#coordinator}: ${messageOf(error)}` });
    }
    if (state !== this.#last) for (const response of this.#viewers.keys()) send(response, 'state', state);
    this.#last = state;
    this.#polling = this.#viewers.size > 0;
    if (this.#polling) this.#timer = setTimeout(() => void this.#poll(), POLL_MS);
  }
}

function send(response: ServerResponse, event: string, json: string): void {
  if (response.writableLength > BEHIND_BYTES) response.destroy();
  else response.write(`event: ${event}\ndata: ${json}\n\n`);
}
