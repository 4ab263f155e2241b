/** Spans of gRPC calls, where a coordinator is asked, as OpenTelemetry's conventions for RPC name them. */
import { InterceptingCall, type Interceptor, type StatusObject, status } from '@grpc/grpc-js';
import type { Attributes, Span } from '../tracing.ts';
import { tracing } from '../tracing.ts';

/** Metadata that carries the caller's span. */
export const TRACEPARENT = 'traceparent';

/** Attributes of a call. @param path `/package.Service/Method` */
export const callAttributes = (path: string): Attributes => ({
  'rpc.system.name': 'grpc',
  'rpc.method': path.slice(1),
});

/** Ends the span of a call. */
export function endCall(span: Span, { code, details }: Pick<StatusObject, 'code' | 'details'>): void {
  span.set({ 'rpc.response.status_code': status[code] ?? String(code) });
  span.end(code === status.OK ? undefined : details);
}

/** Client options that give each call a span; none when nobody asked for spans. */
export const tracedCalls = (): { readonly interceptors?: Interceptor[] } =>
  tracing() ? { interceptors: [intercept] } : {};

const intercept: Interceptor = (options, nextCall) => {
  const { path, requestStream } = options.method_definition;
  const traces = tracing();
  // A worker's stream lasts as long as the worker: what happens on it has spans of its own.
  if (requestStream || !traces) return new InterceptingCall(nextCall(options));
  const span = traces.begin(path.slice(1), {
    kind: 'client',
    parent: traces.active,
    attributes: callAttributes(path),
  });
  return new InterceptingCall(nextCall(options), {
    start(metadata, _listener, next) {
      metadata.set(TRACEPARENT, span.traceparent);
      next(metadata, {
        onReceiveStatus(outcome, pass) {
          endCall(span, outcome);
          pass(outcome);
        },
      });
    },
  });
};
