/**
 * A port of its own for those who look after a process: /metrics as Prometheus reads them, /health for whoever starts it again.
 * Beyond loopback it wants a secret, which is not the cluster's: what scrapes need not be let in. On loopback it is asked by a loopback
 * name: pages of other sites are not answered.
 */
import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KasaneError, messageOf } from '../errors.ts';
import { asksLoopback, digestOfToken, isLoopback } from '../security/token.ts';
import { bareHost, hostPort } from './address.ts';
import { boundConnections } from './http-connections.ts';
import { cannotListen } from './listening.ts';

/** Buckets of a time, in seconds: a step of the smallest network takes 2 ms, a shard of it one, a step of ResNet-152 a minute. */
export const secondsBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];

export interface MetricsOptions {
  /** Default 127.0.0.1; beyond loopback `token` is required. */
  readonly host?: string | undefined;
  /** 0 for a free one. */
  readonly port: number;
  /** What /metrics asks for, as a bearer token. /health stays open. */
  readonly token?: string | undefined;
}

/** What is told of a process. */
export interface Told {
  /** A page in Prometheus' text format. */
  metrics(): Promise<string>;
  /** Undefined while all is well, otherwise what is not. */
  health(): string | undefined;
}

export interface MetricsServer {
  /** http://host:port */
  readonly url: string;
  close(): Promise<void>;
}

/** @throws KasaneError CANNOT_LISTEN when the address is taken, or is not loopback and there is no token */
export async function startMetricsServer(options: MetricsOptions, told: Told): Promise<MetricsServer> {
  const { host = '127.0.0.1', port, token } = options;
  if (!isLoopback(host) && !token) {
    const right = 'set --metrics-token (or KASANE_METRICS_TOKEN), or omit --metrics-host';
    throw new KasaneError(
      'CANNOT_LISTEN',
      `metrics on ${host} would be open to anyone who can reach it: ${right}`,
    );
  }
  const server = createServer((request, response) => {
    const say = (status: number, body: string, type = 'text/plain; charset=utf-8') =>
      response.writeHead(status, { 'content-type': type }).end(body);
    const { url, headers } = request;
    if (isLoopback(host) && !asksLoopback(headers.host))
      return say(421, 'open this page at its loopback address\n');
    if (request.method !== 'GET') return say(405, 'only GET\n');
    if (url === '/health') {
      const wrong = told.health();
      return say(wrong === undefined ? 200 : 503, `${wrong ?? 'ok'}\n`);
    }
    if (url !== '/metrics') return say(404, 'not found; available: /metrics and /health\n');
    if (token && !equal(headers.authorization ?? '', `Bearer ${token}`))
      return say(401, 'the token is missing or wrong: send it as `Authorization: Bearer TOKEN`\n');
    return told.metrics().then(
      (page) => say(200, page, 'text/plain; version=0.0.4; charset=utf-8'),
      (error: unknown) => say(500, `${messageOf(error)}\n`),
    );
  });
  boundConnections(server);
  server.listen(port, bareHost(host));
  await once(server, 'listening').catch((error: unknown) => {
    throw cannotListen(host, port, error, { host: '--metrics-host', port: '--metrics-port' });
  });
  return {
    url: `http://${hostPort(host, (server.address() as AddressInfo).port)}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function equal(given: string, expected: string): boolean {
  return timingSafeEqual(digestOfToken(given), digestOfToken(expected));
}
