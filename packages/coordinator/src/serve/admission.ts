/**
 * The gate in front of gRPC: an interceptor that judges each call before any of it is read, and streams while they go on: whether
 * their tokens still hold, and whether somebody reads them.
 */
import {
  Metadata,
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js';
import { type ErrorCode, errorCodes } from '@kasane/protocol/errors';
import type { Gate, Refusal } from './gate.ts';
import type { RefusalLog } from './refusals.ts';

/** How soon a stream ends whose token is revoked, in milliseconds. */
const WATCH_MS = 1000;

/** Metadata that the gate sets, of streams: who calls. What a client says by that name is replaced. */
export const CALLER = 'kasane-caller';

interface Going {
  readonly path: string;
  readonly authorization: string;
  readonly call: WatchedCall;
  readonly end: (refusal: Refusal) => void;
}

/** A call that knows since when its reader has taken nothing. */
class WatchedCall extends ServerInterceptingCall {
  waitingSince = Number.POSITIVE_INFINITY;

  override sendMessage(message: unknown, callback: () => void): void {
    this.waitingSince = performance.now();
    super.sendMessage(message, () => {
      this.waitingSince = Number.POSITIVE_INFINITY;
      callback();
    });
  }
}

export interface AdmissionOptions {
  readonly gate: Gate;
  readonly refusals: RefusalLog;
  /** A reader that takes nothing for so long is dropped. */
  readonly slowReaderSeconds: number;
  /** Breaks a connection: nothing else ends a stream that nobody reads. @param peer its address and port */
  readonly drop: (peer: string) => void;
}

/** What a message becomes that does not decode. */
export class Malformed {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #streams = new Set<Going>();
  readonly #watch: NodeJS.Timeout;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
  }

  close(): void {
    clearInterval(this.#watch);
  }

  readonly interceptor: ServerInterceptor = ({ path, requestStream, responseStream }, call) => {
    const { gate, refusals } = this.#options;
    let going: Going | undefined;
    const over = () => {
      if (going) this.#streams.delete(going);
    };
    const refuse = (refusal: Refusal) => {
      refusals.refused(addressOf(call), path, refusal.why);
      end(call, refusal.code, refusal.why);
    };
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        const authorization = String(metadata.get('authorization')[0] ?? '');
        const refusal = gate.judge(path, authorization);
        if (refusal) return refuse(refusal);
        if (requestStream || responseStream) {
          going = { path, authorization, call: watched, end: refuse };
          this.#streams.add(going);
        }
        // It has served: what is behind the gate hears who calls, and not by which secret.
        metadata.remove('authorization');
        metadata.set(CALLER, requestStream ? gate.callerOf(authorization) : '');
        next(metadata);
      })
      .withOnReceiveMessage((message: unknown, next) => {
        if (message instanceof Malformed) refuse({ code: 'PROTOCOL', why: message.why });
        else next(message);
      })
      .withOnCancel(over)
      .build();
    const responder = new ResponderBuilder()
      .withStart((next) => next(listener))
      .withSendStatus((status, next) => {
        over();
        next(status);
      })
      .build();
    const watched = new WatchedCall(call, responder);
    return watched;
  };

  #look(): void {
    const { gate, refusals, slowReaderSeconds, drop } = this.#options;
    const late = performance.now() - 1000 * slowReaderSeconds;
    for (const stream of this.#streams) {
      const { path, authorization, call, end } = stream;
      const refusal = gate.still(path, authorization);
      const slow = call.waitingSince < late;
      if (!refusal && !slow) continue;
      this.#streams.delete(stream);
      if (refusal) end(refusal);
      if (!slow) continue;
      refusals.refused(addressOf(call), path, `nothing of it was read for ${slowReaderSeconds} s: dropped`);
      drop(call.getPeer());
    }
  }
}

/** Without the port, which differs from one connection to the next. */
const addressOf = (call: ServerInterceptingCallInterface) => call.getPeer().replace(/:\d+$/, '');

function end(call: ServerInterceptingCallInterface, code: ErrorCode, details: string): void {
  const metadata = new Metadata();
  metadata.set('kasane-error', code);
  call.sendStatus({ code: errorCodes[code].grpc, details, metadata });
}
