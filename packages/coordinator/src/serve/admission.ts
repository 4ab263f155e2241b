/**
 * The interceptor in front of gRPC: checks each call before its messages are read, and open streams continuously: whether their tokens
 * are still valid and their clients still read.
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
import type { Guests } from '@kasane/protocol/internal/ports/guests';
import { STANDARD_STREAM_MS, STANDARD_STREAMS, STANDARD_STREAMS_PER_CLIENT } from '@kasane/protocol/limits';
import { methodScopes } from '@kasane/protocol/scopes';
import type { Gate, Refusal } from './gate.ts';
import type { RefusalLog } from './refusals.ts';

/** Interval at which streams with revoked tokens are ended, in milliseconds. */
const WATCH_MS = 1000;

/** Metadata key that the gate sets on calls of Kasane's services to identify the caller. A value sent by the client is overwritten. */
export const CALLER = 'kasane-caller';

interface Going {
  readonly path: string;
  readonly authorization: string;
  readonly call: WatchedCall;
  readonly end: (refusal: Refusal) => void;
  /** For a stream of a standard service: its deadline, and the address it counts against. */
  readonly standard?: { readonly until: number; readonly address: string } | undefined;
}

/** A call that knows since when its client has not read. */
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
  readonly guests: Guests;
  /** A client that does not read for this long is disconnected. */
  readonly slowReaderSeconds: number;
  /** Breaks a connection: nothing else ends a stream that nobody reads. @param peer its address and port */
  readonly drop: (peer: string) => void;
}

/** Stands for a message that is too large or cannot be decoded. */
export class Malformed {
  readonly why: string;
  readonly code: ErrorCode;

  constructor(why: string, code: ErrorCode = 'PROTOCOL') {
    this.why = why;
    this.code = code;
  }
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #streams = new Set<Going>();
  /** Open calls of standard services, by address. */
  readonly #standard = new Map<string, number>();
  readonly #watch: NodeJS.Timeout;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
  }

  close(): void {
    clearInterval(this.#watch);
  }

  readonly interceptor: ServerInterceptor = ({ path, requestStream, responseStream }, call) => {
    const { gate, refusals, guests } = this.#options;
    const peer = call.getPeer();
    let going: Going | undefined;
    let isOver = false;
    const over = () => {
      if (isOver) return;
      isOver = true;
      guests.call(peer, -1);
      if (!going) return;
      this.#streams.delete(going);
      if (going.standard) this.#countStandard(going.standard.address, -1);
    };
    guests.call(peer, 1);
    const refuse = (refusal: Refusal) => {
      refusals.refused(addressOf(call), path, refusal.why);
      over();
      end(call, refusal.code, refusal.why);
    };
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        const authorization = String(metadata.get('authorization')[0] ?? '');
        const refusal = gate.judge(path, authorization);
        if (refusal) return refuse(refusal);
        // Health is open to everybody.
        if (methodScopes.get(path) !== undefined) guests.known(peer);
        // For other services, every call counts: without a message, a unary call stays open like a stream.
        const isStandard = !path.startsWith('/kasane.');
        if (requestStream || responseStream || isStandard) {
          const standard = isStandard ? this.#takeStandard(addressOf(call)) : undefined;
          if (standard && 'why' in standard) return refuse(standard);
          going = { path, authorization, call: watched, end: refuse, standard };
          this.#streams.add(going);
        }
        // Services behind the gate learn who calls, but not the secret.
        metadata.remove('authorization');
        metadata.set(CALLER, isStandard ? '' : gate.callerOf(authorization));
        next(metadata);
      })
      .withOnReceiveMessage((message: unknown, next) => {
        if (message instanceof Malformed) refuse(message);
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

  /** Admits a call of health or reflection, which strangers could otherwise open without limit. */
  #takeStandard(address: string): NonNullable<Going['standard']> | Refusal {
    const all = [...this.#standard.values()].reduce((sum, count) => sum + count, 0);
    const mine = this.#standard.get(address) ?? 0;
    const [full, whose] =
      mine >= STANDARD_STREAMS_PER_CLIENT
        ? [STANDARD_STREAMS_PER_CLIENT, ' from one address']
        : all >= STANDARD_STREAMS
          ? [STANDARD_STREAMS, '']
          : [0, ''];
    if (full > 0)
      return {
        code: 'LIMIT',
        why: `${full} health and reflection calls${whose} are open, which is the limit`,
      };
    this.#countStandard(address, 1);
    return { until: performance.now() + STANDARD_STREAM_MS, address };
  }

  #countStandard(address: string, change: number): void {
    const now = (this.#standard.get(address) ?? 0) + change;
    if (now > 0) this.#standard.set(address, now);
    else this.#standard.delete(address);
  }

  #look(): void {
    const { gate, refusals, slowReaderSeconds, drop } = this.#options;
    const late = performance.now() - 1000 * slowReaderSeconds;
    const now = performance.now();
    for (const stream of this.#streams) {
      const { path, authorization, call, end, standard } = stream;
      const over: Refusal | undefined =
        standard && now > standard.until
          ? { code: 'LIMIT', why: `a call to ${path} ends after ${STANDARD_STREAM_MS / 1000} s: call again` }
          : undefined;
      const refusal = gate.still(path, authorization) ?? over;
      const slow = call.waitingSince < late;
      if (!refusal && !slow) continue;
      if (refusal) end(refusal);
      this.#streams.delete(stream);
      if (!slow) continue;
      refusals.refused(
        addressOf(call),
        path,
        `the client read nothing for ${slowReaderSeconds} s: disconnected`,
      );
      drop(call.getPeer());
    }
  }
}

/** Without the port, which differs between connections. */
const addressOf = (call: ServerInterceptingCallInterface) => call.getPeer().replace(/:\d+$/, '');

function end(call: ServerInterceptingCallInterface, code: ErrorCode, details: string): void {
  const metadata = new Metadata();
  metadata.set('kasane-error', code);
  call.sendStatus({ code: errorCodes[code].grpc, details, metadata });
}
