/** Spans for the calls that a coordinator answers. Runs behind the gate: refused calls have no span. */
import {
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js';
import { callAttributes, endCall, TRACEPARENT } from '@kasane/protocol/internal/grpc/traced-calls';
import { type Span, type Tracing, tracing } from '@kasane/protocol/internal/tracing';

/** Interceptors that give each call a span; none if tracing is off. */
export function tracedCalls(): ServerInterceptor[] {
  const traces = tracing();
  return traces ? [intercept(traces)] : [];
}

const intercept =
  (traces: Tracing): ServerInterceptor =>
  ({ path, requestStream }, call) => {
    // No spans for workers' streams, which never end, and for health checks, which are frequent.
    if (requestStream || !path.startsWith('/kasane.')) return new ServerInterceptingCall(call);
    let span: Span | undefined;
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        const parent = metadata.get(TRACEPARENT)[0]?.toString();
        span = traces.begin(path.slice(1), { kind: 'server', parent, attributes: callAttributes(path) });
        next(metadata);
      })
      .withOnReceiveHalfClose((next) => (span ? traces.within(span.traceparent, next) : next()))
      .withOnCancel(() => span?.end())
      .build();
    const responder = new ResponderBuilder()
      .withStart((next) => next(listener))
      .withSendStatus((status, next) => {
        if (span) endCall(span, { code: status.code ?? 0, details: status.details ?? '' });
        next(status);
      })
      .build();
    return new ServerInterceptingCall(call, responder);
  };
