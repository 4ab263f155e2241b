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
import type { Guests } from '@kasane/protocol/internal/ports/guests';
import { STANDARD_STREAM_MS, STANDARD_STREAMS, STANDARD_STREAMS_PER_CLIENT } from '@kasane/protocol/limits';
import { methodScopes } from '@kasane/protocol/scopes';
import type { Gate, Refusal } from './gate.ts';
import type { RefusalLog } from './refusals.ts';

/** How soon a stream ends whose token is revoked, in milliseconds. */
const WATCH_MS = 1000;

/** Metadata that the gate sets, of calls of Kasane's services: who calls. What a client says by that name is replaced. */
export const CALLER = 'kasane-caller';

interface Going {
  readonly path: string;
  readonly authorization: string;
  readonly call: WatchedCall;
  readonly end: (refusal: Refusal) => void;
  /** Of a stream of a standard service: when it ends, and whose it is. */
  readonly standard?: { readonly until: number; readonly address: string } | undefined;
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
  readonly guests: Guests;
  /** A reader that takes nothing for so long is dropped. */
  readonly slowReaderSeconds: number;
  /** Breaks a connection: nothing else ends a stream that nobody reads. @param peer its address and port */
  readonly drop: (peer: string) => void;
}

/** What a message becomes that is too large, or does not decode. */
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
  /** Calls of standard services that go on, by address. */
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
        // Health is told to anybody.
        if (methodScopes.get(path) !== undefined) guests.known(peer);
        // Of others' services every call: one whose message never comes is a stream, too.
        const isStandard = !path.startsWith('/kasane.');
        if (requestStream || responseStream || isStandard) {
          const standard = isStandard ? this.#takeStandard(addressOf(call)) : undefined;
          if (standard && 'why' in standard) return refuse(standard);
          going = { path, authorization, call: watched, end: refuse, standard };
          this.#streams.add(going);
        }
        // It has served: what is behind the gate hears who calls, and not by which secret.
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

  /** A call of health or reflection, of which strangers could begin any number. */
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

/** Without the port, which differs from one connection to the next. */
const addressOf = (call: ServerInterceptingCallInterface) => call.getPeer().replace(/:\d+$/, '');

function end(call: ServerInterceptingCallInterface, code: ErrorCode, details: string): void {
  const metadata = new Metadata();
  metadata.set('kasane-error', code);
  call.sendStatus({ code: errorCodes[code].grpc, details, metadata });
}
