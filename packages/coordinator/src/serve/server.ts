/** The gRPC server: services, health, reflection, the token. Closed by default: beyond loopback a token is required. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import {
  Metadata,
  ResponderBuilder,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { errorCodes, KasaneError } from '@kasane/protocol/errors';
import { ClusterService } from '@kasane/protocol/gen/kasane/v1/cluster';
import { JobsService } from '@kasane/protocol/gen/kasane/v1/jobs';
import { TrainingService } from '@kasane/protocol/gen/kasane/v1/training';
import { MESSAGE_BYTES } from '@kasane/protocol/limits';
import { listenOn } from '@kasane/protocol/listen';
import { isLoopback, tokenAccepted } from '@kasane/protocol/token';
import { HealthImplementation } from 'grpc-health-check';
import type { TrainingHandlers } from './training.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
  readonly token?: string | undefined;
}

export interface Services {
  readonly jobs: Parameters<Server['addService']>[1];
  readonly cluster: Parameters<Server['addService']>[1];
  readonly training: TrainingHandlers;
}

export interface Listening {
  /** host:port, with the port that was really taken. */
  readonly address: string;
  close(): Promise<void>;
}

/** @throws KasaneError CANNOT_LISTEN when the address is taken, or is not loopback and there is no token. */
export async function listen(services: Services, options: ListenOptions): Promise<Listening> {
  const { host, port, token } = options;
  if (!isLoopback(host) && !token) {
    const right =
      'give --token (or KASANE_TOKEN), the same one to workers and clients; or listen on 127.0.0.1';
    throw new KasaneError(
      'CANNOT_LISTEN',
      `listening on ${host} would let anyone in who reaches it: ${right}`,
    );
  }
  const server = new Server({
    'grpc.max_receive_message_length': MESSAGE_BYTES,
    'grpc.max_send_message_length': MESSAGE_BYTES,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    interceptors: [requireToken(token)],
  });
  server.addService(JobsService, services.jobs);
  server.addService(ClusterService, services.cluster);
  server.addService(TrainingService, { connect: services.training.connect });
  const health = new HealthImplementation({
    '': 'SERVING',
    'kasane.v1.Jobs': 'SERVING',
    'kasane.v1.Training': 'SERVING',
  });
  health.addToServer(server);
  const descriptors = readFileSync(new URL(import.meta.resolve('@kasane/protocol/descriptors')));
  new ReflectionService(loadFileDescriptorSetFromBuffer(descriptors)).addToServer(server);

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = await listenOn(host, port, {
    grpc: (socket) => injector.injectConnection(socket),
    link: (socket, key) => services.training.link(socket, key),
  });
  const { port: bound } = listener.address() as AddressInfo;
  return {
    address: `${host}:${bound}`,
    async close() {
      listener.close();
      injector.destroy();
      server.forceShutdown();
    },
  };
}

/** Refuses calls without the token; health stays open, so that a supervisor can ask without being let in. */
function requireToken(token: string | undefined): ServerInterceptor {
  return (method, call) => {
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        if (method.path.startsWith('/grpc.health.') || tokenAccepted(metadata, token)) return next(metadata);
        const trailer = new Metadata();
        trailer.set('kasane-error', 'NOT_ALLOWED');
        const details =
          'the token is missing or wrong: give --token (or KASANE_TOKEN) as the coordinator was given it';
        call.sendStatus({
          code: errorCodes.NOT_ALLOWED.grpc ?? status.UNAUTHENTICATED,
          details,
          metadata: trailer,
        });
      })
      .build();
    const responder = new ResponderBuilder().withStart((next) => next(listener)).build();
    return new ServerInterceptingCall(call, responder);
  };
}
