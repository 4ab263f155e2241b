/** One port for gRPC and for the workers' data links: the first bytes of a connection tell which it is. */
import { createServer, type Server, type Socket } from 'node:net';
import { KasaneError, messageOf } from './errors.ts';
import { CONNECTIONS, GREETING_MS } from './limits.ts';
import { LINK_GREETING, LINK_KEY_BYTES } from './link.ts';

export interface Routes {
  /** Takes a connection whose first bytes are still to be read. */
  readonly grpc: (socket: Socket) => void;
  /** Takes a connection after its greeting. */
  readonly link: (socket: Socket, key: Buffer) => void;
}

/** @throws KasaneError CANNOT_LISTEN */
export async function listenOn(host: string, port: number, routes: Routes): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) => route(socket, routes));
  server.maxConnections = CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const right = 'choose another with --port, or stop what listens there';
      reject(
        new KasaneError('CANNOT_LISTEN', `cannot listen on ${host}:${port}: ${messageOf(error)}; ${right}`),
      );
    });
    server.listen(port, host.replace(/^\[(.*)\]$/, '$1'), resolve);
  });
  return server;
}

function route(socket: Socket, { grpc, link }: Routes): void {
  const drop = () => socket.destroy();
  const late = setTimeout(drop, GREETING_MS);
  socket.on('error', drop);
  socket.once('close', () => clearTimeout(late));
  let isLink = false;
  const look = () => {
    if (!isLink) {
      const first = socket.read(LINK_GREETING.length) as Buffer | null;
      if (!first) return;
      isLink = first.toString('latin1') === LINK_GREETING;
      if (!isLink) {
        pass();
        socket.unshift(first);
        grpc(socket);
        return;
      }
    }
    const key = socket.read(LINK_KEY_BYTES) as Buffer | null;
    if (!key) return;
    pass();
    link(socket, key);
  };
  const pass = () => {
    clearTimeout(late);
    socket.off('readable', look).off('error', drop);
  };
  socket.on('readable', look);
}
