/**
 * The dashboard's web server: the page, a stream of server-sent events, and the few things that a user can do. It speaks for
 * whoever reaches it with its own token, so it listens on loopback, and refuses requests that another site's page makes.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type ClientOptions, CoordinatorClient } from '@kasane/protocol/client';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { bareHost, hostPort } from '@kasane/protocol/internal/ports/address';
import { boundConnections } from '@kasane/protocol/internal/ports/http-connections';
import { cannotListen } from '@kasane/protocol/internal/ports/listening';
import { type ServerTls, serverOptions } from '@kasane/protocol/internal/security/tls';
import { asksLoopback, isLoopback } from '@kasane/protocol/internal/security/token';
import { serveFile } from './files.ts';
import { answer } from './requests.ts';
import { EVENTS, PARTS, VIEWERS, Viewers } from './viewers.ts';

export interface DashboardOptions extends ClientOptions {
  /** Whoever reaches the page may do what the token may: beyond loopback `tls` asks for certificates. Default 127.0.0.1. */
  readonly host?: string;
  /** Serve https. Default: http. */
  readonly tls?: ServerTls | undefined;
  /** 0 for a free one. */
  readonly port: number;
  /** By which flags another address is chosen, for messages. Default --host and --port. */
  readonly flags?: { readonly host: string; readonly port: string };
}

export interface Dashboard {
  /** http://host:port */
  readonly url: string;
  close(): Promise<void>;
}

/** @throws KasaneError CANNOT_LISTEN when the address is taken, or is not loopback and asks for no certificates */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { host = '127.0.0.1', port, tls, flags = { host: '--host', port: '--port' } } = options;
  if (!isLoopback(host) && !tls?.ca) {
    throw new KasaneError(
      'CANNOT_LISTEN',
      `a dashboard on ${host} would be open to anyone who can reach it: require client certificates (TLS with a CA), or listen on 127.0.0.1 and use an SSH tunnel`,
    );
  }
  const client = new CoordinatorClient(options);
  const viewers = new Viewers(client, options.coordinator);
  const respond = (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response, client, viewers, tls !== undefined).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(502, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(messageOf(error));
    });
  };
  // Browsers speak HTTP/1.1 here; whoever shows no certificate where one is asked for is not answered.
  const server = tls
    ? createSecureServer(
        { ...serverOptions(tls), ALPNProtocols: ['http/1.1'], rejectUnauthorized: true },
        respond,
      )
    : createServer(respond);
  boundConnections(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      client.close();
      reject(cannotListen(host, port, error, flags));
    });
    server.listen(port, bareHost(host), resolve);
  });
  return {
    url: `${tls ? 'https' : 'http'}://${hostPort(host, (server.address() as AddressInfo).port)}`,
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
  secure: boolean,
): Promise<void> {
  // With TLS the certificate tells.
  if (!secure && !asksLoopback(request.headers.host))
    return refuse(response, 421, 'open this page at its loopback address');
  const url = URL.parse(request.url ?? '/', 'http://dashboard');
  if (!url) return refuse(response, 400, 'the requested address is invalid');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('cache-control', 'no-cache');
  const { method } = request;
  if (method === 'POST') {
    // Forms of other sites cannot set it.
    if (request.headers['x-kasane'] !== 'dashboard')
      return refuse(response, 403, 'the request does not come from this page');
    if (await answer(client, url, request, response)) return viewers.hurry();
  } else if (method === 'GET' || method === 'HEAD') {
    // Node leaves the body out of an answer to HEAD.
    if (url.pathname === '/events') {
      if (viewers.full) return refuse(response, 503, `${VIEWERS} pages are already open, which is the limit`);
      const asked = url.searchParams.get('part') ?? 'curves';
      const part = PARTS.find((known) => known === asked);
      if (!part) return refuse(response, 400, `part: expected one of ${PARTS.join(', ')}`);
      if (method === 'HEAD') return void response.writeHead(200, EVENTS).end();
      return viewers.add(response, url.searchParams.get(part === 'sweep' ? 'sweep' : 'job') ?? '', part);
    }
    if (await answer(client, url, request, response)) return;
    if (await serveFile(url.pathname, request, response)) return;
  }
  refuse(response, 404, 'not found');
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${why}\n`);
}
