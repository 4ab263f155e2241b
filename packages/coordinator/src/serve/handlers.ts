/** Handlers for the methods of a service: they answer with what a function returns, or with the gRPC form of the error that it throws. */
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import type { Logger } from 'pino';
import type { Asker } from '../submit/caller-turns.ts';
import { CALLER } from './admission.ts';
import { OPEN_CALLER } from './gate.ts';
import { toServiceError } from './service-error.ts';

/** Ends a call with an error, for example because the watched job is deleted. */
export type Refuse = (error: unknown) => void;

/** Wraps a listener, whose errors would go unnoticed: an error runs `stop` and ends the call. */
export const orRefuse = (act: () => void, stop: () => void, refuse: Refuse) => (): void => {
  try {
    act();
  } catch (error) {
    stop();
    refuse(error);
  }
};

export function handlers(log: Logger) {
  return {
    unary:
      <Request, Response>(
        handle: (request: Request, call: ServerUnaryCall<Request, Response>) => Response | Promise<Response>,
      ): handleUnaryCall<Request, Response> =>
      (call, callback) => {
        new Promise<Response>((resolve) => resolve(handle(call.request, call))).then(
          (response) => callback(null, response),
          (error: unknown) => callback(toServiceError(error, log)),
        );
      },
    watched:
      <Request, Response>(
        watch: (call: ServerWritableStream<Request, Response>, refuse: Refuse) => void,
      ): handleServerStreamingCall<Request, Response> =>
      (call) => {
        const refuse: Refuse = (error) => void call.emit('error', toServiceError(error, log));
        try {
          watch(call, refuse);
        } catch (error) {
          refuse(error);
        }
      },
  };
}

/** Identifies the caller by token and address. Where no token is needed, by connection, since all have the same address. */
export function askerOf(
  call: Pick<ServerUnaryCall<unknown, unknown>, 'metadata' | 'getPeer' | 'cancelled' | 'once'>,
): Asker {
  const caller = String(call.metadata.get(CALLER)[0] ?? '');
  const peer = call.getPeer();
  const gone = new AbortController();
  if (call.cancelled) gone.abort();
  call.once('cancelled', () => gone.abort());
  const place = caller === OPEN_CALLER ? peer : peer.replace(/:\d+$/, '');
  return { caller: `${caller} ${place}`, signal: gone.signal };
}
