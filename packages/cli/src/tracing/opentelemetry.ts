/**
 * Spans through OpenTelemetry: the one place that knows its libraries. What the variables OTEL_* say counts as its specification has
 * it; the parts of the SDK are put together by hand, since the whole of it loads metrics, logs and four protocols besides.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { messageOf } from '@kasane/protocol/errors';
import type { Span, SpanOptions, Tracing } from '@kasane/protocol/internal/tracing';
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  type ExportResult,
  ExportResultCode,
  getNumberFromEnv,
  parseTraceParent,
  W3CTraceContextPropagator,
} from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { BullMQOtel } from 'bullmq-otel';
import { version } from '../program/version.ts';

/** Where nothing else is said, whoever collects spans has so many milliseconds: a command ends no later because of it. */
const TIMEOUT_MS = 3_000;

/** Begins to make spans. @param service what this process is, unless OTEL_SERVICE_NAME says it @param warn hears, once, that spans do not arrive */
export function startTracing(service: string, warn: (text: string) => void): Tracing {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.version': version,
      'service.instance.id': randomUUID(),
      'host.name': hostname(),
      'process.pid': process.pid,
    }).merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] })),
    sampler: samplerOf(process.env.OTEL_TRACES_SAMPLER, warn),
    spanProcessors: [new Batches(warn)],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  const tracer = provider.getTracer('kasane', version);
  return {
    begin(name, { parent, kind = 'internal', links = [], attributes = {}, start }: SpanOptions): Span {
      const linked = links.flatMap((link) => (link && parseTraceParent(link)) || []);
      const options = {
        kind: SpanKind[kind.toUpperCase() as Uppercase<typeof kind>],
        attributes,
        links: linked.map((one) => ({ context: one })),
        ...(start !== undefined && { startTime: start }),
      };
      const span = tracer.startSpan(name, options, contextOf(parent));
      return {
        traceparent: traceparentOf(trace.setSpan(ROOT_CONTEXT, span))!,
        set: (more) => void span.setAttributes(more),
        event: (event, about) => void span.addEvent(event, about),
        end(failure) {
          // Of two ends the first counts; a second would be complained of.
          if (!span.isRecording()) return;
          if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
          span.end();
        },
      };
    },
    within: (parent, body) => context.with(contextOf(parent), body),
    get active() {
      return traceparentOf(context.active());
    },
    queues: new BullMQOtel({ tracerName: BULLMQ }),
    stop: () => provider.shutdown().catch(() => {}), // said already
  };
}

const BULLMQ = 'bullmq';

/** Sends spans by the hundred, without what BullMQ does for itself: it looks for stalled entries, and extends locks. */
class Batches extends BatchSpanProcessor {
  constructor(warn: (text: string) => void) {
    const said = ['OTEL_EXPORTER_OTLP_TIMEOUT', 'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT'].some(
      (name) => process.env[name],
    );
    const exporter = new OTLPTraceExporter(said ? {} : { timeoutMillis: TIMEOUT_MS });
    const numbers = {
      maxQueueSize: getNumberFromEnv('OTEL_BSP_MAX_QUEUE_SIZE'),
      maxExportBatchSize: getNumberFromEnv('OTEL_BSP_MAX_EXPORT_BATCH_SIZE'),
      scheduledDelayMillis: getNumberFromEnv('OTEL_BSP_SCHEDULE_DELAY'),
      exportTimeoutMillis: getNumberFromEnv('OTEL_BSP_EXPORT_TIMEOUT'),
    };
    super({ ...withoutUndefined(numbers), exporter });
    const send = exporter.export.bind(exporter);
    let failed = false;
    exporter.export = (spans, done) =>
      send(spans, (result: ExportResult) => {
        const fails = result.code !== ExportResultCode.SUCCESS;
        if (fails && !failed)
          warn(
            `spans cannot be exported: ${messageOf(result.error)}; check or unset OTEL_EXPORTER_OTLP_ENDPOINT`,
          );
        failed = fails;
        done(result);
      });
  }

  override onEnd(span: ReadableSpan): void {
    if (span.instrumentationScope.name === BULLMQ && !span.parentSpanContext) return;
    super.onEnd(span);
  }
}

function withoutUndefined<T extends object>(record: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function samplerOf(name: string | undefined, warn: (text: string) => void): Sampler {
  const ratio = new TraceIdRatioBasedSampler(getNumberFromEnv('OTEL_TRACES_SAMPLER_ARG') ?? 1);
  const known: Readonly<Record<string, Sampler>> = {
    always_on: new AlwaysOnSampler(),
    always_off: new AlwaysOffSampler(),
    traceidratio: ratio,
    parentbased_always_on: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    parentbased_always_off: new ParentBasedSampler({ root: new AlwaysOffSampler() }),
    parentbased_traceidratio: new ParentBasedSampler({ root: ratio }),
  };
  const all = known.parentbased_always_on!;
  if (!name) return all;
  if (!Object.hasOwn(known, name))
    warn(`OTEL_TRACES_SAMPLER=${name}: ${Object.keys(known).join(', ')} are supported; every trace is sent`);
  return known[name] ?? all;
}

/** The context inside a span of this name. */
function contextOf(traceparent: string | undefined): Context {
  const parent = traceparent === undefined ? null : parseTraceParent(traceparent);
  return parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
}

function traceparentOf(inside: Context): string | undefined {
  const span = trace.getSpanContext(inside);
  return span && `00-${span.traceId}-${span.spanId}-0${span.traceFlags & 1}`;
}
