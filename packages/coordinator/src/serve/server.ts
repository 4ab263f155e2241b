/** The gRPC server: services, health, reflection, the token. Closed by default: beyond loopback a token is required. */
import { readFileSync } from 'node:fs';
import type http2 from 'node:http2';
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
import { errorCodes, KasaneError, messageOf } from '@kasane/protocol/errors';
import { ClusterService } from '@kasane/protocol/gen/kasane/v1/cluster';
import { JobsService } from '@kasane/protocol/gen/kasane/v1/jobs';
import { FLOW_CONTROL_WINDOW, MESSAGE_BYTES } from '@kasane/protocol/limits';
import { isLoopback, tokenAccepted } from '@kasane/protocol/token';
import { type ConnectHandler, trainingService } from '@kasane/protocol/training-service';
import { HealthImplementation } from 'grpc-health-check';

export interface ListenOptions {
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
  readonly token?: string | undefined;
}

export interface Services {
  readonly jobs: Parameters<Server['addService']>[1];
  readonly cluster: Parameters<Server['addService']>[1];
  readonly training: ConnectHandler;
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
    'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    interceptors: [requireToken(token)],
  });
  const widenSessions = widenWindows(server);
  server.addService(JobsService, services.jobs);
  server.addService(ClusterService, services.cluster);
  server.addService(trainingService, { connect: services.training });
  const health = new HealthImplementation({
    '': 'SERVING',
    'kasane.v1.Jobs': 'SERVING',
    'kasane.v1.Training': 'SERVING',
  });
  health.addToServer(server);
  const descriptors = readFileSync(new URL(import.meta.resolve('@kasane/protocol/descriptors')));
  new ReflectionService(loadFileDescriptorSetFromBuffer(descriptors)).addToServer(server);

  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, taken) => {
      if (!error) return resolve(taken);
      const right = 'choose another with --port, or stop what listens there';
      reject(
        new KasaneError('CANNOT_LISTEN', `cannot listen on ${host}:${port}: ${messageOf(error)}; ${right}`),
      );
    });
  });
  widenSessions();
  return {
    address: `${host}:${bound}`,
    async close() {
      server.forceShutdown();
    },
  };
}

/**
 * Gives the server's side the flow-control window that grpc-js gives to clients only ('grpc-node.flow_control_window'):
 * with HTTP/2's default of 64 KiB a gradient waits a round trip for every 64 KiB. Reaches into fields that grpc-js does
 * not publish; where they are gone, streams are slow and right. Call before binding; call the result after it.
 */
function widenWindows(server: Server): () => void {
  const inside = server as unknown as {
    commonServerOptions?: http2.ServerOptions;
    http2Servers?: Map<http2.Http2Server, unknown>;
  };
  if (inside.commonServerOptions) {
    inside.commonServerOptions.settings = {
      ...inside.commonServerOptions.settings,
      initialWindowSize: FLOW_CONTROL_WINDOW,
    };
  }
  return () => {
    for (const listener of inside.http2Servers?.keys() ?? []) {
      listener.on('session', (session) => session.setLocalWindowSize(FLOW_CONTROL_WINDOW));
    }
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
