/** A Redis behind a proxy; a test can reach the proxy's open connections. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { startRedis } from '@kasane/cli/internal/redis/start';
import type { CleanUp } from './cluster.ts';

export interface ProxiedRedis {
  readonly url: string;
  /** The proxy's open connections to its clients. */
  readonly sockets: ReadonlySet<Socket>;
}

/** @param pass whether an answer of Redis is passed on to a client */
export async function startProxiedRedis(
  cleanUp: CleanUp,
  pass: (client: Socket) => boolean = () => true,
): Promise<ProxiedRedis> {
  const redis = await startRedis({});
  cleanUp.add(() => redis.close());
  const url = new URL(redis.url);
  const port = Number(url.port);
  const sockets = new Set<Socket>();
  const proxy = createServer((socket) => {
    const server = connect(port, '127.0.0.1');
    sockets.add(socket);
    socket.pipe(server);
    server.on('data', (data) => pass(socket) && socket.write(data));
    for (const one of [socket, server])
      one
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(socket);
          socket.destroy();
          server.destroy();
        });
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  cleanUp.add(() => proxy.close());
  url.port = String((proxy.address() as AddressInfo).port);
  return { url: url.href, sockets };
}
