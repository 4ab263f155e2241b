/** The gRPC server: services, health and reflection behind the gate. Closed by default: beyond loopback, tokens are required. */
import type { Socket } from 'node:net';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { KasaneError, messageOf } from '@kasane/protocol/errors';
import { ClusterService } from '@kasane/protocol/gen/kasane/v1/cluster';
import { JobsService } from '@kasane/protocol/gen/kasane/v1/jobs';
import { ModelsService } from '@kasane/protocol/gen/kasane/v1/models';
import { SweepsService } from '@kasane/protocol/gen/kasane/v1/sweeps';
import { TrainingService } from '@kasane/protocol/gen/kasane/v1/training';
import { hostPort } from '@kasane/protocol/internal/ports/address';
import { Guests, peerOf } from '@kasane/protocol/internal/ports/guests';
import { listenOn } from '@kasane/protocol/internal/ports/listen';
import type { ServerTls } from '@kasane/protocol/internal/security/tls';
import { isLoopback } from '@kasane/protocol/internal/security/token';
import {
  JOB_FILE_BYTES,
  type Limits,
  MESSAGE_BYTES,
  REQUEST_BYTES,
  STREAM_MESSAGE_BYTES,
  STREAMS_PER_CONNECTION,
} from '@kasane/protocol/limits';
import type { Logger } from 'pino';
import { Admission, Malformed } from './admission.ts';
import { Gate, type GateOptions } from './gate.ts';
import { ignoreGoneStreams } from './gone-streams.ts';
import { RefusalLog } from './refusals.ts';
import { tracedCalls } from './traced-calls.ts';
import type { TrainingHandlers } from './training.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The shared token, which grants every scope. */
  readonly token?: string | undefined;
  /** Tokens with scopes. */
  readonly tokens: GateOptions['tokens'];
  /** For clients in this process: scopes read and submit. */
  readonly ownToken: string;
  readonly tls?: ServerTls | undefined;
  /** Default true. */
  readonly standardServices?: boolean | undefined;
  readonly limits: Limits;
  readonly log: Logger;
}

export interface Services {
  readonly jobs: Parameters<Server['addService']>[1];
  readonly sweeps: Parameters<Server['addService']>[1];
  readonly models: Parameters<Server['addService']>[1];
  readonly cluster: Parameters<Server['addService']>[1];
  readonly training: TrainingHandlers;
}

export interface Listening {
  /** host:port, with the actual port. */
  readonly address: string;
  /** Whether callers need a token. */
  readonly asksToken: boolean;
  close(): Promise<void>;
}

/** @throws KasaneError CANNOT_LISTEN if the address is in use, or is not loopback and no token is configured */
export async function listen(services: Services, options: ListenOptions): Promise<Listening> {
  const { host, port, tokens, ownToken, tls, limits, log } = options;
  // An empty environment variable is no token.
  const token = options.token || undefined;
  const asked = token !== undefined || tokens.any;
  if (!isLoopback(host) && !asked) {
    const right =
      'create tokens with `kasane token create`, set a shared one with --token (or KASANE_TOKEN), or listen on 127.0.0.1';
    throw new KasaneError(
      'CANNOT_LISTEN',
      `listening on ${host} would let in anyone who can reach it: ${right}`,
    );
  }
  const gate = new Gate({
    tokens,
    known: [
      { id: 'own', token: ownToken, scopes: ['submit'] },
      ...(token === undefined ? [] : [{ id: 'shared', token, scopes: ['admin'] as const }]),
    ],
    open: !asked,
    requestsPerSecond: limits.requestsPerSecond,
  });
  const refusals = new RefusalLog(log);
  /** Connections that speak gRPC, by address and port. */
  const connections = new Map<string, Socket>();
  const onRefused = (peer: string, why: string) => refusals.refused(peer, 'a connection', why);
  const guests = new Guests({ perClient: limits.connectionsPerClient, onRefused });
  const admission = new Admission({
    gate,
    refusals,
    guests,
    slowReaderSeconds: limits.slowReaderSeconds,
    drop: (peer) => connections.get(peer)?.destroy(),
  });
  const server = new Server({
    'grpc.max_receive_message_length': limits.messageBytes,
    'grpc.max_send_message_length': MESSAGE_BYTES,
    'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    interceptors: [admission.interceptor, ...tracedCalls()],
  });
  ignoreGoneStreams(server);
  server.addService(checked(JobsService, requestBytes), services.jobs);
  server.addService(checked(SweepsService, requestBytes), services.sweeps);
  server.addService(checked(ModelsService, requestBytes), services.models);
  server.addService(checked(ClusterService, requestBytes), services.cluster);
  server.addService(
    checked(TrainingService, () => STREAM_MESSAGE_BYTES),
    { connect: services.training.connect },
  );
  if (options.standardServices !== false)
    (await import('./standard-services.ts')).addStandardServices(server);

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const routes = {
    grpc: (socket: Socket) => {
      const peer = peerOf(socket);
      connections.set(peer, socket);
      socket.once('close', () => connections.delete(peer));
      injector.injectConnection(socket);
    },
    link: (socket: Socket, key: Buffer) => {
      if (services.training.link(socket, key)) guests.known(peerOf(socket));
    },
  };
  const listener = await listenOn(host, port, routes, {
    tls,
    guests,
    onRefused,
  }).catch((error: unknown) => {
    guests.close();
    admission.close();
    injector.destroy();
    throw error;
  });
  return {
    address: hostPort(host, listener.port),
    asksToken: asked,
    async close() {
      listener.close();
      admission.close();
      injector.destroy();
      server.forceShutdown();
    },
  };
}

/** Job files have their own limit, which the error names. */
const requestBytes = (method: string) =>
  method === 'submit' ? JOB_FILE_BYTES + REQUEST_BYTES : REQUEST_BYTES;

/** Replaces requests that are too large or cannot be decoded by `Malformed`, so that callers get a typed error. */
function checked<Service extends ServiceDefinition>(
  service: Service,
  most: (method: string) => number,
): Service {
  const methods = Object.entries(service).map(([name, method]) => {
    const limit = most(name);
    const requestDeserialize = (bytes: Buffer): unknown => {
      // Before decoding: megabytes of text take a while.
      if (bytes.length > limit)
        return new Malformed(`a request of ${bytes.length} bytes; the limit is ${limit}`, 'LIMIT');
      try {
        return method.requestDeserialize(bytes);
      } catch (error) {
        return new Malformed(`the request does not match the .proto file (${messageOf(error)})`);
      }
    };
    return [name, { ...method, requestDeserialize }];
  });
  return Object.fromEntries(methods) as Service;
}
