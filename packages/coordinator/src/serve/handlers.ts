/** How a service's methods answer: with what they return, or with the error that they throw, as gRPC has it. */
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

/** Ends a call with an error: what is watched may go. */
export type Refuse = (error: unknown) => void;

/** `act` for a listener, which nobody hears fail: what it throws ends the call, after `stop`. */
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

/** Who makes a call: a token at an address. Where nobody needs a token connections are told apart, since all are of one address. */
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
