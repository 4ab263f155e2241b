/**
 * Spans, as the rest of Kasane speaks of them. What sends them is installed by the command line when OpenTelemetry's variables ask
 * for it, and nothing of it is loaded before; without it `tracing()` is undefined, and nobody does anything.
 */

export type Attributes = Readonly<Record<string, string | number>>;

export interface Span {
  /** Its name for other spans and other processes: W3C Trace Context, `traceparent`. */
  readonly traceparent: string;
  set(attributes: Attributes): void;
  event(name: string, attributes?: Attributes): void;
  /** Safe to call twice. @param failure why it came to nothing, if it did */
  end(failure?: string): void;
}

export interface SpanOptions {
  /** `traceparent` of the span that it is a part of. Absent: it begins a trace of its own. */
  readonly parent?: string | undefined;
  /** Default: internal. */
  readonly kind?: 'client' | 'server' | 'consumer' | 'internal';
  /** `traceparent` of spans of other traces that it has to do with. */
  readonly links?: readonly (string | undefined)[];
  readonly attributes?: Attributes;
  /** Milliseconds since 1970. Default: now. */
  readonly start?: number;
}

export interface Tracing {
  begin(name: string, options: SpanOptions): Span;
  /** Runs `body`; in it, and in what it waits for, `active` is the span of this name. */
  within<T>(traceparent: string, body: () => T): T;
  /** What the code that asks is run for: a call, a queue entry, else the command; undefined in a process that serves. */
  readonly active: string | undefined;
  /** BullMQ's `telemetry`; its type is known to those alone who may import BullMQ. */
  readonly queues: object;
  /** Sends what has not been sent, for a few seconds at most. */
  stop(): Promise<void>;
}

let installed: Tracing | undefined;

/** What sends spans; undefined when nobody asked for any. */
export const tracing = (): Tracing | undefined => installed;

/** Call before anything else is loaded that makes spans. */
export function installTracing(one: Tracing): void {
  installed = one;
}
